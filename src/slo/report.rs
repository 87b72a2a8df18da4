//! What a strict run came to, for people and for machines: all from the one table.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::artifact::{Artifact, SCHEMA};
use super::contract::StrictEvidence;
use super::judging::{SloRow, SloTable};
use super::made;
use crate::schema::{Outcome, Provenance};
use crate::stats::Interval;

/// The three reports with their texts.
pub fn reports(evidence: &StrictEvidence, table: &SloTable) -> [(Artifact, String); 3] {
    [
        (Artifact::SloReport, slo(evidence, table)),
        (Artifact::SloSummary, summary(evidence, table)),
        (Artifact::EvidenceReport, page(evidence, table)),
    ]
}

/// The table for a terminal.
pub fn terminal(evidence: &StrictEvidence, table: &SloTable) -> String {
    let mut text = format!("{}\n{}\n", outcome(evidence, table), grid(table));
    for line in reasons(table).into_iter().chain(notes(evidence)) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// `perf-slo-report.md`.
fn slo(evidence: &StrictEvidence, table: &SloTable) -> String {
    let mut text = format!(
        "# SLO report\n\n{}\n\n{}\n\n",
        outcome(evidence, table),
        grid(table)
    );
    for line in reasons(table) {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
    for (name, fact) in made::facts(evidence.suite.provenance.as_ref()) {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    text
}

/// `perf-slo-summary.json`.
fn summary(evidence: &StrictEvidence, table: &SloTable) -> String {
    #[derive(Serialize)]
    struct SloSummary<'a> {
        schema: u32,
        provenance: &'a Option<Provenance>,
        exit: u8,
        host: String,
        kernel: &'a str,
        rows: &'a [SloRow],
        notes: &'a [String],
    }
    let summary = SloSummary {
        schema: SCHEMA,
        provenance: &evidence.suite.provenance,
        exit: table.exit().into(),
        host: evidence.suite.host.class(),
        kernel: &evidence.suite.host.kernel,
        rows: &table.rows,
        notes: &evidence.suite.notes,
    };
    serde_json::to_string_pretty(&summary).expect("a summary is plain data") + "\n"
}

/// `perf-evidence-report.md`: the page to show an auditor.
fn page(evidence: &StrictEvidence, table: &SloTable) -> String {
    let StrictEvidence {
        suite,
        profiles,
        os_release,
        fs_type,
    } = evidence;
    let (host, agent) = (&suite.host, &suite.agent);
    let unknown = || "unknown".to_owned();
    let mut text = format!(
        "# Performance evidence\n\n{}\n\n## The machine\n\n",
        outcome(evidence, table)
    );
    let facts = [
        ("host class", host.class()),
        (
            "processor",
            format!("{}, {} cores", host.cpu_model, host.cores),
        ),
        ("kernel", host.kernel.clone()),
        (
            "distribution",
            distribution(os_release).unwrap_or_else(unknown),
        ),
        ("virtualisation", host.virtualisation.to_string()),
        (
            "governor",
            host.governor.clone().unwrap_or_else(|| "none".into()),
        ),
        ("files", made::body(fs_type).collect::<Vec<_>>().join(", ")),
        ("CPU of the workload", suite.cpu.to_string()),
        (
            "CPU of the agent's consumer",
            suite
                .consumer_cpu
                .map_or_else(unknown, |cpu| cpu.to_string()),
        ),
        ("opens hooked by", agent.open_rung.clone()),
        ("connects hooked by", agent.connect_rung.clone()),
        (
            "agent's memory, decoding alone",
            format!(
                "{:.1} MB resident, {:.1} MB of maps",
                agent.resident_bytes as f64 / 1e6,
                agent.map_bytes as f64 / 1e6
            ),
        ),
    ];
    for (name, fact) in made::facts(suite.provenance.as_ref())
        .into_iter()
        .chain(facts)
    {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    let mut rows = markdown([
        "workload",
        "operations",
        "without µs",
        "with µs",
        "cost %",
        "p95 ratio",
        "events/op",
        "lost",
    ]);
    for row in &suite.rows {
        rows.add_row([
            row.workload.clone(),
            row.iterations.to_string(),
            format!("{:.3}", row.baseline_us_per_op),
            format!("{:.3}", row.with_agent_us_per_op),
            interval(row.overhead_pct),
            interval(row.p95_ratio),
            format!("{:.3}", row.events_per_op),
            row.drops.to_string(),
        ]);
    }
    let mut arms = markdown([
        "profile",
        "operations",
        "µs/op",
        "p50 µs",
        "p95 µs",
        "p99 µs",
    ]);
    for profile in profiles {
        let label = match &profile.rung {
            Some(_) => "with the agent",
            None => "without",
        };
        arms.add_row([
            format!("{} {label}", profile.workload),
            profile.iterations.to_string(),
            format!("{:.3}", profile.us_per_op),
            format!("{:.3}", profile.p50_us),
            format!("{:.3}", profile.p95_us),
            format!("{:.3}", profile.p99_us),
        ]);
    }
    let _ = write!(
        text,
        "\n## The workloads\n\nBoth arms alternated in one process on one CPU; the agent audited \
         every operation. Intervals hold with 99 % confidence.\n\n{rows}\n\n{arms}\n\n## The \
         budgets\n\n{}\n",
        grid(table)
    );
    for line in reasons(table).into_iter().chain(notes(evidence)) {
        let _ = write!(text, "\n- {line}");
    }
    text + "\n"
}

/// The name in os-release.
fn distribution(os_release: &str) -> Option<String> {
    let name = os_release
        .lines()
        .find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

fn outcome(evidence: &StrictEvidence, table: &SloTable) -> String {
    let count = |wanted| table.rows.iter().filter(|row| row.status == wanted).count();
    let word = match u8::from(table.exit()) {
        0 => "Every budget is kept",
        1 => "A budget is exceeded",
        _ => "Not every budget can be decided",
    };
    format!(
        "{word} on {}: {} of {} pass, {} fail, {} inconclusive, {} unenforceable.",
        evidence.suite.host.class(),
        count(Outcome::Pass),
        table.rows.len(),
        count(Outcome::Fail),
        count(Outcome::Inconclusive),
        count(Outcome::Unenforceable),
    )
}

fn grid(table: &SloTable) -> Table {
    let mut grid = markdown(["scenario", "measure", "measured", "budget", "status"]);
    for row in &table.rows {
        grid.add_row([
            row.scenario.clone(),
            row.measure.clone(),
            interval(row.measured),
            row.budget.to_string(),
            row.status.shown().into(),
        ]);
    }
    for column in [2, 3] {
        if let Some(column) = grid.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    grid
}

fn markdown<const N: usize>(header: [&str; N]) -> Table {
    let mut grid = Table::new();
    grid.load_style(presets::ASCII_MARKDOWN);
    grid.set_header(header);
    grid
}

/// What is to be said of each row that is no plain pass.
fn reasons(table: &SloTable) -> Vec<String> {
    table
        .rows
        .iter()
        .filter(|row| !row.reason.is_empty())
        .map(|row| {
            format!(
                "{} {} is {}: {}",
                row.scenario,
                row.measure,
                row.status.shown(),
                row.reason
            )
        })
        .collect()
}

fn notes(evidence: &StrictEvidence) -> impl Iterator<Item = String> {
    evidence
        .suite
        .notes
        .iter()
        .map(|note| format!("note: {note}"))
}

/// `1.163 [1.161, 1.164]`, or one figure where it is exact.
fn interval(value: Interval) -> String {
    let Interval { est, lo, hi } = value;
    match lo < hi {
        true => format!("{est:.3} [{lo:.3}, {hi:.3}]"),
        false => format!("{est:.3}"),
    }
}
