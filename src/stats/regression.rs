//! A straight line through points.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, FisherSnedecor, StudentsT};

use super::Interval;

/// The slope of the least-squares line through `points` (x, y), with its
/// interval by Student's t with n - 2 degrees of freedom (Draper & Smith 1998,
/// §1.4). `None` for fewer than three points, for points above each other, or
/// where a coordinate is not finite.
pub fn slope(points: &[(f64, f64)], confidence: f64) -> Option<Interval> {
    let n = points.len() as f64;
    if points.len() < 3 || points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return None;
    }
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / n;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / n;
    let sxx: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if sxx == 0.0 {
        return None;
    }
    let sxy: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let est = sxy / sxx;
    let residual: f64 = points
        .iter()
        .map(|(x, y)| (y - mean_y - est * (x - mean_x)).powi(2))
        .sum();
    let freedom = n - 2.0;
    let error = (residual / freedom / sxx).sqrt();
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    let reach = t.inverse_cdf(0.5 + confidence / 2.0) * error;
    Some(Interval {
        est,
        lo: est - reach,
        hi: est + reach,
    })
}

/// How surely `points` (x, y), several of them at each x, lie on no straight line: one less
/// the p-value of the F test of what the line leaves between the means at each x against what
/// the points there spread (Draper & Smith 1998, §2.1). `None` for fewer than three different
/// x, where none has two points, or where a coordinate is not finite.
pub fn lack_of_fit(points: &[(f64, f64)]) -> Option<f64> {
    let line = slope(points, 0.5)?;
    let n = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / n;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / n;
    let mut levels: BTreeMap<u64, (f64, Vec<f64>)> = BTreeMap::new();
    for (x, y) in points {
        let (_, ys) = levels.entry(x.to_bits()).or_insert((*x, Vec::new()));
        ys.push(*y);
    }
    let (mut between, mut within) = (0.0, 0.0);
    for (x, ys) in levels.values() {
        let mean = ys.iter().sum::<f64>() / ys.len() as f64;
        let fitted = mean_y + line.est * (x - mean_x);
        between += ys.len() as f64 * (mean - fitted).powi(2);
        within += ys.iter().map(|y| (y - mean).powi(2)).sum::<f64>();
    }
    let (left, free) = (levels.len() as f64 - 2.0, n - levels.len() as f64);
    let distribution = FisherSnedecor::new(left, free).ok()?;
    match (between / left) / (within / free) {
        f if f.is_nan() => None,
        f if f.is_infinite() => Some(1.0),
        f => Some(distribution.cdf(f)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chance bends one straight line in a hundred so much, and a bend is found.
    #[test]
    fn a_bend_is_found_and_a_line_is_none() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut sure = |bend: f64| {
            let points: Vec<(f64, f64)> = (0..100)
                .map(|i| {
                    let x = f64::from(i % 5);
                    let noise: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                    (x, 10.0 + 3.0 * x + bend * x * x + noise)
                })
                .collect();
            lack_of_fit(&points).unwrap()
        };
        let alarms = (0..2000).filter(|_| sure(0.0) > 0.99).count();
        assert!((8..=35).contains(&alarms), "{alarms}");
        let found = (0..200).filter(|_| sure(0.5) > 0.99).count();
        assert!(found > 180, "{found}");
    }

    #[test]
    fn what_says_nothing_of_a_line_gives_no_answer() {
        assert_eq!(lack_of_fit(&[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]), None);
        assert_eq!(lack_of_fit(&[(0.0, 1.0), (0.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(lack_of_fit(&[]), None);
        let exact = [(0.0, 0.0), (1.0, 1.0), (2.0, 5.0)];
        assert_eq!(lack_of_fit(&[exact, exact].concat()), Some(1.0));
    }

    #[test]
    fn a_line_gives_its_own_slope() {
        let points: Vec<_> = (0..5).map(|x| (x as f64, 3.0 + 2.0 * x as f64)).collect();
        let fit = slope(&points, 0.99).unwrap();
        assert!((fit.est - 2.0).abs() < 1e-12 && fit.hi - fit.lo < 1e-9);
    }

    #[test]
    fn a_textbook_example() {
        // y = 1, 3, 2, 5 over x = 1..=4: slope 1.1, standard error 0.5196, t(0.975, 2) = 4.3027.
        let fit = slope(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 5.0)], 0.95).unwrap();
        assert!((fit.est - 1.1).abs() < 1e-9);
        assert!(
            (fit.hi - fit.est - 4.3027 * 0.51961).abs() < 1e-3,
            "{fit:?}"
        );
    }

    #[test]
    fn no_line_where_there_is_none() {
        assert_eq!(slope(&[(1.0, 1.0), (2.0, 2.0)], 0.99), None);
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)], 0.99), None);
        assert_eq!(
            slope(&[(0.0, 0.0), (1.0, f64::NAN), (2.0, 2.0)], 0.99),
            None
        );
    }
}
