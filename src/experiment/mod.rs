//! How arms are paired: blocks in one process, interleaved on one CPU.

mod assignment;
mod block;
mod calibration;
mod failure;
pub mod impact;
mod interleave;
mod kernel_time;
mod latency;
pub mod overhead;
mod paired;
mod parts;
mod proportionality;
pub mod soak;
pub mod tracing;
mod usage;

pub use assignment::{Assignment, die_with_parent};
pub use block::{Block, Timer};
pub use calibration::calibrate;
pub use failure::Failure;
pub use interleave::{Hooked, Latencies, Measured, Plan, Round, interleave, unhooked};
pub use kernel_time::kernel_time;
pub use latency::Latency;
pub use paired::compare;
pub use parts::parts;
pub use proportionality::proportionality;

use std::time::Duration;

/// Nanoseconds, with their fraction.
fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
