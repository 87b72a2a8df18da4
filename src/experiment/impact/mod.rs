//! What agents cost real programs.

mod jobs;
mod judge;
mod log;

pub use jobs::{Plan, jobs};
pub use judge::rows;
pub use log::{ArmLog, Block, Counted, Measured};
