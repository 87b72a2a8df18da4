//! A report as a person reads it.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::schema::overhead::{HookReport, OverheadReport, OverheadRow};
use crate::schema::{Outcome, OverheadArm};
use crate::stats::Interval;

/// The whole report as text.
pub fn render(report: &OverheadReport) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(text: &mut String, report: &OverheadReport) -> std::fmt::Result {
    writeln!(text, "What the agent costs on {}", report.host.class())?;
    match &report.agent.missing {
        Some(why) => writeln!(text, "  no agent: {why}")?,
        None => {
            write_hook(text, "open", &report.agent.open)?;
            write_hook(text, "connect", &report.agent.connect)?;
        }
    }
    writeln!(text, "\n{}", costs(report))?;
    // What stands above for all need not stand here for each.
    let said = |row: &&OverheadRow| Some(&row.reason) == report.agent.missing.as_ref();
    for row in report
        .rows
        .iter()
        .filter(|row| !row.reason.is_empty() && !said(row))
    {
        writeln!(text, "  {} {}: {}", row.workload, row.arm, row.reason)?;
    }
    writeln!(
        text,
        "\nSingle operations, and what the programs ran for\n{}",
        details(report)
    )?;
    write_controls(text, report)?;
    for warning in &report.warnings {
        writeln!(text, "note: {warning}")?;
    }
    Ok(())
}

fn write_hook(text: &mut String, operation: &str, hook: &HookReport) -> std::fmt::Result {
    let rung = hook.rung.as_deref().unwrap_or("not hooked");
    writeln!(text, "  {operation:8} by {rung}")?;
    for tried in &hook.tried {
        writeln!(text, "           not by {}: {}", tried.rung, tried.error)?;
    }
    Ok(())
}

/// The answer: what each arm costs, with its interval. The ratio of the `off`
/// row is the control, `off` against `off`.
fn costs(report: &OverheadReport) -> String {
    let a_a = report.controls.a_a.as_ref();
    let rows = report.rows.iter().map(|row| {
        let control = a_a.and_then(|a_a| a_a.workloads.get(&row.workload));
        let (over, ratio_to_off, p95_ratio) = match (row.arm, row.vs_off) {
            (OverheadArm::Off, _) => (
                String::new(),
                control.map_or(String::new(), |c| ratio(*c)),
                String::new(),
            ),
            (_, Some(versus)) => (
                difference(versus.delta_ns),
                ratio(versus.ratio),
                ratio(versus.p95_ratio),
            ),
            (_, None) => Default::default(),
        };
        let time = if row.ops == 0 {
            String::new()
        } else {
            time(row.ns_per_op)
        };
        let verdict = match (row.arm, control) {
            (OverheadArm::Off, Some(control)) if control.contains(1.0) => "off/off holds 1",
            (OverheadArm::Off, Some(_)) => "OFF/OFF DOES NOT HOLD 1",
            _ => verdict(row),
        };
        vec![
            row.workload.clone(),
            row.arm.to_string(),
            time,
            over,
            ratio_to_off,
            p95_ratio,
            verdict.into(),
        ]
    });
    let titles = [
        "workload",
        "arm",
        "time/op",
        "over off",
        "ratio to off",
        "p95 ratio to off",
        "verdict",
    ];
    table(&titles, &[0, 1, 6], rows)
}

fn details(report: &OverheadReport) -> String {
    let rows = report.rows.iter().filter(|row| row.ops > 0).map(|row| {
        let (program, rest) = match (row.kernel, row.vs_off) {
            (Some(kernel), Some(versus)) => (
                format!("{} in {:.0} runs", time(kernel.program_ns), kernel.runs),
                time(versus.delta_ns.est - kernel.program_ns),
            ),
            _ => Default::default(),
        };
        vec![
            row.workload.clone(),
            row.arm.to_string(),
            row.ops.to_string(),
            time(row.p50_ns),
            time(row.p95_ns),
            time(row.p99_ns),
            count(row.events_per_op),
            row.drops.to_string(),
            program,
            rest,
        ]
    });
    let titles = [
        "workload",
        "arm",
        "operations",
        "p50",
        "p95",
        "p99",
        "events/op",
        "drops",
        "programs ran",
        "rest of cost",
    ];
    table(&titles, &[0, 1], rows)
}

