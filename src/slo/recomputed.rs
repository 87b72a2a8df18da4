//! The artifacts once more from the measurements beside them, and those from what they are
//! made of: a figure that was typed is none that comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;

use serde_json::Value;

use super::artifact::{self, Artifact};
use super::measured::{MachineTexts, StrictMeasured};
use crate::experiment::soak;
use crate::gate::AgentBudgets;
use crate::host::Obstacle;
use crate::schema::overhead::{OffAgainstOff, OverheadReport, OverheadRow};
use crate::schema::soak::SoakReport;
use crate::schema::{Check, OverheadArm};
use crate::stats::{Interval, median};
use crate::workload::StatWalk;

/// How far two ways to one figure may differ by rounding, as a share of it.
const ROUNDING: f64 = 1e-9;

/// What does not come out, a line each, with file and field.
pub fn flaws(place: &Path, budgets: &AgentBudgets) -> Vec<String> {
    let measured = match StrictMeasured::beside(place) {
        Ok(measured) => measured,
        Err(obstacle) => return vec![obstacle.why],
    };
    let mut flaws = Vec::new();
    let derived = machine(place).and_then(|machine| measured.derived(&machine));
    match derived {
        Ok(derived) => {
            for (artifact, text) in derived {
                flaws.extend(differences(place, artifact, &text, "the measurement"));
            }
        }
        Err(obstacle) => flaws.push(obstacle.why),
    }
    flaws.extend(in_overhead(&measured.overhead));
    flaws.extend(measured.soak.iter().flat_map(|soak| in_soak(soak, budgets)));
    flaws
}

/// What lies in `place` of what was read off the machine.
fn machine(place: &Path) -> Result<MachineTexts, Obstacle> {
    Artifact::OF_THE_MACHINE
        .into_iter()
        .map(|artifact| Ok((artifact, artifact::text(place, artifact)?)))
        .collect()
}

/// Where an artifact says something else than `wanted`, which comes from `source`.
pub fn differences(place: &Path, artifact: Artifact, wanted: &str, source: &str) -> Vec<String> {
    let file = place.join(artifact.name()).display().to_string();
    let found = match artifact::text(place, artifact) {
        Ok(text) => text,
        Err(obstacle) => return vec![obstacle.why],
    };
    if found == wanted {
        return Vec::new();
    }
    let mut fields = Vec::new();
    if let (Ok(found), Ok(wanted)) = (serde_json::from_str(&found), serde_json::from_str(wanted)) {
        compare("", &found, &wanted, &mut fields);
    }
    if fields.is_empty() {
        fields.push("text".into());
    }
    let line = |field| format!("{file}: {field}: does not say what {source} comes to");
    fields.into_iter().map(line).collect()
}

/// The paths of all values that differ.
fn compare(at: &str, found: &Value, wanted: &Value, fields: &mut Vec<String>) {
    match (found, wanted) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = ours
                .keys()
                .chain(theirs.keys().filter(|k| !ours.contains_key(*k)));
            for key in keys {
                let path = match at {
                    "" => key.clone(),
                    at => format!("{at}.{key}"),
                };
                let side = |side: &serde_json::Map<String, Value>| {
                    side.get(key).cloned().unwrap_or_default()
                };
                compare(&path, &side(ours), &side(theirs), fields);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                compare(&format!("{at}[{number}]"), ours, theirs, fields);
            }
        }
        (ours, theirs) if ours != theirs => fields.push(at.to_owned()),
        _ => {}
    }
}

