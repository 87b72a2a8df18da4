//! What github-action-benchmark reads as `customSmallerIsBetter`.

use probecost::schema::Verdict;
use serde::Serialize;

use super::figures;

/// One benchmark.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    name: &'a str,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// The current figures.
pub fn entries(verdict: &Verdict) -> Vec<Entry<'_>> {
    verdict
        .rows
        .iter()
        .filter_map(|row| {
            Some(Entry {
                name: &row.id,
                unit: row.unit.name(),
                value: row.current?,
                range: row.noise_floor_pct.map(|floor| format!("± {floor:.1} %")),
                extra: format!("{}\n{}", figures::status(row), row.reason)
                    .trim_end()
                    .to_owned(),
            })
        })
        .collect()
}
