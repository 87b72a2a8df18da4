//! Noise for tests.

use statrs::distribution::{ContinuousCDF, Normal};

/// A number of the standard normal distribution.
pub fn normal(rng: &mut fastrand::Rng) -> f64 {
    Normal::standard().inverse_cdf(1.0 - rng.f64())
}
