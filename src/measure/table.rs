//! A report as a person reads it.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::report::{HookReport, Report, Row, Verdict};
use crate::stats::Interval;

/// The whole report as text.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "What the agent costs on {}", report.host.class())?;
    match &report.agent.missing {
        Some(why) => writeln!(text, "  no agent: {why}")?,
        None => {
            write_hook(text, "open", &report.agent.open)?;
            write_hook(text, "connect", &report.agent.connect)?;
        }
    }
    writeln!(text)?;
    writeln!(text, "{}", rows(&report.rows))?;
    for row in report.rows.iter().filter(|row| !row.reason.is_empty()) {
        writeln!(text, "  {} {}: {}", row.workload, row.arm, row.reason)?;
    }
    writeln!(text)?;
    write_controls(text, report)?;
    for warning in &report.warnings {
        writeln!(text, "  note: {warning}")?;
    }
    Ok(())
}

fn write_hook(text: &mut String, operation: &str, hook: &HookReport) -> std::fmt::Result {
    let rung = hook.rung.as_deref().unwrap_or("not hooked");
    write!(text, "  {operation:8} {rung}")?;
    for (place, tried) in hook.tried.iter().enumerate() {
        let lead = if place == 0 { "   (tried " } else { "; " };
        write!(text, "{lead}{}: {}", tried.rung, tried.error)?;
    }
    writeln!(text, "{}", if hook.tried.is_empty() { "" } else { ")" })
}

fn rows(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // A reader can scroll; a cell broken over two lines cannot be read.
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(
        [
            "workload",
            "arm",
            "ns/op",
            "over off, ns",
            "ratio",
            "p50",
            "p95",
            "p99",
            "p95 ratio",
            "events/op",
            "drops",
            "verdict",
        ]
        .map(|title| Cell::new(title).set_alignment(CellAlignment::Right)),
    );
    let mut last = "";
    for row in rows {
        let workload = if row.workload == last {
            ""
        } else {
            &row.workload
        };
        last = &row.workload;
        let mut cells = vec![workload.to_string(), row.arm.to_string()];
        if row.ops == 0 {
            cells.extend(std::iter::repeat_n(String::new(), 9));
        } else {
            cells.extend([
                time(row.ns_per_op),
                row.vs_off.map_or(String::new(), |v| difference(v.delta_ns)),
                row.vs_off.map_or(String::new(), |v| ratio(v.ratio)),
                time(row.p50_ns),
                time(row.p95_ns),
                time(row.p99_ns),
                row.vs_off.map_or(String::new(), |v| ratio(v.p95_ratio)),
                format!("{:.3}", row.events_per_op)
                    .trim_end_matches("000")
                    .trim_end_matches('.')
                    .into(),
                row.drops.to_string(),
            ]);
        }
        cells.push(verdict(row).into());
        table.add_row(cells.into_iter().enumerate().map(|(place, cell)| {
            let alignment = if place < 2 || place == 11 {
                CellAlignment::Left
            } else {
                CellAlignment::Right
            };
            Cell::new(cell).set_alignment(alignment)
        }));
    }
    for place in [0, 1, 11] {
        if let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn verdict(row: &Row) -> &'static str {
    match (row.verdict, row.budget) {
        (Verdict::Pass, None) => "",
        (Verdict::Pass, Some(_)) => "pass",
        (Verdict::Fail, _) => "FAIL",
        (Verdict::Inconclusive, _) => "cannot decide",
        (Verdict::HarnessError, _) => "BROKEN",
        (Verdict::Skipped, _) => "skipped",
    }
}

fn write_controls(text: &mut String, report: &Report) -> std::fmt::Result {
    let controls = &report.controls;
    let mut line = |name: &str, value: String| writeln!(text, "  {name:22} {value}");
    if let Some(a_a) = &controls.a_a {
        for (workload, found) in &a_a.workloads {
            let holds = if found.contains(1.0) {
                "holds 1"
            } else {
                "DOES NOT HOLD 1"
            };
            line(
                &format!("off/off {workload}"),
                format!("{}   {holds}", fine_ratio(*found)),
            )?;
        }
    }
    if let Some(found) = &controls.proportionality {
        line(
            "twice the operations",
            format!("{} times the time", fine_ratio(found.ratio)),
        )?;
    }
    if let Some(found) = &controls.calibration {
        line("calibration", format!("slope {}", fine_ratio(found.slope)))?;
        for (spin, back) in &found.points[1..] {
            line(
                &format!("  {spin} ns spun"),
                format!("came back as {}", difference(*back)),
            )?;
        }
    }
    if let Some(found) = &controls.unhooked {
        line(
            &format!("{} (not hooked)", found.call),
            format!(
                "{} ns, with the agent {} ns",
                time(found.off_ns),
                difference(found.vs_off.delta_ns)
            ),
        )?;
    }
    for row in &report.rows {
        if let (Some(kernel), Some(versus)) = (row.kernel, row.vs_off) {
            line(
                &format!("{} {}", row.workload, row.arm),
                format!(
                    "{:+.0} ns = {:.0} in programs ({:.0} runs) + {:.0} entering hooks and the rest",
                    versus.delta_ns.est,
                    kernel.program_ns,
                    kernel.runs,
                    versus.delta_ns.est - kernel.program_ns
                ),
            )?;
        }
    }
    if let Some(found) = report.agent.footprint {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        line(
            "agent's memory",
            format!(
                "{:.1} MiB resident, {:.1} MiB in kernel maps",
                mib(found.resident),
                mib(found.maps)
            ),
        )?;
    }
    if let Some(share) = report.agent.consumer_cpu_share {
        line(
            "agent's consumer",
            format!("{:.1} % of its CPU while events came", 100.0 * share),
        )?;
    }
    Ok(())
}

/// Nanoseconds with three or four digits that mean something.
fn time(ns: f64) -> String {
    if ns < 100.0 {
        format!("{ns:.1}")
    } else {
        format!("{ns:.0}")
    }
}

fn difference(ns: Interval) -> String {
    format!("{:+.0} [{:+.0}, {:+.0}]", ns.est, ns.lo, ns.hi)
}

fn ratio(ratio: Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", ratio.est, ratio.lo, ratio.hi)
}

fn fine_ratio(ratio: Interval) -> String {
    format!("{:.4} [{:.4}, {:.4}]", ratio.est, ratio.lo, ratio.hi)
}
