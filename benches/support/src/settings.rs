//! The Criterion of every target.

use std::time::Duration;

use criterion::Criterion;

use crate::arguments;
use crate::turns::{self, Turns};

/// These settings, changed by the arguments, and blocks by turns. A group of slow
/// operations takes fewer samples.
pub fn criterion() -> Criterion<Turns> {
    // Starts the executable once more, perhaps, so the driver is met afterwards.
    arguments::take_require_agent();
    turns::meet_driver();
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .nresamples(20_000)
        .without_plots()
        .with_measurement(Turns)
        .configure_from_args()
}
