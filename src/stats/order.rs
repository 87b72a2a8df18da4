//! Order statistics: medians, quantiles and the median absolute deviation.

/// The `q`-quantile of `values`, `q` in 0..=1, by linear interpolation between
/// order statistics (Hyndman & Fan 1996, type 7). `None` for an empty slice, a
/// value that is not a number, or a `q` outside its range.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.is_empty() || values.iter().any(|v| v.is_nan()) || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    let fraction = position - below as f64;
    // Without the test, an infinite neighbour with weight zero would give NaN.
    Some(if fraction == 0.0 {
        sorted[below]
    } else {
        sorted[below] + fraction * (sorted[above] - sorted[below])
    })
}

/// The median of `values`; `None` where [`quantile`] gives none.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The median absolute deviation from the median, times 1.4826 so that it
/// estimates the standard deviation of normal data (Rousseeuw & Croux 1993).
pub fn mad(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    let deviations: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
    Some(1.4826 * median(&deviations)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_even_and_odd_counts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn quantile_interpolates_and_meets_both_ends() {
        let values = [10.0, 20.0, 30.0, 40.0, 50.0];
        assert_eq!(quantile(&values, 0.0), Some(10.0));
        assert_eq!(quantile(&values, 1.0), Some(50.0));
        assert_eq!(quantile(&values, 0.9), Some(46.0));
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(quantile(&[1.0], 1.5), None);
    }

    #[test]
    fn infinities_do_not_turn_into_nan() {
        assert_eq!(median(&[1.0, 2.0, f64::INFINITY]), Some(2.0));
    }

    #[test]
    fn mad_ignores_one_outlier() {
        let calm = mad(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let with_outlier = mad(&[1.0, 2.0, 3.0, 4.0, 500.0]).unwrap();
        assert_eq!(calm, with_outlier);
    }
}
