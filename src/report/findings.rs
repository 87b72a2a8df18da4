//! Rows of many kinds as one table.

use comfy_table::{CellAlignment, Table, presets};

use crate::schema::{Bound, Finding};
use crate::stats::Interval;

/// A line for each row: value, interval, limit, verdict, and why.
pub fn findings(rows: &[Finding]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "",
        "measure",
        "value",
        "99 % interval",
        "limit",
        "verdict",
        "",
    ]);
    for row in rows {
        table.add_row([
            row.name.clone(),
            row.measure.clone(),
            row.value
                .map_or_else(|| "-".into(), |value| digits(value.est)),
            row.value.map_or_else(String::new, interval),
            limit(row),
            row.verdict.shown().to_owned(),
            row.reason.clone(),
        ]);
    }
    for column in [2, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Nothing where a value was counted, not estimated.
fn interval(value: Interval) -> String {
    if value.lo == value.hi {
        return String::new();
    }
    format!("{} – {}", digits(value.lo), digits(value.hi))
}

fn limit(row: &Finding) -> String {
    let side = match row.bound {
        Bound::AtMost => "≤",
        Bound::AtLeast => "≥",
    };
    row.limit
        .map_or_else(String::new, |limit| format!("{side} {}", digits(limit)))
}

/// A number with as many digits as say something: three, and whole numbers whole.
pub fn digits(value: f64) -> String {
    let whole = value == value.trunc() && value.abs() < 1e6;
    let digits = match value.abs() {
        _ if whole => 0,
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}
