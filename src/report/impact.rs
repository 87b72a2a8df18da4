//! The table of `impact.json`.

use comfy_table::{CellAlignment, Table, presets};

use crate::schema::Outcome;
use crate::schema::impact::{ArmKind, ArmReport, Impact, ImpactMeasure, ImpactRow};
use crate::stats::Interval;

/// The table, and below it what each agent was seen to be.
pub fn table(impact: &Impact) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "program", "arm", "measure", "off", "with", "change", "limit", "verdict",
    ]);
    for column in 3..7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut last = None;
    for row in &impact.rows {
        let group = (&row.program, &row.arm);
        let (program, arm) = if last == Some(group) {
            ("", "")
        } else {
            (&*row.program, &*row.arm)
        };
        last = Some(group);
        table.add_row([
            program,
            arm,
            row.measure.word(),
            &value(row.off, row.measure),
            &value(row.with, row.measure),
            &change(row),
            &limit(row),
            &verdict(row),
        ]);
    }
    let mut text: String = table
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    text.push('\n');
    for line in notes(impact) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What each agent was seen to be, and why rows are in doubt.
pub(super) fn notes(impact: &Impact) -> Vec<String> {
    let mut notes = Vec::new();
    for program in &impact.programs {
        notes.extend(
            program
                .note
                .as_ref()
                .map(|note| format!("{}: {note}", program.program)),
        );
    }
    for arm in &impact.arms {
        if arm.kind == ArmKind::Off {
            continue;
        }
        let proof = match (arm.proven, &arm.reason) {
            (true, reason) => {
                let how = match arm.proof {
                    crate::schema::impact::Proof::Bpf => format!(
                        "{} eBPF program{} in every block, run {} times when probed",
                        arm.bpf_programs,
                        if arm.bpf_programs == 1 { "" } else { "s" },
                        arm.run_count
                    ),
                    crate::schema::impact::Proof::Ptrace => "it traced the program".into(),
                    crate::schema::impact::Proof::Audit => "the kernel audited for it".into(),
                    crate::schema::impact::Proof::None => "the kernel counted".into(),
                };
                match reason {
                    Some(reason) => format!("{how}; {reason}"),
                    None => how,
                }
            }
            (false, Some(reason)) => reason.clone(),
            (false, None) => "not proven".into(),
        };
        let switch = arm.switch_ms.map_or(String::new(), |[on, off]| {
            format!("; on in {on:.0} ms, off in {off:.0} ms")
        });
        let is_off = |off: &&ArmReport| off.kind == ArmKind::Off && off.program == arm.program;
        let off = impact.arms.iter().find(is_off).and_then(|off| off.across);
        let across = arm.across.zip(off).map_or(String::new(), |(with, off)| {
            format!("; {with} answers came after their block, {off} under off")
        });
        notes.push(format!(
            "{} under {}: {proof}{switch}{across}",
            arm.program, arm.arm
        ));
    }
    // Several rows may be in doubt for one reason: it is said once.
    let mut said: Vec<(&ImpactRow, &String, Vec<&str>)> = Vec::new();
    for row in &impact.rows {
        let known = impact.arms.iter().any(|arm| arm.reason == row.reason);
        let Some(reason) = row.reason.as_ref().filter(|_| !known) else {
            continue;
        };
        let same = |(one, why, _): &&mut (&ImpactRow, &String, Vec<&str>)| {
            one.program == row.program && one.arm == row.arm && *why == reason
        };
        match said.iter_mut().find(same) {
            Some((_, _, measures)) => measures.push(row.measure.word()),
            None => said.push((row, reason, vec![row.measure.word()])),
        }
    }
    for (row, reason, measures) in said {
        let measures = measures.join(", ");
        notes.push(format!(
            "{} under {}, {measures}: {reason}",
            row.program, row.arm
        ));
    }
    notes
}

pub(super) fn value(value: Option<f64>, measure: ImpactMeasure) -> String {
    let Some(value) = value else {
        return String::new();
    };
    let unit = measure.unit();
    let number = match measure {
        ImpactMeasure::Errors | ImpactMeasure::Dropped | ImpactMeasure::Switches => {
            format!("{value:.0}")
        }
        ImpactMeasure::Throughput => format!("{value:.0}"),
        ImpactMeasure::CpuPoints | ImpactMeasure::AgentCpuPoints | ImpactMeasure::CapturedPct => {
            format!("{value:.1}")
        }
        ImpactMeasure::MemoryMb | ImpactMeasure::MapsMb => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    if unit.is_empty() {
        number
    } else {
        format!("{number} {unit}")
    }
}

pub(super) fn change(row: &ImpactRow) -> String {
    let around = |Interval { est, lo, hi }, digits: usize, unit: &str| {
        format!("{est:+.digits$}{unit} [{lo:+.digits$}, {hi:+.digits$}]")
    };
    match (row.ratio, row.difference) {
        (Some(ratio), _) => around(ratio.map(|ratio| 100.0 * (ratio - 1.0)), 1, " %"),
        (None, Some(points)) if row.measure == ImpactMeasure::CpuPoints => around(points, 2, ""),
        (None, Some(points)) if row.measure == ImpactMeasure::AgentCpuPoints => {
            around(points, 2, "")
        }
        _ => String::new(),
    }
}

fn limit(row: &ImpactRow) -> String {
    let Some(limit) = row.limit else {
        return String::new();
    };
    // Up to the first it passes, up to the second it is marginal.
    let steps = |sign: char| match row.fail_limit {
        Some(fail) => format!("{sign}{limit} / {sign}{fail} %"),
        None => format!("{sign}{limit} %"),
    };
    match row.measure {
        ImpactMeasure::Errors => "no new".into(),
        ImpactMeasure::Throughput => steps('-'),
        ImpactMeasure::CapturedPct => format!("{limit} %"),
        ImpactMeasure::MemoryMb => format!("{limit} MB"),
        ImpactMeasure::CpuPoints => format!("{limit:+}"),
        _ => steps('+'),
    }
}

fn verdict(row: &ImpactRow) -> String {
    let shown_only = row.verdict == Outcome::Skipped && row.reason.is_none();
    let doubted = row
        .reason
        .as_ref()
        .is_some_and(|r| r.starts_with("not proven"));
    match () {
        () if shown_only => String::new(),
        () if doubted => "not proven".into(),
        () => row.verdict.shown().into(),
    }
}
