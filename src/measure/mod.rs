//! How it is timed: blocks of arms, interleaved in one process on one CPU.

mod block;
mod calibration;
pub mod command;
mod interleave;
mod kernel;
mod latency;
mod overhead;
mod paired;
mod parts;
mod proportion;
pub mod report;
pub mod soak;
pub mod table;
mod usage;
mod worker;

pub use block::{Block, Timer};
pub use calibration::{Calibration, calibrate};
pub use interleave::{Hooked, Latencies, Measured, Plan, Round, interleave, unhooked};
pub use kernel::{KernelTime, kernel_time};
pub use latency::Latency;
pub use overhead::{Request, Workers, overhead};
pub use paired::{Pair, Versus, versus};
pub use parts::{Parts, parts};
pub use proportion::proportionality;
pub use usage::Footprint;
pub use worker::{Job, die_with_parent, work};

use std::fmt;
use std::time::Duration;

/// Why a measurement ended without a result.
#[derive(Debug)]
pub enum Failure {
    /// The operation itself failed.
    Workload(rustix::io::Errno),
    /// The agent failed.
    Agent(crate::host::Obstacle),
    /// The measurement contradicts itself, so its numbers would not be what they say.
    Harness(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(error) => write!(f, "the operation failed while it was timed: {error}"),
            Self::Agent(obstacle) => write!(f, "{obstacle}"),
            Self::Harness(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Workload(error)
    }
}

impl From<crate::host::Obstacle> for Failure {
    fn from(obstacle: crate::host::Obstacle) -> Self {
        Self::Agent(obstacle)
    }
}

/// Nanoseconds, with their fraction.
fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
