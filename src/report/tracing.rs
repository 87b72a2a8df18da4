//! `tracing.json` as a person reads it.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use super::format::fixed;
use crate::schema::tracing::{TracingArm, TracingReport};

/// The arms, and requirement by requirement a row.
pub fn render(report: &TracingReport) -> String {
    let mut arms = table([
        "  arm", "blocks", "left out", "requests", "failed", "across", "p50 µs", "p95 µs", "p99 µs",
    ]);
    let us = |us: Option<f64>| us.map_or("-".to_owned(), |us| format!("{us:.0}"));
    for row in &report.arms {
        arms.add_row([
            match row.arm {
                TracingArm::Off => "  off".to_owned(),
                TracingArm::Attached => "  attached".to_owned(),
                TracingArm::Tracing => "  tracing".to_owned(),
            },
            row.blocks.to_string(),
            row.left_out.to_string(),
            row.requests.to_string(),
            row.failed.to_string(),
            row.across.to_string(),
            us(row.p50_us),
            us(row.p95_us),
            us(row.p99_us),
        ]);
    }
    let mut rows = table([
        "  requirement",
        "measured",
        "99 % interval",
        "limit",
        "verdict",
    ]);
    let mut reasons = String::new();
    for row in &report.rows {
        let shown = row.measured.map(|m| {
            let interval = match m.lo < m.hi {
                true => format!("{} … {}", fixed(m.lo, 3), fixed(m.hi, 3)),
                false => String::new(),
            };
            (fixed(m.est, 3), interval)
        });
        let (est, interval) = shown.unwrap_or(("-".into(), String::new()));
        rows.add_row([
            format!("  {}", row.measure),
            est,
            interval,
            format!("{} {}", if row.is_least { "≥" } else { "≤" }, row.limit),
            row.verdict.shown().to_owned(),
        ]);
        if !row.reason.is_empty() {
            let _ = writeln!(reasons, "  {}: {}", row.measure, row.reason);
        }
    }
    let notes: String = report
        .notes
        .iter()
        .map(|note| format!("  {note}\n"))
        .collect();
    format!(
        "{} under {} requests a second over {} connections, {:.0} s, on {}\n\
         {:.0} a second were answered; the load came to 99 % of its requests within {:.0} µs\n\n{arms}\n\n{rows}\n\n{reasons}{notes}",
        report.server,
        report.rate,
        report.connections,
        report.seconds,
        report.host.class(),
        report.reached,
        report.generator_lag_us.p99,
    )
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
