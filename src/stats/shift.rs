//! How far differences lie from nought, by signed ranks.

use statrs::distribution::{ContinuousCDF, Normal};

use super::Interval;

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
    let means = Means::of(differences)?;
    let rank = lower_rank(differences.len(), confidence)?;
    Some(Interval {
        est: means.median(),
        lo: means.at(rank),
        hi: means.at(means.len() - 1 - rank),
    })
}

/// The means of two of some values, each with itself included, in order and never listed: of a
/// day's rounds there are hundreds of millions.
struct Means {
    sorted: Vec<f64>,
}

impl Means {
    /// None where there is no value, or a mean is no number.
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        // What is no number, and infinities of both signs, lie at the ends.
        let is_nan = mean(*sorted.first()?, *sorted.last()?).is_nan();
        (!is_nan).then_some(Self { sorted })
    }

    fn len(&self) -> usize {
        self.sorted.len() * (self.sorted.len() + 1) / 2
    }

    fn median(&self) -> f64 {
        let (below, above) = (self.at((self.len() - 1) / 2), self.at(self.len() / 2));
        match self.len() % 2 {
            1 => below,
            _ => below + 0.5 * (above - below),
        }
    }

    /// The one of this rank, from nought: the least that so many others are no more than, by
    /// bisection over all numbers that there are between the first and the last.
    fn at(&self, rank: usize) -> f64 {
        let ends = [self.sorted[0], self.sorted[self.sorted.len() - 1]];
        let [mut least, mut most] = ends.map(|end| place(mean(end, end)));
        while least < most {
            let middle = least.midpoint(most);
            match self.up_to(number(middle)) > rank {
                true => most = middle,
                false => least = middle + 1,
            }
        }
        number(least)
    }

    /// How many are no more than `limit`.
    fn up_to(&self, limit: f64) -> usize {
        let mut count = 0;
        // The larger the one, the fewer others make no more than the limit with it.
        let mut end = self.sorted.len();
        for (start, &value) in self.sorted.iter().enumerate() {
            let is_more = |other| mean(value, other).total_cmp(&limit).is_gt();
            while end > start && is_more(self.sorted[end - 1]) {
                end -= 1;
            }
            count += end.saturating_sub(start);
        }
        count
    }
}

fn mean(one: f64, other: f64) -> f64 {
    (one + other) / 2.0
}

/// Where a number comes in the order of all of them (that of [`f64::total_cmp`]).
fn place(number: f64) -> u64 {
    let bits = number.to_bits();
    match number.is_sign_negative() {
        true => !bits,
        false => bits | SIGN,
    }
}

/// The number in this place.
fn number(place: u64) -> f64 {
    f64::from_bits(match place & SIGN {
        0 => !place,
        _ => place & !SIGN,
    })
}

/// The bit of a number that is set where it is negative.
const SIGN: u64 = 1 << 63;

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

    /// All of them, in order.
    fn listed(values: &[f64]) -> Vec<f64> {
        let pairs = (0..values.len()).flat_map(|i| (i..values.len()).map(move |j| (i, j)));
        let mut means: Vec<f64> = pairs.map(|(i, j)| mean(values[i], values[j])).collect();
        means.sort_unstable_by(f64::total_cmp);
        means
    }

    #[test]
    fn means_are_those_of_their_list_to_the_bit() {
        let mut rng = fastrand::Rng::with_seed(5);
        for round in 0..400 {
            let mut values: Vec<f64> = (0..1 + round % 13)
                .map(|_| match round % 4 {
                    // Ties, and noughts of both signs.
                    0 => f64::from(rng.i32(-2..=2)) * 0.5,
                    1 => rng.f64() - 0.5,
                    // As far apart as numbers are.
                    2 => number(rng.u64(place(f64::MIN)..=place(f64::MAX))),
                    // The smallest that there are.
                    _ => f64::from_bits(rng.u64(0..4)) * f64::from(rng.i8(-1..=1)),
                })
                .collect();
            if round % 50 == 0 {
                values.push(f64::INFINITY);
            }
            let (means, listed) = (Means::of(&values).unwrap(), listed(&values));
            assert_eq!(means.len(), listed.len());
            for (rank, one) in listed.iter().enumerate() {
                let ours = means.at(rank);
                assert_eq!(ours.to_bits(), one.to_bits(), "{rank} of {values:?}");
            }
            let median = super::super::median(&listed).unwrap();
            assert_eq!(means.median().to_bits(), median.to_bits(), "{values:?}");
        }
    }

    /// A day of tracing has so many rounds: all means of two would take 1.9 GB.
    #[test]
    fn a_day_of_rounds_takes_no_list_of_means() {
        let differences: Vec<f64> = (0..21_600).map(|n| f64::from(n * 7919 % 21_600)).collect();
        let interval = shift_interval(&differences, 0.99).unwrap();
        assert_eq!(interval.est, 10_799.5);
        assert!(interval.lo < interval.est && interval.est < interval.hi);
    }

    #[test]
    fn what_is_no_number_gives_no_interval() {
        let mut values = vec![1.0; 20];
        assert!(shift_interval(&values, 0.99).is_some());
        for (one, other) in [
            (f64::NAN, 1.0),
            (-f64::NAN, 1.0),
            (f64::INFINITY, -f64::INFINITY),
        ] {
            (values[3], values[4]) = (one, other);
            assert!(shift_interval(&values, 0.99).is_none(), "{one} {other}");
        }
    }
}
