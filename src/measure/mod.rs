//! How it is timed: blocks of arms, interleaved in one process on one CPU.

mod block;
mod calibration;
pub mod command;
mod file;
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

use serde::{Deserialize, Serialize};

/// The condition under which a workload runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// No agent is attached.
    Off,
    /// The agent is attached, no rule matches, nothing is emitted.
    Hook,
    /// The agent is attached, and every operation emits an audit event.
    Event,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Hook => "hook",
            Self::Event => "event",
        })
    }
}

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
