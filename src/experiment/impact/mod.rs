//! What agents cost real programs.

mod jobs;
mod judge;
mod log;
mod running;
mod source;

pub use jobs::{Plan, jobs};
pub use judge::rows;
pub use log::{ArmLog, Block, Counted, Measured};
pub use running::running;
