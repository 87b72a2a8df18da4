//! A rate over resampled suites, and how exact it is.

use probecost::stats::Interval;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::share::{CONFIDENCE, clopper_pearson};

/// Groups of runs next to each other in time. Phases of a machine are shorter than an
/// eighth of a collection of forty runs, and seven degrees of freedom cost little.
const GROUPS: usize = 8;

/// Runs that suites were drawn from.
#[derive(Debug, Default)]
pub struct Pool {
    /// How many runs there are, in order of time.
    pub runs: usize,
    /// The runs in each suite.
    pub drawn: Vec<Vec<usize>>,
}

/// The mean of `shares`, one for each suite that tells, 0..=1, and the interval around it;
/// `None` where no suite tells. The suites draw from all of the `pools`.
///
/// The suites share their runs, so their number says nothing of how exact the rate is.
/// The rate is a U-statistic (Hoeffding 1948), and its variance is taken from the runs: by
/// the jackknife (Efron & Stein 1981), the rate without a run being that of the suites that
/// did not draw it, over groups of runs next to each other in time, because runs resemble
/// their neighbours (Künsch 1989; Kott 2001). What drawing only so many suites adds to the
/// differences is subtracted, and to the rate added (Wager, Hastie & Efron 2014).
///
/// From the variance follows how many independent trials the rate is worth, and from these
/// the interval of Clopper & Pearson (1934), as Korn & Graubard (1998) do for surveys. A
/// rate is worth at most as many trials as there are runs, or none of 2000 suites would be
/// taken for certain; and no fewer than the suites that share no run, which is Hoeffding's
/// bound.
///
/// In simulations with the gate and the rules of others (`resample.rs` has a short one) 95 %
/// intervals of twenty rates held the true one in 88 to 100 % of collections of 40 runs from
/// a machine with phases of four runs, and in 91 to 100 % of those of 60; without phases in
/// 98 to 100 %, but for benchstat's power, which single slow runs decide: 77 to 94 %.
/// Where phases are longer than a group of runs, intervals are too narrow.
pub fn rate(shares: &[Option<f64>], pools: &[&Pool]) -> Option<Interval> {
    let told: Vec<f64> = shares.iter().flatten().copied().collect();
    let suites = told.len() as f64;
    if told.is_empty() {
        return None;
    }
    let est = told.iter().sum::<f64>() / suites;
    let spread = told.iter().map(|share| (share - est).powi(2)).sum::<f64>() / suites;
    let (mut least, mut most) = (f64::INFINITY, suites);
    let mut variance = Some(spread / suites);
    for pool in pools {
        let drawn = pool.drawn.first().map_or(0, Vec::len).max(1) as f64;
        least = least.min(pool.runs as f64 / drawn);
        most = most.min(pool.runs as f64);
        variance = variance
            .zip(jackknife(shares, pool, est, spread))
            .map(|(a, b)| a + b);
    }
    let groups = pools.iter().map(|p| p.runs).min().unwrap_or(0).min(GROUPS);
    let trials = match variance.zip(inflation(groups)) {
        Some((variance, inflation)) => est * (1.0 - est) / (variance * inflation),
        None => 0.0,
    };
    // No variance and no event leave no number: as many trials as can be.
    let trials = if trials.is_nan() { most } else { trials };
    Some(clopper_pearson(est, trials.max(least).min(most)))
}

/// The interval around a rate in suites whose runs follow each other in time, one
/// suite begun by every run: worth as many trials as suites that share no run.
pub fn rate_in_order(shares: &[f64], runs: usize, drawn: usize) -> Option<Interval> {
    let est = shares.iter().sum::<f64>() / shares.len() as f64;
    (!shares.is_empty()).then(|| clopper_pearson(est, runs as f64 / drawn as f64))
}

/// The variance that the runs of this pool cause; `None` where every suite draws the same
/// run, and nobody knows what would be without it.
fn jackknife(shares: &[Option<f64>], pool: &Pool, est: f64, spread: f64) -> Option<f64> {
    let runs = pool.runs as f64;
    let (mut suites, mut sum) = (0.0, 0.0);
    let mut with = vec![(0.0, 0.0); pool.runs];
    for (share, drawn) in shares.iter().zip(&pool.drawn) {
        let Some(share) = share else { continue };
        suites += 1.0;
        sum += share;
        for run in drawn {
            with[*run].0 += 1.0;
            with[*run].1 += share;
        }
    }
    let groups = GROUPS.min(pool.runs);
    let mut moved = vec![0.0; groups];
    let mut by_chance = 0.0;
    for (run, (with_suites, with_sum)) in with.iter().enumerate() {
        let without = suites - with_suites;
        if without <= 0.0 {
            return None;
        }
        moved[run * groups / pool.runs] += (sum - with_sum) / without - est;
        by_chance += with_suites / without * spread / suites;
    }
    let groups = groups as f64;
    let mean = moved.iter().sum::<f64>() / groups;
    let seen: f64 = moved.iter().map(|m| (m - mean).powi(2)).sum();
    let scale = ((runs - 1.0) / runs).powi(2);
    Some((scale * (seen * groups / (groups - 1.0) - by_chance)).max(0.0))
}

