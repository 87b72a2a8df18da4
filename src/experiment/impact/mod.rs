//! What agents cost real programs.

mod jobs;
mod judge;
mod log;
mod part;
mod pgbench;
mod running;
mod source;

pub use jobs::{RoundsPlan, jobs};
pub use judge::rows;
pub use log::{ArmLog, Counted, ProgramBlock, ProgramMeasured};
pub use part::{arms_of, has_lacking, part};
pub use running::running;
