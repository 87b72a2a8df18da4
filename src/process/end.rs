//! The end of a process, whoever its parent is.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::host::Obstacle;

/// How soon a `stop` is seen that comes from another thread.
const SLICE: Duration = Duration::from_millis(100);

/// Can be waited for: by a descriptor of the process, which no other takes the place of, and
/// which a zombie's parent cannot hold up.
#[derive(Debug)]
pub struct ProcessEnd(OwnedFd);

impl ProcessEnd {
    /// Of the process of this number.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> Result<Self, Obstacle> {
        let missing = |why: String| Obstacle::new(why, "see which there are: ps -e");
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or_else(|| missing(format!("{pid} is no process")))?;
        pidfd_open(number, PidfdFlags::empty())
            .map(Self)
            .map_err(|error| missing(format!("process {pid} cannot be waited for: {error}")))
    }

    /// Waits until it has come, the moment has, or `stop` is set; whether it has.
    pub fn wait(&self, until: Instant, stop: &AtomicBool) -> bool {
        while !stop.load(Ordering::Relaxed) && Instant::now() < until {
            // A signal interrupts it, and may be the one that sets `stop`.
            if self.comes_within(until.min(Instant::now() + SLICE)) {
                return true;
            }
        }
        self.has_come()
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        self.comes_within(Instant::now())
    }

    /// Sends the process a signal; one that is gone has nothing to say.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.0, signal);
    }

    fn comes_within(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let mut ends = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut ends, Timespec::try_from(left).ok().as_ref()).is_ok_and(|ended| ended > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_nobody_has_waited_for_has_ended() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let end = ProcessEnd::of(child.id()).unwrap();
        assert!(!end.has_come());
        assert!(!end.wait(
            Instant::now() + Duration::from_millis(1),
            &AtomicBool::new(false)
        ));
        child.kill().unwrap();
        let later = Instant::now() + Duration::from_secs(30);
        assert!(end.wait(later, &AtomicBool::new(false)) && end.has_come());
        // It is a zombie now, and found as such.
        assert!(ProcessEnd::of(child.id()).unwrap().has_come());
        child.wait().unwrap();
    }

    #[test]
    fn a_wait_that_is_to_stop_stops() {
        let end = ProcessEnd::of(std::process::id()).unwrap();
        let later = Instant::now() + Duration::from_secs(600);
        assert!(!end.wait(later, &AtomicBool::new(true)));
    }

    #[test]
    fn numbers_that_are_nobody_s_are_named() {
        for pid in [0, 4_194_305, u32::MAX] {
            let why = ProcessEnd::of(pid).unwrap_err().why;
            assert!(why.contains(&pid.to_string()), "{why}");
        }
    }
}
