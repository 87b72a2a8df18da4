//! Why a measurement ended without a result.

use std::fmt;

use crate::host::Obstacle;

/// Why a measurement ended without a result.
#[derive(Debug)]
pub enum Failure {
    /// The operation itself failed.
    Workload(rustix::io::Errno),
    /// The agent failed.
    Agent(Obstacle),
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

impl From<Obstacle> for Failure {
    fn from(obstacle: Obstacle) -> Self {
        Self::Agent(obstacle)
    }
}
