//! How far differences lie from nought, by signed ranks.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{Interval, median};

/// Up to here the ranks' distribution is counted, from here on it is normal.
const COUNTED: usize = 100;

/// The median of all means of two of `differences`, with the interval that the signed-rank
/// test leaves at `confidence` (Hodges & Lehmann 1963; Hollander & Wolfe 1999, §3.2, 3.3).
///
/// The differences must be independent, and lie about alike on both sides of their middle:
/// what one arm of a round has more than another does, where the arm adds the same to all.
/// For normal ones the interval is a fifth narrower than the median's, and far values weigh as
/// little. `None` for fewer than the confidence takes (8 at 99 %), or where one is no number.
pub fn shift_interval(differences: &[f64], confidence: f64) -> Option<Interval> {
    let n = differences.len();
    let mut means: Vec<f64> = (0..n)
        .flat_map(|i| (i..n).map(move |j| (i, j)))
        .map(|(i, j)| (differences[i] + differences[j]) / 2.0)
        .collect();
    let est = median(&means)?;
    let rank = lower_rank(n, confidence)?;
    means.sort_unstable_by(f64::total_cmp);
    Some(Interval {
        est,
        lo: means[rank],
        hi: means[means.len() - 1 - rank],
    })
}

/// The zero-based rank of the mean that is the interval's lower end.
fn lower_rank(n: usize, confidence: f64) -> Option<usize> {
    let tail = (1.0 - confidence) / 2.0;
    if n > COUNTED {
        let n = n as f64;
        let (middle, variance) = (n * (n + 1.0) / 4.0, n * (n + 1.0) * (2.0 * n + 1.0) / 24.0);
        let z = Normal::standard().inverse_cdf(tail);
        return Some((middle + z * variance.sqrt() - 0.5).floor() as usize);
    }
    // P(W = w) for the sum W of those of the ranks 1..=n whose difference is positive.
    let mut chance = vec![0.0; n * (n + 1) / 2 + 1];
    chance[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..chance.len()).rev() {
            let with = sum.checked_sub(rank).map_or(0.0, |rest| chance[rest]);
            chance[sum] = (chance[sum] + with) / 2.0;
        }
    }
    let mut below = 0.0;
    let mut ranks = chance.iter().take_while(|chance| {
        below += *chance;
        below <= tail
    });
    ranks.by_ref().count().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ranks() {
        // Tables of the signed-rank test, two-sided: the largest W that is still significant.
        for (n, confidence, largest) in [
            (6, 0.95, 0),
            (10, 0.95, 8),
            (10, 0.99, 3),
            (20, 0.95, 52),
            (20, 0.99, 37),
        ] {
            assert_eq!(lower_rank(n, confidence), Some(largest), "n = {n}");
        }
        assert_eq!(lower_rank(7, 0.99), None);
        assert_eq!(lower_rank(0, 0.99), None);
    }

    #[test]
    fn counting_and_the_normal_distribution_meet() {
        let [counted, normal] = [COUNTED, COUNTED + 1].map(|n| lower_rank(n, 0.99).unwrap());
        // One more value moves the rank by about 35 of 1781.
        assert!((20..50).contains(&(normal - counted)), "{counted} {normal}");
    }

    /// The claimed confidence, by simulation with far values, and what it gains.
    #[test]
    fn coverage_is_what_is_claimed() {
        let mut rng = fastrand::Rng::with_seed(11);
        let trials = 2000;
        for n in [12, 40] {
            let (mut held, mut ours, mut medians) = (0, 0.0, 0.0);
            for _ in 0..trials {
                let sample: Vec<f64> = (0..n)
                    .map(|_| {
                        let normal: f64 = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
                        3.0 + normal * if rng.f64() < 0.05 { 10.0 } else { 1.0 }
                    })
                    .collect();
                let interval = shift_interval(&sample, 0.99).unwrap();
                held += u32::from(interval.contains(3.0));
                ours += interval.hi - interval.lo;
                let median = super::super::median_interval(&sample, 0.99).unwrap();
                medians += median.hi - median.lo;
            }
            let slack = 3.0 * (0.99 * 0.01 / f64::from(trials)).sqrt();
            assert!(
                f64::from(held) / f64::from(trials) >= 0.99 - slack,
                "{held}"
            );
            if n == 40 {
                assert!(ours < 0.9 * medians, "{ours} {medians}");
            }
        }
    }

    #[test]
    fn what_is_no_number_gives_no_interval() {
        let mut values = vec![1.0; 20];
        assert!(shift_interval(&values, 0.99).is_some());
        values[3] = f64::NAN;
        assert!(shift_interval(&values, 0.99).is_none());
    }
}
