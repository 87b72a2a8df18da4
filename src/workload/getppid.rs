//! A call that nobody hooks: what a hook on every system call costs the others.

use rustix::io::Errno;

use super::{Calls, Workload};

/// Asks for the parent's process id.
pub struct Getppid;

impl Workload for Getppid {
    fn operate(&mut self) -> Result<u64, Errno> {
        // A process whose parent has ended, or lies outside its PID namespace,
        // gets 0; that is an answer, too.
        std::hint::black_box(rustix::process::getppid());
        Ok(0)
    }

    fn expected(&self) -> u64 {
        0
    }

    fn calls(&self) -> Calls {
        Calls {
            opens: 0,
            connects: 0,
        }
    }
}
