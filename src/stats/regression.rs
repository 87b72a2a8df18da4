//! A straight line through points.

use statrs::distribution::{ContinuousCDF, StudentsT};

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

#[cfg(test)]
mod tests {
    use super::*;

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