/// Figures of rows that their own observations do not give.
fn in_overhead(report: &OverheadReport) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut off_against_off = BTreeMap::new();
    for (number, row) in report.rows.iter().enumerate() {
        if let Some((events, made)) = uncounted(row) {
            flaws.push(format!(
                "overhead.json: rows[{number}].events_per_op: comes to {events} events, which \
                 with {} drops are not those of {made} calls",
                row.drops
            ));
        }
        let mut flaw = |field: &str, said: &dyn Debug, wanted: &dyn Debug| {
            flaws.push(format!(
                "overhead.json: rows[{number}].{field}: is {said:?}, and its observations come \
                 to {wanted:?}"
            ));
        };
        let times: Vec<f64> = row.observations.iter().map(|o| o.ns_per_op).collect();
        if let Some(time) = median(&times)
            && !close(row.ns_per_op, time)
        {
            flaw("ns_per_op", &row.ns_per_op, &time);
        }
        // None of too few observations, which are no reason to believe what is said.
        let compared = row.compared();
        if row.arm == OverheadArm::Off {
            off_against_off.extend(compared.map(|c| (row.workload.clone(), c.ratio)));
            continue;
        }
        match (&row.vs_off, &compared) {
            (Some(said), Some(wanted)) => {
                for (field, said, wanted) in [
                    ("vs_off.delta_ns", said.delta_ns, wanted.delta_ns),
                    ("vs_off.ratio", said.ratio, wanted.ratio),
                    ("vs_off.p95_ratio", said.p95_ratio, wanted.p95_ratio),
                ] {
                    if !same(said, wanted) {
                        flaw(field, &said, &wanted);
                    }
                }
            }
            (None, None) => {}
            (said, wanted) => flaw("vs_off", said, wanted),
        }
    }
    let said = report.controls.a_a.as_ref();
    let wanted = OffAgainstOff::of(off_against_off);
    let workloads = |a_a: Option<&OffAgainstOff>| -> BTreeMap<String, Interval> {
        a_a.map(|a_a| a_a.workloads.clone()).unwrap_or_default()
    };
    let (said_of, wanted_of) = (workloads(said), workloads(wanted.as_ref()));
    let names: BTreeSet<&String> = said_of.keys().chain(wanted_of.keys()).collect();
    for name in names {
        let (said, wanted) = (said_of.get(name), wanted_of.get(name));
        if !said
            .zip(wanted)
            .is_some_and(|(said, wanted)| same(*said, *wanted))
        {
            flaws.push(format!(
                "overhead.json: controls.a_a.workloads.{name}: is {said:?}, and the \
                 observations come to {wanted:?}"
            ));
        }
    }
    if let Some((said, wanted)) = said.zip(wanted)
        && !same(said.ratio, wanted.ratio)
    {
        flaws.push(format!(
            "overhead.json: controls.a_a.ratio: is {:?}, and the workloads' come to {:?}",
            said.ratio, wanted.ratio
        ));
    }
    flaws
}

/// Events and calls of a row whose events are no whole number, or fewer with what was lost than
/// its calls: each of them became an event or was counted as lost, or the instrument refused the
/// block.
fn uncounted(row: &OverheadRow) -> Option<(f64, u64)> {
    let measured = row.arm == OverheadArm::Event && row.ops > 0;
    let calls = match row.workload.as_str() {
        "stat_walk" => StatWalk::OPENS,
        _ => 1,
    };
    let made = row.ops.saturating_mul(calls);
    let events = row.events_per_op * row.ops as f64;
    let whole = close(events, events.round());
    let enough = events.round() + row.drops as f64 >= made as f64;
    (measured && !(whole && enough)).then_some((events, made))
}

/// Checks of a soak that its totals and looks do not give under these budgets: each of them,
/// in their order.
fn in_soak(report: &SoakReport, budgets: &AgentBudgets) -> Vec<String> {
    let mut flaws = Vec::new();
    let totals = &report.totals;
    if totals.lost + totals.received != totals.events {
        flaws.push(format!(
            "soak.json: totals: {} events are not {} lost and {} received",
            totals.events, totals.lost, totals.received
        ));
    }
    // The last look lies before the end, so that the looks may have seen fewer.
    let looks: u64 = report.samples.iter().map(|sample| sample.lost).sum();
    if looks > totals.lost {
        flaws.push(format!(
            "soak.json: totals.lost: is {}, and the run's looks saw {looks} lost",
            totals.lost
        ));
    }
    let wanted = soak::judge(totals, &report.settings, &report.samples, budgets);
    let measures = |checks: &[Check]| -> Vec<String> {
        checks.iter().map(|check| check.measure.clone()).collect()
    };
    let (said, needed) = (measures(&report.checks), measures(&wanted));
    if said != needed {
        flaws.push(format!(
            "soak.json: checks: are of {said:?}, and must be of {needed:?}"
        ));
        return flaws;
    }
    for (number, (said, wanted)) in report.checks.iter().zip(&wanted).enumerate() {
        let mut flaw = |field: &str, said: &dyn Debug, wanted: &dyn Debug| {
            flaws.push(format!(
                "soak.json: checks[{number}].{field}: is {said:?}, and the run's looks come to \
                 {wanted:?}"
            ));
        };
        if !close(said.limit, wanted.limit) {
            flaw("limit", &said.limit, &wanted.limit);
        }
        if !same(said.measured, wanted.measured) {
            flaw("measured", &said.measured, &wanted.measured);
        }
        if said.verdict != wanted.verdict {
            flaw("verdict", &said.verdict, &wanted.verdict);
        }
    }
    flaws
}

fn same(one: Interval, other: Interval) -> bool {
    [(one.est, other.est), (one.lo, other.lo), (one.hi, other.hi)]
        .into_iter()
        .all(|(one, other)| close(one, other))
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= ROUNDING * one.abs().max(other.abs())
}
