//! Bencher's metric format: by benchmark, by measure, a value with its limits.

use std::collections::BTreeMap;

use probecost::schema::{Unit, Verdict, VerdictRow};
use serde::Serialize;

/// A value and, where it has an interval, its ends.
#[derive(Debug, Serialize)]
pub struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// The current figures.
pub fn metrics(verdict: &Verdict) -> BTreeMap<&str, BTreeMap<&'static str, Metric>> {
    let rows = verdict.rows.iter();
    rows.filter_map(|row| {
        let measure = match row.unit {
            Unit::Ns => "latency",
            unit => unit.name(),
        };
        Some((row.id.as_str(), BTreeMap::from([(measure, metric(row)?)])))
    })
    .collect()
}

fn metric(row: &VerdictRow) -> Option<Metric> {
    // The interval is around the change; carried over to the value it has the baseline.
    let end = |i: usize| Some(row.baseline? * (1.0 + row.ci_pct?[i] / 100.0));
    Some(Metric {
        value: row.current?,
        lower_value: end(0),
        upper_value: end(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use probecost::schema::Status;

    /// A ratio is near one, a count may be in thousandths.
    #[test]
    fn the_limits_of_a_small_value_are_around_it() {
        for scale in [1e-3, 1.0, 1e6] {
            let row = VerdictRow {
                baseline: Some(1.16 * scale),
                current: Some(1.1613 * scale),
                ci_pct: Some([-0.2, 0.3]),
                ..VerdictRow::without_figures("a", Unit::Ratio, Status::Unchanged, "")
            };
            let metric = metric(&row).unwrap();
            assert!(metric.lower_value < Some(metric.value), "{metric:?}");
            assert!(metric.upper_value > Some(metric.value), "{metric:?}");
        }
    }
}
