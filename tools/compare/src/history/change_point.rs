//! Where the level of a series changes.
//!
//! Fearnhead & Rigaill 2019, "Changepoint Detection in the Presence of Outliers", Journal of
//! the American Statistical Association 114: of all ways to cut the series into levels, the
//! one with the least sum of the points' losses and a penalty for each cut. The loss is the
//! biweight: the squared distance to the level, and no more than that of a point three
//! standard deviations away, so that an outlier costs the same however far it lies. A change
//! of spread alone is seldom taken for one of level.

use probecost::stats::median;

/// Beyond so many standard deviations a point is an outlier (the authors' choice).
const OUTLIER: f64 = 3.0;

/// What a point costs at most, as a square of standard deviations.
const MOST: f64 = OUTLIER * OUTLIER;

/// What a cut costs: as much as two outliers, so that two points never make a level, how far
/// away they may lie.
///
/// The authors take 2 ln n, which is less for every series of under 8,000 points: too little
/// where the standard deviation has to be taken from a dozen points. With this one fewer than
/// 3 % of series without a change get one, whatever their length and the shape of their noise
/// (tested below).
const PENALTY: f64 = 2.0 * MOST;

/// Costs that are this close are equal: an outlier between two levels costs the same on either,
/// and is left on the old one, so that a change is where the new one is seen.
const TIE: f64 = 1e-9;

/// The fewest points that can show a change: three on either side.
pub const FEWEST: usize = 6;

/// The indices in `values` from which on their level is another one.
///
/// `values` are finite and on a scale on which the noise does not grow with the level: of
/// times, the logarithms. They must be independent of each other: a drift that lasts over
/// several points looks like a change of level, because it is one.
pub fn change_points(values: &[f64]) -> Vec<usize> {
    if values.len() < FEWEST {
        return Vec::new();
    }
    let spread = spread(values);
    let loss = |value: f64, level: f64| ((value - level) / spread).powi(2).min(MOST);
    // The least cost of the values so far where the last level is `values[k]`, and where that
    // level began. Levels between two values are left out: one of them is close enough.
    let mut costs = vec![(0.0, 0); values.len()];
    let mut cheapest = (0.0, 0);
    // Of the cheapest way to cut the first `end` values, where the last level begins.
    let mut begins = vec![0; values.len() + 1];
    for (end, value) in values.iter().enumerate() {
        let cut = (cheapest.0 + PENALTY, end);
        cheapest = (f64::INFINITY, 0);
        for (cost, level) in costs.iter_mut().zip(values) {
            if end > 0 && cut.0 < cost.0 + TIE {
                *cost = cut;
            }
            cost.0 += loss(*value, *level);
            if cost.0 < cheapest.0 {
                cheapest = *cost;
            }
        }
        begins[end + 1] = cheapest.1;
    }
    let mut found = Vec::new();
    let mut end = values.len();
    while begins[end] > 0 {
        end = begins[end];
        found.push(end);
    }
    found.reverse();
    found
}

