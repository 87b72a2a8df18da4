//! `impact.json` as a report in Markdown, in the form in which people hand such results on:
//! without, with, overhead, the agent's own counts, verdict, notes.

use std::fmt::Write;

use super::impact::{change, notes, value};
use crate::schema::impact::{ArmReport, Impact, ImpactMeasure, ImpactRow};
use crate::schema::{Exit, Outcome};

/// The report.
pub fn markdown(impact: &Impact) -> String {
    let host = &impact.host;
    let mut text = format!(
        "# Real Workload Performance Test Report\n\n**Date:** {}\n**System:** {}, {} cores, \
         {:.0} GB RAM, Kernel {}\n**Command:** `{}`\n**Commit:** {}\n",
        impact.provenance.date,
        host.cpu_model,
        host.cores,
        host.memory_bytes as f64 / 1e9,
        host.kernel,
        impact.provenance.command.join(" "),
        impact.provenance.commit.as_deref().unwrap_or("none"),
    );
    for arm in impact.arms.iter().filter(|arm| arm.arm != "off") {
        let rows: Vec<&ImpactRow> = impact
            .rows
            .iter()
            .filter(|row| row.program == arm.program && row.arm == arm.arm)
            .collect();
        section(&mut text, impact, arm, &rows);
    }
    let is_unseen = |row: &&ImpactRow| {
        let mut arms = impact.arms.iter();
        !arms.any(|arm| arm.program == row.program && arm.arm == row.arm)
    };
    for row in impact.rows.iter().filter(is_unseen) {
        let how = match row.verdict {
            Outcome::Skipped => "Skipped",
            _ => "Not measured",
        };
        let why = row.reason.as_deref().unwrap_or("it is not said why");
        let _ = write!(
            text,
            "\n## Workload: {} under {}\n\n{how}: {why}\n",
            row.program, row.arm
        );
    }
    text
}

fn section(text: &mut String, impact: &Impact, arm: &ArmReport, rows: &[&ImpactRow]) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\n## Workload: {} under {}\n", arm.program, arm.arm);
    let _ = write!(text, "\n**Baseline (without {}):**\n", arm.arm);
    for row in rows.iter().filter(|row| compares(row.measure)) {
        let _ = writeln!(
            text,
            "- {}: {}",
            title(row.measure),
            value(row.off, row.measure)
        );
    }
    let _ = write!(text, "\n**With {}:**\n", arm.arm);
    for row in rows.iter().filter(|row| compares(row.measure)) {
        let _ = writeln!(
            text,
            "- {}: {}",
            title(row.measure),
            value(row.with, row.measure)
        );
    }
    let _ = write!(text, "\n**Overhead** (99 % intervals)**:**\n");
    for row in rows.iter().filter(|row| !change(row).is_empty()) {
        let _ = writeln!(
            text,
            "- {}: {}{}",
            title(row.measure),
            change(row),
            match row.verdict {
                Outcome::Skipped => String::new(),
                verdict => format!(": {verdict}"),
            }
        );
    }
    let _ = write!(text, "\n**{} Stats:**\n", arm.arm);
    let _ = writeln!(
        text,
        "- eBPF programs: {}, seen to run {} times",
        arm.bpf_programs, arm.run_count
    );
    for row in rows.iter().filter(|row| !compares(row.measure)) {
        let _ = writeln!(
            text,
            "- {}: {}",
            title(row.measure),
            value(row.with, row.measure)
        );
    }
    let verdict = match Exit::of(rows.iter().map(|row| row.verdict)) {
        Exit::Passed => "PASS",
        Exit::Failed => "FAIL",
        Exit::Broken => "BROKEN",
        Exit::Undecided => "UNDECIDED",
    };
    let _ = write!(text, "\n**Verdict:** {verdict}\n\n**Notes:**\n");
    let of_this = |note: &&String| {
        note.starts_with(&format!("{} under {}", arm.program, arm.arm))
            || note.starts_with(&format!("{}: ", arm.program))
    };
    for note in notes(impact).iter().filter(of_this) {
        let _ = writeln!(text, "- {note}");
    }
}

/// Whether a measure has a value without the agent.
fn compares(measure: ImpactMeasure) -> bool {
    !matches!(
        measure,
        ImpactMeasure::MemoryMb
            | ImpactMeasure::MapsMb
            | ImpactMeasure::AgentCpuPoints
            | ImpactMeasure::CapturedPct
            | ImpactMeasure::Dropped
    )
}

fn title(measure: ImpactMeasure) -> &'static str {
    match measure {
        ImpactMeasure::Seconds => "Duration",
        ImpactMeasure::Throughput => "Requests/sec",
        ImpactMeasure::P50 => "Latency p50",
        ImpactMeasure::P95 => "Latency p95",
        ImpactMeasure::P99 => "Latency p99",
        ImpactMeasure::Max => "Latency max",
        ImpactMeasure::CpuPoints => "CPU",
        ImpactMeasure::AgentCpuPoints => "CPU of the agent itself",
        ImpactMeasure::MemoryMb => "Memory usage",
        ImpactMeasure::MapsMb => "Memory of its maps",
        ImpactMeasure::Switches => "Context switches",
        ImpactMeasure::Errors => "Errors",
        ImpactMeasure::CapturedPct => "Events captured",
        ImpactMeasure::Dropped => "Ring buffer drops",
    }
}
