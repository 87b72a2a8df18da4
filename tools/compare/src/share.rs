//! How often something came true.

use probecost::stats::Interval;
use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};

/// The confidence of the intervals around rates.
pub const CONFIDENCE: f64 = 0.95;

/// How often something came true, in trials that are independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How often it did.
    pub came: usize,
    /// Of how many.
    pub of: usize,
    /// 0..=1, with its 95 % interval.
    pub rate: Interval,
}

impl Share {
    /// Counts them.
    pub fn of(outcomes: impl Iterator<Item = bool>) -> Self {
        let (mut came, mut of) = (0, 0);
        for outcome in outcomes {
            came += usize::from(outcome);
            of += 1;
        }
        let est = match of {
            0 => 0.0,
            _ => came as f64 / of as f64,
        };
        Self {
            came,
            of,
            rate: clopper_pearson(est, of as f64),
        }
    }

    /// `19 of 20`
    pub fn counts(&self) -> String {
        format!("{} of {}", self.came, self.of)
    }

    /// `95 % (75 to 100)`
    pub fn percent(&self) -> String {
        let percent = self.rate.map(|rate| 100.0 * rate);
        format!(
            "{:.0} % ({:.0} to {:.0})",
            percent.est, percent.lo, percent.hi
        )
    }
}

/// The interval of Clopper & Pearson (1934) around a rate `est` seen in `trials`, of which
/// there may be fractions.
pub fn clopper_pearson(est: f64, trials: f64) -> Interval {
    let came = est * trials;
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let end = |a: f64, b: f64, chance: f64| Some(Beta::new(a, b).ok()?.inverse_cdf(chance));
    // A shape of zero has no distribution: the rate is 0 or 1, and so is that end.
    let lo = end(came, trials - came + 1.0, tail).unwrap_or(0.0).min(est);
    let hi = end(came + 1.0, trials - came, 1.0 - tail)
        .unwrap_or(1.0)
        .max(est);
    // More digits than that say nothing.
    let round = |share: f64| (1e5 * share).round() / 1e5;
    Interval { est, lo, hi }.map(round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_clopper_and_pearson() {
        let near = |i: Interval, lo: f64, hi: f64| {
            assert!(
                (i.lo - lo).abs() < 1e-4 && (i.hi - hi).abs() < 1e-4,
                "{i:?}"
            );
        };
        near(clopper_pearson(0.3, 10.0), 0.0667, 0.6525);
        near(clopper_pearson(0.0, 30.0), 0.0, 0.1157);
        near(clopper_pearson(1.0, 30.0), 0.8843, 1.0);
    }

    #[test]
    fn a_share_is_said_with_its_interval() {
        let share = Share::of((0..20).map(|k| k != 7));
        assert_eq!(share.counts(), "19 of 20");
        assert_eq!(share.percent(), "95 % (75 to 100)");
        assert_eq!(Share::of(std::iter::empty()).counts(), "0 of 0");
    }
}
