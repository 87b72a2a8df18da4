//! Bencher's metric format: by benchmark, by measure, a value with its limits.

use std::collections::BTreeMap;

use probecost::schema::{Unit, Verdict};
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
    verdict
        .rows
        .iter()
        .filter_map(|row| {
            let value = row.current?;
            // The interval is around the change; carried over to the value it has the baseline.
            let end = |i: usize| Some((row.baseline? * (100.0 + row.ci_pct?[i])).round() / 100.0);
            let measure = match row.unit {
                Unit::Ns => "latency",
                unit => unit.name(),
            };
            let metric = Metric {
                value,
                lower_value: end(0),
                upper_value: end(1),
            };
            Some((row.id.as_str(), BTreeMap::from([(measure, metric)])))
        })
        .collect()
}
