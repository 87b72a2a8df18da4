//! The one rule: an interval against a limit gives one outcome.

use crate::schema::{Check, Outcome};
use crate::stats::Interval;

/// What a quantity may be, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// At most so much; exactly so much is within it.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// Neither less than `least` nor more than `most`.
    Within {
        /// The least.
        least: f64,
        /// The most.
        most: f64,
    },
    /// At most `pass`; up to `fail` it is marginal.
    Steps {
        /// The most that passes.
        pass: f64,
        /// The most that is marginal.
        fail: f64,
    },
}

/// Holds an interval against a limit: it passes where the whole interval keeps to it,
/// and fails where none of it does; otherwise it cannot be decided.
pub fn judge(measured: Interval, limit: Limit) -> Outcome {
    match limit {
        Limit::AtMost(most) if measured.hi <= most => Outcome::Pass,
        Limit::AtMost(most) if measured.lo > most => Outcome::Fail,
        Limit::AtLeast(least) if measured.lo >= least => Outcome::Pass,
        Limit::AtLeast(least) if measured.hi < least => Outcome::Fail,
        Limit::Within { least, most } if measured.lo >= least && measured.hi <= most => {
            Outcome::Pass
        }
        Limit::Within { least, most } if measured.hi < least || measured.lo > most => Outcome::Fail,
        Limit::Steps { pass, .. } if measured.hi <= pass => Outcome::Pass,
        Limit::Steps { fail, .. } if measured.lo > fail => Outcome::Fail,
        Limit::Steps { pass, fail } if measured.lo > pass && measured.hi <= fail => {
            Outcome::Marginal
        }
        // Also where an end is not a number: no comparison with one holds.
        _ => Outcome::Inconclusive,
    }
}

/// Holds what was measured to the most that is allowed.
pub fn check(measure: &str, most: f64, measured: Interval) -> Check {
    Check {
        measure: measure.into(),
        limit: most,
        measured,
        verdict: judge(measured, Limit::AtMost(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(lo: f64, hi: f64) -> Interval {
        let est = f64::midpoint(lo, hi);
        Interval { est, lo, hi }
    }

    #[test]
    fn the_whole_interval_decides() {
        use Limit::{AtLeast, AtMost, Steps, Within};
        let steps = Steps {
            pass: 5.0,
            fail: 10.0,
        };
        let around_two = Within {
            least: 1.9,
            most: 2.1,
        };
        for (lo, hi, limit, outcome) in [
            (1.0, 5.0, AtMost(5.0), Outcome::Pass),
            (4.0, 6.0, AtMost(5.0), Outcome::Inconclusive),
            (5.1, 6.0, AtMost(5.0), Outcome::Fail),
            (5.0, 6.0, AtLeast(5.0), Outcome::Pass),
            (4.0, 5.0, AtLeast(5.0), Outcome::Inconclusive),
            (4.0, 4.9, AtLeast(5.0), Outcome::Fail),
            (1.9, 2.1, around_two, Outcome::Pass),
            (1.8, 2.0, around_two, Outcome::Inconclusive),
            (1.7, 1.8, around_two, Outcome::Fail),
            (2.2, 2.3, around_two, Outcome::Fail),
            (1.0, 5.0, steps, Outcome::Pass),
            (4.0, 6.0, steps, Outcome::Inconclusive),
            (5.5, 10.0, steps, Outcome::Marginal),
            (9.0, 11.0, steps, Outcome::Inconclusive),
            (10.5, 11.0, steps, Outcome::Fail),
        ] {
            assert_eq!(
                judge(between(lo, hi), limit),
                outcome,
                "{lo} {hi} {limit:?}"
            );
        }
    }

    #[test]
    fn what_is_not_a_number_passes_nothing() {
        let none = between(f64::NAN, f64::NAN);
        for limit in [Limit::AtMost(1.0), Limit::AtLeast(1.0)] {
            assert_eq!(judge(none, limit), Outcome::Inconclusive);
        }
    }
}