/// By how much a variance that was estimated from so many groups is to be taken for
/// larger: the square of Student's quantile over the normal one.
fn inflation(groups: usize) -> Option<f64> {
    let upper = 0.5 + CONFIDENCE / 2.0;
    let t = StudentsT::new(0.0, 1.0, groups.checked_sub(1)? as f64).ok()?;
    Some((t.inverse_cdf(upper) / Normal::standard().inverse_cdf(upper)).powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Suites of `drawn` of `runs` runs.
    fn pool(runs: usize, drawn: usize, suites: usize, seed: u64) -> Pool {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut suite = || {
            let mut order: Vec<usize> = (0..runs).collect();
            rng.shuffle(&mut order);
            order.truncate(drawn);
            order
        };
        Pool {
            runs,
            drawn: (0..suites).map(|_| suite()).collect(),
        }
    }

    /// The rate of suites with at least two of the runs that are `bad`.
    fn of_bad(pool: &Pool, bad: impl Fn(usize) -> bool) -> Interval {
        let two = |drawn: &Vec<usize>| drawn.iter().filter(|run| bad(**run)).count() >= 2;
        let shares: Vec<Option<f64>> = pool
            .drawn
            .iter()
            .map(|drawn| Some(f64::from(u8::from(two(drawn)))))
            .collect();
        rate(&shares, &[pool]).unwrap()
    }

    #[test]
    fn none_of_many_suites_is_not_never() {
        let pool = pool(40, 15, 2000, 1);
        let never = of_bad(&pool, |_| false);
        let one_in_forty = 1.0 - 0.025f64.powf(1.0 / 40.0);
        assert_eq!((never.est, never.lo), (0.0, 0.0));
        assert!((never.hi - one_in_forty).abs() < 1e-4, "{never:?}");
    }

    #[test]
    fn suites_that_take_every_run_are_worth_one() {
        let pool = pool(15, 15, 2000, 1);
        assert_eq!(of_bad(&pool, |_| false).hi, 0.975);
    }

    /// A slowdown planted in few runs is not known better for many unchanged ones.
    #[test]
    fn the_scarcer_runs_say_how_exact_a_rate_is() {
        let (many, few) = (pool(60, 15, 500, 1), pool(5, 5, 500, 2));
        let shares = vec![Some(1.0); 500];
        let both = rate(&shares, &[&many, &few]).unwrap();
        let one = rate(&shares, &[&many]).unwrap();
        assert!(both.lo < 0.1 && one.lo > 0.9, "{both:?} {one:?}");
    }

    #[test]
    fn bad_runs_next_to_each_other_tell_less_than_bad_runs_apart() {
        let pool = pool(60, 15, 4000, 1);
        let apart = of_bad(&pool, |run| run % 10 == 0);
        let together = of_bad(&pool, |run| run < 6);
        let width = |i: Interval| i.hi - i.lo;
        assert!(
            width(together) > 1.3 * width(apart),
            "{apart:?} {together:?}"
        );
    }

    #[test]
    fn a_rate_in_order_is_worth_the_suites_that_share_no_run() {
        let rate = rate_in_order(&[0.0; 46], 60, 15).unwrap();
        assert!(
            (rate.hi - (1.0 - 0.025f64.powf(0.25))).abs() < 1e-4,
            "{rate:?}"
        );
        assert_eq!(rate_in_order(&[], 60, 15), None);
    }

    #[test]
    fn what_no_suite_tells_has_no_rate() {
        assert_eq!(rate(&[None, None], &[&pool(10, 5, 2, 1)]), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_rate(
            shares in proptest::collection::vec(proptest::option::of(0.0..=1.0f64), 1..60),
            runs in 1..30usize,
            drawn in 1..30usize,
        ) {
            let pool = pool(runs, drawn.min(runs), shares.len(), 1);
            if let Some(i) = rate(&shares, &[&pool]) {
                prop_assert!(0.0 <= i.lo && i.lo <= i.est && i.est <= i.hi && i.hi <= 1.0, "{i:?}");
            }
        }
    }
}
