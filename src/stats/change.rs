//! How far one side's runs lie from another's, and how sure that is.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Interval, median};

/// The standard deviation of normal data over the median of its distances from the middle.
const SIGMA_OVER_MAD: f64 = 1.4826;

/// The runs of a benchmark that a new measurement is held against: a logarithm for
/// each run, grouped by session.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// Sessions of runs.
    pub sessions: &'a [Vec<f64>],
    /// The standard deviation between sessions (in logarithms) that is assumed before
    /// any was seen. It has the weight of one session.
    pub drift: f64,
}

/// The difference between the medians of two sides, and the error of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Median of the current runs less median of the reference.
    pub est: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom behind the error.
    pub freedom: f64,
    /// What the error's square would be with endlessly many current runs.
    limit: f64,
    /// The standard deviation of one run.
    spread: f64,
}

impl Reference<'_> {
    /// How far the median of `current` lies from that of the reference.
    ///
    /// The spread of single runs is 1.4826 times the median of all runs' distances from
    /// the median of their own session (Rousseeuw & Croux 1993), so that nearly half of
    /// the runs may be outliers of any size. A median of n normal values has the variance
    /// π / (2n + π - 2) of one (exact at n = 1; for small even n up to a quarter too
    /// much). The drift between sessions is what the sessions' medians show beyond that.
    ///
    /// `None` where no session and not the current runs have three values.
    pub fn change(&self, current: &[f64]) -> Option<Change> {
        let all: Vec<f64> = self.sessions.concat();
        let groups = self.sessions.iter().map(Vec::as_slice).chain([current]);
        let (spread, freedom) = spread(groups)?;
        let limit = self.variance(spread);
        Some(Change {
            est: median(current)? - median(&all)?,
            error: (limit + spread.powi(2) * median_variance(current.len())).sqrt(),
            freedom,
            limit,
            spread,
        })
    }

    /// The smallest change that `runs` new runs could show against this reference:
    /// half the width of an interval of that `confidence` which the reference's own
    /// runs allow.
    pub fn noise_floor(&self, runs: usize, confidence: f64) -> Option<f64> {
        let (spread, freedom) = spread(self.sessions.iter().map(Vec::as_slice))?;
        let variance = self.variance(spread) + spread.powi(2) * median_variance(runs);
        Some(reach(freedom, confidence)? * variance.sqrt())
    }

    /// The variance of what a new session's middle is expected to be: of the median of all
    /// runs, and of the drift of the sessions behind it and of the new one.
    fn variance(&self, spread: f64) -> f64 {
        let runs = self.sessions.iter().map(Vec::len).sum();
        let sessions = self.sessions.iter().filter(|s| !s.is_empty()).count() as f64;
        spread.powi(2) * median_variance(runs)
            + self.drift_variance(spread) * (1.0 + 1.0 / sessions)
    }

    /// The variance between sessions: what was seen, and the assumption as one more
    /// session's worth.
    fn drift_variance(&self, spread: f64) -> f64 {
        let medians: Vec<f64> = self.sessions.iter().filter_map(|s| median(s)).collect();
        let count = medians.len() as f64;
        let mean = medians.iter().sum::<f64>() / count;
        let seen: f64 = medians.iter().map(|m| (m - mean).powi(2)).sum();
        let within: f64 = self
            .sessions
            .iter()
            .filter(|s| !s.is_empty())
            .map(|s| median_variance(s.len()) * spread.powi(2))
            .sum();
        let beyond = (seen - within * (count - 1.0) / count).max(0.0);
        (self.drift.powi(2) + beyond) / count
    }
}

impl Change {
    /// The interval around the estimate, by Student's t.
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let reach = reach(self.freedom, confidence)? * self.error;
        Some(Interval {
            est: self.est,
            lo: self.est - reach,
            hi: self.est + reach,
        })
    }

    /// The chance of an estimate this far out, on its own side, if nothing changed.
    pub fn p_value(&self) -> f64 {
        match StudentsT::new(0.0, 1.0, self.freedom) {
            Ok(t) if self.error > 0.0 => t.sf(self.est.abs() / self.error),
            _ => 1.0,
        }
    }

    /// How many current runs in all would bring this estimate's p-value down to
    /// `p_value`; `None` where no number would, because the reference itself is too rough.
    pub fn runs_for(&self, p_value: f64) -> Option<usize> {
        let t = StudentsT::new(0.0, 1.0, self.freedom).ok()?;
        let error = self.est.abs() / t.inverse_cdf(1.0 - p_value);
        let room = error.powi(2) - self.limit;
        if room <= 0.0 {
            return None;
        }
        // median_variance solved for n.
        let n = (PI * self.spread.powi(2) / room + 2.0 - PI) / 2.0;
        (n.is_finite() && n < 1e6).then(|| n.ceil().max(1.0) as usize)
    }
}