/// A table without lines, its columns aligned right but for those named; a
/// workload is written once.
fn table(titles: &[&str], left: &[usize], rows: impl Iterator<Item = Vec<String>>) -> String {
    let align = |(place, text): (usize, String)| {
        let side = if left.contains(&place) {
            CellAlignment::Left
        } else {
            CellAlignment::Right
        };
        Cell::new(text).set_alignment(side)
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // A reader can scroll; a cell broken over two lines cannot be read.
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(
        titles
            .iter()
            .map(ToString::to_string)
            .enumerate()
            .map(align),
    );
    let mut last = String::new();
    for mut cells in rows {
        if cells[0] == last {
            cells[0].clear();
        } else {
            last.clone_from(&cells[0]);
        }
        table.add_row(cells.into_iter().enumerate().map(align));
    }
    table
        .lines()
        .map(|line| format!(" {}\n", line.trim_end()))
        .collect()
}

fn verdict(row: &OverheadRow) -> &'static str {
    match (row.verdict, row.budget) {
        (Outcome::Pass, None) => "",
        (verdict, _) => verdict.shown(),
    }
}

fn write_controls(text: &mut String, report: &OverheadReport) -> std::fmt::Result {
    let controls = &report.controls;
    writeln!(text, "Controls")?;
    let mut line = |name: &str, value: String| writeln!(text, "  {name:22} {value}");
    if let Some(found) = &controls.proportionality {
        line(
            "twice the operations",
            format!("take {} times the time", ratio(found.ratio)) + &control(found.verdict),
        )?;
    }
    if let Some(found) = &controls.calibration {
        line(
            "calibration",
            format!("slope {}", ratio(found.slope)) + &control(found.verdict),
        )?;
        let points: Vec<String> = found.points[1..]
            .iter()
            .map(|(spin, back)| format!("{spin} as {:.0}", back.est))
            .collect();
        line("", format!("ns spun came back: {}", points.join(", ")))?;
    }
    if let Some(found) = &controls.unhooked {
        let (off, over) = (time(found.off_ns), difference(found.vs_off.delta_ns));
        line(
            &found.call,
            format!("{off}, a call that is not watched; {over} with the agent attached"),
        )?;
    }
    if let Some(parts) = &controls.parts {
        line(
            "one open event",
            format!("{} over hook", difference(parts.full)),
        )?;
        for (name, part) in [
            ("ring", parts.ring),
            ("time", parts.time),
            ("command name", parts.comm),
            ("cgroup", parts.cgroup),
            ("path", parts.path),
        ] {
            line(&format!("  {name}"), difference(part))?;
        }
    }
    if let Some(found) = report.agent.footprint {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (resident, maps) = (mib(found.resident), mib(found.maps));
        line(
            "agent's memory",
            format!("{resident:.1} MiB resident, {maps:.1} MiB in kernel maps"),
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

/// What a control came to, where that needs saying.
fn control(verdict: Option<Outcome>) -> String {
    match verdict {
        None | Some(Outcome::Pass) => String::new(),
        Some(other) => format!(": {}", other.shown()),
    }
}

/// A time with its unit, to three or four digits.
fn time(ns: f64) -> String {
    match ns.abs() {
        ns_size if ns_size >= 999_500.0 => format!("{:.2} ms", ns / 1e6),
        ns_size if ns_size >= 9_995.0 => format!("{:.1} µs", ns / 1e3),
        ns_size if ns_size >= 99.95 => format!("{ns:.0} ns"),
        _ => format!("{ns:.1} ns"),
    }
}

fn difference(ns: Interval) -> String {
    if ns.est.abs() >= 9_995.0 {
        return format!(
            "{:+.1} [{:.1}, {:.1}] µs",
            ns.est / 1e3,
            ns.lo / 1e3,
            ns.hi / 1e3
        );
    }
    let digits = usize::from(ns.est.abs() < 99.95);
    format!(
        "{:+.digits$} [{:.digits$}, {:.digits$}] ns",
        ns.est, ns.lo, ns.hi
    )
}

fn ratio(ratio: Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", ratio.est, ratio.lo, ratio.hi)
}

/// A count that is nearly always whole.
fn count(number: f64) -> String {
    if number.fract() == 0.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.4}")
    }
}