/// The standard deviation of the points around their levels, from the median distance of
/// neighbours: cuts are too few to bear on it, and outliers too. Above zero, so that of
/// figures without noise every change is large.
fn spread(values: &[f64]) -> f64 {
    const NORMAL: f64 = 1.4826;
    let steps: Vec<f64> = values.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let step = median(&steps).unwrap_or_default();
    (NORMAL * step / std::f64::consts::SQRT_2).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal;
    use fastrand::Rng;
    use proptest::prelude::*;

    /// A shape of noise around zero.
    type Noise = fn(&mut Rng) -> f64;

    /// Points from which on all is so many percent higher.
    type Steps<'a> = &'a [(usize, f64)];

    /// 2 %, and one point in twenty up to 50 % above.
    fn with_outliers(rng: &mut Rng) -> f64 {
        let outlier = if rng.f64() < 0.05 {
            0.5 * rng.f64()
        } else {
            0.0
        };
        0.02 * normal(rng) + f64::ln_1p(outlier)
    }

    /// Student's t with three degrees of freedom.
    fn heavy(rng: &mut Rng) -> f64 {
        let square = |rng: &mut Rng| normal(rng).powi(2);
        let chi = square(rng) + square(rng) + square(rng);
        normal(rng) / (chi / 3.0).sqrt()
    }

    fn series(rng: &mut Rng, length: usize, noise: Noise, steps: Steps) -> Vec<f64> {
        let level = |at| -> f64 {
            let passed = steps.iter().filter(|(from, _)| *from <= at);
            passed.map(|(_, percent)| f64::ln_1p(percent / 100.0)).sum()
        };
        (0..length).map(|at| noise(rng) + level(at)).collect()
    }

    /// Of `trials` series without a change, the percentage in which one is found.
    fn false_alarms(length: usize, noise: Noise, trials: u32) -> f64 {
        let mut rng = Rng::with_seed(1);
        let found = (0..trials)
            .filter(|_| !change_points(&series(&mut rng, length, noise, &[])).is_empty())
            .count();
        100.0 * found as f64 / f64::from(trials)
    }

    #[test]
    fn series_without_a_change_seldom_get_one() {
        let shapes: [(&str, Noise, f64); 5] = [
            ("2 %, 5 % outliers", with_outliers, 1.5),
            ("normal", normal, 1.5),
            ("Student's t, 3", heavy, 1.5),
            ("log-normal", |rng| normal(rng).exp(), 1.5),
            ("uniform", Rng::f64, 3.0),
        ];
        for (name, noise, allowed) in shapes {
            for (length, trials) in [(6, 4000), (10, 4000), (20, 4000), (50, 2000), (200, 1000)] {
                let rate = false_alarms(length, noise, trials);
                println!("{name}: {length} points, {rate:.1} % of {trials} series");
                assert!(rate <= allowed, "{name}, {length} points: {rate} %");
            }
        }
    }

    #[test]
    fn fewer_points_than_the_fewest_get_none() {
        let mut rng = Rng::with_seed(2);
        for length in 0..FEWEST {
            for _ in 0..100 {
                let values = series(&mut rng, length, normal, &[(length / 2, 300.0)]);
                assert!(change_points(&values).is_empty(), "{values:?}");
            }
        }
    }

    /// How often a planted change, and no other, is found: at its point, and at most one
    /// beside it, in percent.
    fn found(length: usize, planted: Steps) -> (f64, f64) {
        const TRIALS: u32 = 500;
        let mut rng = Rng::with_seed(3);
        let (mut exact, mut near) = (0, 0);
        for _ in 0..TRIALS {
            let found = change_points(&series(&mut rng, length, with_outliers, planted));
            let off: Vec<usize> = found
                .iter()
                .zip(planted)
                .map(|(at, (planted, _))| at.abs_diff(*planted))
                .collect();
            if found.len() == planted.len() {
                exact += u32::from(off.iter().all(|off| *off == 0));
                near += u32::from(off.iter().all(|off| *off <= 1));
            }
        }
        let percent = |count: u32| 100.0 * f64::from(count) / f64::from(TRIALS);
        (percent(exact), percent(near))
    }

    #[test]
    fn planted_changes_are_found_where_they_are() {
        let planted: [(&str, usize, Steps, f64, f64); 9] = [
            ("+3 % amid 200", 200, &[(100, 3.0)], 35.0, 60.0),
            ("+5 % amid 200", 200, &[(100, 5.0)], 65.0, 85.0),
            ("+10 % amid 200", 200, &[(100, 10.0)], 90.0, 98.0),
            ("+10 %, 5 before the end", 200, &[(195, 10.0)], 80.0, 95.0),
            (
                "+10 % for 10 points",
                200,
                &[(100, 10.0), (110, -100.0 / 11.0)],
                75.0,
                90.0,
            ),
            (
                "+10 % four times",
                200,
                &[(40, 10.0), (80, 10.0), (120, 10.0), (160, 10.0)],
                65.0,
                95.0,
            ),
            ("+5 % amid 20", 20, &[(10, 5.0)], 35.0, 45.0),
            ("+10 % amid 20", 20, &[(10, 10.0)], 85.0, 93.0),
            ("+10 % amid 10", 10, &[(5, 10.0)], 65.0, 70.0),
        ];
        for (name, length, steps, exact, near) in planted {
            let found = found(length, steps);
            println!(
                "{name}: {} % at the point, {} % within one",
                found.0, found.1
            );
            assert!(found.0 >= exact && found.1 >= near, "{name}: {found:?}");
        }
    }

    #[test]
    fn an_outlier_or_two_are_no_level_and_three_are() {
        let mut values = vec![0.0, 0.01, -0.01, 0.0, 0.02, -0.02, 0.01, 0.0, 0.01, -0.01];
        values[4] = 9.0;
        values[9] = 9.0;
        assert!(change_points(&values).is_empty());
        values[8] = 9.0;
        assert!(change_points(&values).is_empty());
        values[7] = 9.0;
        assert_eq!(change_points(&values), [7]);
    }

    #[test]
    fn a_change_of_spread_is_none_of_level() {
        const TRIALS: u32 = 500;
        for (share, allowed) in [(2.0, 3.0), (3.0, 15.0)] {
            let mut rng = Rng::with_seed(4);
            let found = (0..TRIALS)
                .filter(|_| {
                    let mut values = series(&mut rng, 200, with_outliers, &[]);
                    values[100..].iter_mut().for_each(|v| *v /= share);
                    !change_points(&values).is_empty()
                })
                .count();
            let rate = 100.0 * found as f64 / f64::from(TRIALS);
            println!("1/{share} of the spread: {rate:.1} %");
            assert!(rate <= allowed, "{rate} %");
        }
    }

    #[test]
    fn a_change_is_where_the_new_level_is_seen() {
        let mut values = [0.0, 0.01, -0.01, 0.0, 0.01, 0.0, 1.0, 1.01, 0.99, 1.0].to_vec();
        assert_eq!(change_points(&values), [6]);
        values[6] = 5.0;
        assert_eq!(change_points(&values), [7]);
    }

    #[test]
    fn without_noise_every_lasting_change_counts() {
        let values = [1.0, 1.0, 1.0, 1.0, 1.000001, 1.000001, 1.000001, 1.000001];
        assert_eq!(change_points(&values), [4]);
        assert!(change_points(&[1.0; 50]).is_empty());
    }

    /// The cost of the values cut at `cuts`, each piece at the best of the levels.
    fn cost(values: &[f64], cuts: &[usize]) -> f64 {
        let spread = spread(values);
        let piece = |piece: &[f64]| {
            let at = |level: &f64| -> f64 {
                let loss = |v: &f64| ((v - level) / spread).powi(2).min(MOST);
                piece.iter().map(loss).sum()
            };
            values.iter().map(at).fold(f64::INFINITY, f64::min)
        };
        let ends = cuts.iter().copied().chain([values.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let pieces: f64 = starts.zip(ends).map(|(a, b)| piece(&values[a..b])).sum();
        pieces + PENALTY * cuts.len() as f64
    }

    proptest! {
        /// The cheapest of all ways to cut, tried one by one.
        #[test]
        fn no_way_to_cut_is_cheaper(values in prop::collection::vec(-5..5i32, FEWEST..10)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let found = cost(&values, &change_points(&values));
            for cuts in 0..1u32 << (values.len() - 1) {
                let cuts: Vec<usize> =
                    (1..values.len()).filter(|at| cuts >> (at - 1) & 1 == 1).collect();
                prop_assert!(found <= cost(&values, &cuts) + 1e-6, "{cuts:?}");
            }
        }
    }
}
