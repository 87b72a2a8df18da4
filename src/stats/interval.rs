//! An estimate with the interval that holds it, and how to get one for a median.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete};

use super::median;

/// An estimate and the confidence interval around it, all in the same unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The point estimate.
    pub est: f64,
    /// The low end.
    pub lo: f64,
    /// The high end.
    pub hi: f64,
}

impl Interval {
    /// Around a quantity that was counted, not estimated.
    pub fn exact(value: f64) -> Self {
        Self {
            est: value,
            lo: value,
            hi: value,
        }
    }

    /// Whether `value` lies inside, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }

    /// The interval of an increasing function of the quantity.
    pub fn map(&self, increasing: impl Fn(f64) -> f64) -> Interval {
        Interval {
            est: increasing(self.est),
            lo: increasing(self.lo),
            hi: increasing(self.hi),
        }
    }
}

/// The median of `values` with the distribution-free interval between two order
/// statistics: the narrowest symmetric pair whose coverage, by the binomial
/// distribution with p = 1/2, is at least `confidence` (Conover 1999, §3.2).
///
/// The values must be independent of each other; nothing else is assumed.
/// `None` when there are too few for that confidence (see
/// [`runs_for_median_interval`]), or one of them is not a number.
pub fn median_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let est = median(values)?;
    let rank = lower_rank(values.len() as u64, confidence)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(Interval {
        est,
        lo: sorted[rank],
        hi: sorted[sorted.len() - 1 - rank],
    })
}

/// The fewest values from which [`median_interval`] can give an interval of
/// this `confidence` (8 at 99 %, 6 at 95 %).
pub fn runs_for_median_interval(confidence: f64) -> usize {
    // The whole range covers the median with probability 1 - 2 * (1/2)^n.
    (1.0 - (1.0 - confidence).log2()).ceil().max(1.0) as usize
}

/// The zero-based rank of the lower order statistic, `None` when even the
/// smallest and the largest of `n` do not reach `confidence`.
fn lower_rank(n: u64, confidence: f64) -> Option<usize> {
    let tail = (1.0 - confidence) / 2.0;
    let below = Binomial::new(0.5, n).ok()?;
    // P(the median lies below the order statistic of zero-based rank r) = P(X <= r), walked
    // down from the middle: a suite may have a thousand medians, and a search in the
    // distribution function for each of them would take longer than reading them.
    let mut rank = n.checked_sub(1)? / 2;
    let mut at = below.pmf(rank);
    let mut up_to = match n % 2 {
        0 => (1.0 - below.pmf(n / 2)) / 2.0,
        _ => 0.5,
    };
    while up_to > tail {
        up_to -= at;
        at *= rank as f64 / (n - rank + 1) as f64;
        rank = rank.checked_sub(1)?;
    }
    Some(rank as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::DiscreteCDF;

    #[test]
    fn known_ranks() {
        // Tables of the sign test: n = 10 at 95 % uses the 2nd and 9th value, n = 20 the 6th and 15th.
        assert_eq!(lower_rank(10, 0.95), Some(1));
        assert_eq!(lower_rank(20, 0.95), Some(5));
        assert_eq!(lower_rank(5, 0.95), None);
        assert_eq!(lower_rank(6, 0.95), Some(0));
    }

    /// The highest rank whose tail is small enough, by the distribution function itself.
    #[test]
    fn ranks_are_those_of_the_distribution() {
        for n in (1..60).chain([100, 101, 5000]) {
            let below = Binomial::new(0.5, n).unwrap();
            for confidence in [0.9, 0.95, 0.99, 0.999] {
                let tail = (1.0 - confidence) / 2.0;
                let searched = (0..n).take_while(|r| below.cdf(*r) <= tail).last();
                let walked = lower_rank(n, confidence);
                assert_eq!(walked, searched.map(|r| r as usize), "n={n} {confidence}");
            }
        }
        assert_eq!(lower_rank(0, 0.9), None);
    }

    #[test]
    fn fewest_values_are_the_fewest() {
        for confidence in [0.9, 0.95, 0.99, 0.999] {
            let n = runs_for_median_interval(confidence);
            assert!(lower_rank(n as u64, confidence).is_some());
            assert!(lower_rank(n as u64 - 1, confidence).is_none());
        }
    }

    /// The claimed confidence, by simulation on skewed data.
    #[test]
    fn coverage_is_at_least_what_is_claimed() {
        let mut rng = fastrand::Rng::with_seed(7);
        let true_median = std::f64::consts::LN_2;
        for (n, confidence) in [(12, 0.95), (40, 0.95), (40, 0.99)] {
            let trials = 4000;
            let held = (0..trials)
                .filter(|_| {
                    let sample: Vec<f64> = (0..n).map(|_| -(1.0 - rng.f64()).ln()).collect();
                    median_interval(&sample, confidence).is_some_and(|i| i.contains(true_median))
                })
                .count();
            // Three standard errors of the simulation itself.
            let slack = 3.0 * (confidence * (1.0 - confidence) / trials as f64).sqrt();
            assert!(
                held as f64 / trials as f64 >= confidence - slack,
                "n={n} {confidence}: {held}/{trials}"
            );
        }
    }

    #[test]
    fn too_few_values_give_no_interval() {
        assert_eq!(median_interval(&[1.0, 2.0, 3.0], 0.99), None);
        assert_eq!(median_interval(&[], 0.99), None);
    }
}
