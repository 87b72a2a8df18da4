//! What `check` and `duet` say of their rows in common.

use probecost::schema::{Status, VerdictRow};
use probecost::stats::Interval;

/// The confidence with which a noise floor is stated: of changes that are none, one in
/// twenty comes out above it.
pub const FLOOR_CONFIDENCE: f64 = 0.95;

/// Puts what matters most first.
pub fn sort(rows: &mut [VerdictRow]) {
    rows.sort_by(|a, b| {
        let size = |r: &VerdictRow| r.change_pct.map_or(0.0, f64::abs);
        (a.status.cmp(&b.status))
            .then(b.severity.cmp(&a.severity))
            .then(size(b).total_cmp(&size(a)))
            .then(a.id.cmp(&b.id))
    });
}

/// The rows that were judged by their times.
pub fn timed(rows: &[VerdictRow]) -> impl Iterator<Item = &VerdictRow> {
    // Few pairs have a change, and no interval of it.
    let measured = |row: &VerdictRow| row.ci_pct.is_some() || row.paired.is_some();
    rows.iter()
        .filter(move |row| measured(row) && row.status != Status::Filtered)
}

/// The changes of those, in percent.
pub fn changes_pct(rows: &[VerdictRow]) -> Vec<f64> {
    timed(rows).filter_map(|row| row.change_pct).collect()
}

/// An interval of logarithms as percent.
pub fn percent(log: Interval) -> Interval {
    log.map(|x| 100.0 * x.exp_m1())
}

/// More digits than that say nothing.
pub fn thousandths(percent: f64) -> f64 {
    (1000.0 * percent).round() / 1000.0
}