/// The standard deviation of single runs about the medians of their groups, and its
/// degrees of freedom. A group of fewer than three shows no spread of its own.
fn spread<'a>(groups: impl Iterator<Item = &'a [f64]>) -> Option<(f64, f64)> {
    let mut distances = Vec::new();
    let mut medians = 0;
    for group in groups.filter(|g| g.len() >= 3) {
        let centre = median(group)?;
        distances.extend(group.iter().map(|v| (v - centre).abs()));
        medians += 1;
    }
    let freedom = (distances.len() - medians) as f64;
    let typical = SIGMA_OVER_MAD * median(&distances)?;
    Some((typical * (distances.len() as f64 / freedom).sqrt(), freedom))
}

/// The variance of the median of `n` normal values, in units of one value's.
fn median_variance(n: usize) -> f64 {
    PI / (2.0 * n as f64 + PI - 2.0)
}

/// How many standard errors an interval reaches to either side.
fn reach(freedom: f64, confidence: f64) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(t.inverse_cdf(0.5 + confidence / 2.0))
}

/// Which of `p_values` may be called so that the chance of any false call among them
/// all stays below `error` (Holm 1979): the smallest is held against `error` divided by
/// their number, the next against one fewer, and so on up to the first that fails.
/// The second value is what the first that failed, or the last, was held against.
pub fn holm(p_values: &[f64], error: f64) -> (Vec<bool>, f64) {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut called = vec![false; p_values.len()];
    let mut limit = error;
    for (rank, &i) in order.iter().enumerate() {
        limit = error / (p_values.len() - rank) as f64;
        if p_values[i].is_nan() || p_values[i] > limit {
            break;
        }
        called[i] = true;
    }
    (called, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::Normal;

    fn normal(rng: &mut fastrand::Rng) -> f64 {
        Normal::standard().inverse_cdf(1.0 - rng.f64())
    }

    fn runs(rng: &mut fastrand::Rng, n: usize, centre: f64, sigma: f64) -> Vec<f64> {
        (0..n).map(|_| centre + sigma * normal(rng)).collect()
    }

    #[test]
    fn a_shift_is_found_and_its_sign_kept() {
        let sessions = [vec![0.0, 0.01, -0.01, 0.005, -0.005]];
        let reference = Reference {
            sessions: &sessions,
            drift: 0.005,
        };
        let slower = reference.change(&[0.5, 0.51, 0.49]).unwrap();
        assert!((slower.est - 0.5).abs() < 1e-12 && slower.p_value() < 1e-6);
        let faster = reference.change(&[-0.5, -0.51, -0.49]).unwrap();
        assert!((faster.est + 0.5).abs() < 1e-12 && faster.p_value() < 1e-6);
        let interval = slower.interval(0.99).unwrap();
        assert!(interval.contains(0.5) && !interval.contains(0.0));
    }

    #[test]
    fn no_spread_no_answer() {
        let sessions = [vec![0.0, 0.1]];
        let reference = Reference {
            sessions: &sessions,
            drift: 0.0,
        };
        assert_eq!(reference.change(&[0.1, 0.2]), None);
        assert_eq!(reference.noise_floor(5, 0.99), None);
        // Three current runs show what the reference does not.
        assert!(reference.change(&[0.1, 0.2, 0.3]).is_some());
    }

    #[test]
    fn identical_runs_are_no_certainty() {
        let sessions = [vec![1.0; 10]];
        let reference = Reference {
            sessions: &sessions,
            drift: 0.0,
        };
        assert_eq!(reference.change(&[1.0; 5]).unwrap().p_value(), 1.0);
    }

    #[test]
    fn the_variance_of_a_median_is_near_what_the_formula_says() {
        let mut rng = fastrand::Rng::with_seed(3);
        for n in [1, 2, 3, 5, 10, 20] {
            let trials = 20_000;
            let seen: f64 = (0..trials)
                .map(|_| median(&runs(&mut rng, n, 0.0, 1.0)).unwrap().powi(2))
                .sum::<f64>()
                / trials as f64;
            let ratio = median_variance(n) / seen;
            assert!((0.95..1.27).contains(&ratio), "n={n}: {ratio}");
        }
    }

    /// The claimed confidence, by simulation: normal runs, sessions that drift as assumed.
    #[test]
    fn intervals_hold_what_they_claim() {
        let mut rng = fastrand::Rng::with_seed(11);
        for (shape, current, sigma) in [
            (vec![10], 5, 0.02),
            (vec![10], 1, 0.02),
            (vec![5, 5, 5], 5, 0.01),
            (vec![5], 3, 0.03),
        ] {
            let drift = 0.007;
            let trials = 4000;
            let held = (0..trials)
                .filter(|_| {
                    let sessions: Vec<Vec<f64>> = shape
                        .iter()
                        .map(|&n| {
                            let centre = drift * normal(&mut rng);
                            runs(&mut rng, n, centre, sigma)
                        })
                        .collect();
                    let centre = 0.1 + drift * normal(&mut rng);
                    let current = runs(&mut rng, current, centre, sigma);
                    let reference = Reference {
                        sessions: &sessions,
                        drift,
                    };
                    let change = reference.change(&current).unwrap();
                    change.interval(0.99).unwrap().contains(0.1)
                })
                .count() as f64
                / trials as f64;
            assert!(held > 0.98, "{shape:?}+{current}: {held}");
        }
    }

    #[test]
    fn the_floor_falls_with_runs_and_sessions_and_rises_with_drift() {
        let mut rng = fastrand::Rng::with_seed(5);
        let floor = |sessions: &[Vec<f64>]| {
            Reference {
                sessions,
                drift: 0.01,
            }
            .noise_floor(5, 0.99)
            .unwrap()
        };
        let five = runs(&mut rng, 5, 0.0, 0.02);
        let calm: Vec<Vec<f64>> = (0..4).map(|_| five.clone()).collect();
        let apart: Vec<Vec<f64>> = (0..4)
            .map(|k| five.iter().map(|v| v + 0.05 * k as f64).collect())
            .collect();
        assert!(floor(&calm) < floor(&calm[..2]));
        assert!(floor(&calm[..2]) < floor(&calm[..1]));
        assert!(floor(&apart) > floor(&calm));
    }

    #[test]
    fn three_outliers_in_ten_do_not_move_the_spread() {
        let good = [-0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02];
        let with = |outlier: f64| {
            let session = [good.as_slice(), &[outlier; 3]].concat();
            spread([session.as_slice()].into_iter()).unwrap().0
        };
        assert_eq!(with(1.0), with(100.0));
    }

    #[test]
    fn more_runs_are_promised_only_where_they_help() {
        let sessions = [vec![
            0.0, 0.02, -0.02, 0.03, -0.03, 0.01, -0.01, 0.025, -0.025, 0.0,
        ]];
        let reference = Reference {
            sessions: &sessions,
            drift: 0.001,
        };
        let unclear = reference.change(&[0.05, 0.09, 0.08]).unwrap();
        let wanted = unclear.runs_for(0.001).unwrap();
        assert!(wanted > 3, "{wanted}");
        let hopeless = reference.change(&[0.01, 0.011, 0.012]).unwrap();
        assert_eq!(hopeless.runs_for(0.001), None);
    }

    #[test]
    fn holm_steps_down_and_stops() {
        assert_eq!(
            holm(&[0.001, 0.02, 0.004], 0.01),
            (vec![true, false, true], 0.01)
        );
        assert_eq!(
            holm(&[0.004, 0.004, 0.004], 0.01),
            (vec![false; 3], 0.01 / 3.0)
        );
        assert_eq!(holm(&[], 0.01), (vec![], 0.01));
        assert_eq!(holm(&[f64::NAN], 0.01).0, [false]);
    }
}
