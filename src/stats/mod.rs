//! Pure functions on numbers. No files, no clocks, no kernel.
//!
//! Units are the caller's: an interval around nanoseconds is in nanoseconds.

mod change;
mod fisher;
mod interval;
mod order;
mod regression;
mod shift;

pub use change::{Change, Reference, holm};
pub use fisher::fisher;
pub use interval::{Interval, median_interval, runs_for_median_interval};
pub use order::{mad, median, quantile};
pub use regression::{lack_of_fit, slope};
pub use shift::shift_interval;

/// The confidence of every interval that this project prints.
///
/// 99 %, not 95 %: a reader expects an interval to hold when the measurement is
/// repeated, and a second estimate falls into the first one's 95 % interval only
/// five times in six.
pub const CONFIDENCE: f64 = 0.99;
