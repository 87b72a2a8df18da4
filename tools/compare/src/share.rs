//! How often something came true.

use probecost::stats::Interval;
use serde::Serialize;

use crate::selftest::clopper_pearson;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_said_with_its_interval() {
        let share = Share::of((0..20).map(|k| k != 7));
        assert_eq!(share.counts(), "19 of 20");
        assert_eq!(share.percent(), "95 % (75 to 100)");
        assert_eq!(Share::of(std::iter::empty()).counts(), "0 of 0");
    }
}
