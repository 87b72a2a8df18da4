//! Every benchmark of either side, and what is to be said of it.

use std::collections::{BTreeMap, BTreeSet};

use probecost::gate::{Gate, nearest};
use probecost::schema::{
    Portion, RowEvidence, RunCounts, Severity, Status, TimedEvidence, Unit, VerdictRow,
};
use probecost::stats::median;
use regex::Regex;

use crate::baseline::{Baseline, BenchmarkRuns};
use crate::decide::{Evidence, decide, measure};
use crate::failure::Failure;
use crate::input::{Reading, Run, Time};
use crate::probes::Machine;
use crate::thresholds::Thresholds;
use crate::verdict::{sort, thousandths};

/// What the rows are judged by.
pub struct Rules<'a> {
    /// What gate.toml says of each benchmark.
    pub thresholds: &'a Thresholds<'a>,
    /// Only what matches this.
    pub only: Option<&'a Regex>,
    /// Why times cannot be compared, where the machines differ.
    pub other_machine: Option<&'a str>,
    /// What the machine itself takes now.
    pub machine: &'a Machine,
    /// Only what this part of the suite has, where the runs are of one.
    pub portion: Option<&'a Portion>,
}

/// What became of the benchmarks.
pub struct JudgedRows {
    /// A row for each of them, what matters most first.
    pub rows: Vec<VerdictRow>,
    /// By id, what those were decided from that were decided together.
    pub evidence: BTreeMap<String, RowEvidence>,
}

/// A row, decided or to be decided together with the others.
enum Draft {
    Done(VerdictRow),
    Open(VerdictRow, TimedEvidence),
}

/// Judges each benchmark of the baseline or the runs.
///
/// # Errors
/// gate.toml names a benchmark that neither side has.
pub fn rows(baseline: &Baseline, runs: &[Run], rules: &Rules) -> Result<JudgedRows, Failure> {
    let mut ids: BTreeSet<&str> = baseline
        .benchmarks
        .keys()
        .chain(runs.iter().flat_map(|r| r.readings.keys()))
        .map(String::as_str)
        .collect();
    let suite = rules.portion.iter().flat_map(|p| &p.suite);
    let known = ids.iter().copied().chain(suite.map(String::as_str));
    check_names(rules.thresholds.gate, &known.collect())?;
    ids.retain(|id| rules.portion.is_none_or(|portion| portion.has(id)));
    let unwanted = |id: &str| match rules.only {
        Some(only) if !only.is_match(id) => Some("left out by --only"),
        _ => rules.thresholds.out_of_focus(id),
    };
    let mut drafts: Vec<Draft> = ids
        .iter()
        .map(|id| {
            let history = baseline.benchmarks.get(*id);
            let readings: Vec<&Reading> = runs.iter().filter_map(|r| r.readings.get(*id)).collect();
            match unwanted(id) {
                Some(reason) => Draft::Done(blank(id, history, Status::Filtered, reason)),
                None => draft(id, history, &readings, rules),
            }
        })
        .collect();
    let ratios: Vec<Draft> = drafts
        .iter()
        .filter_map(|draft| match draft {
            Draft::Done(row) if row.status == Status::Incomparable => {
                ratio(&row.id, baseline, runs, rules.thresholds)
            }
            Draft::Done(_) | Draft::Open(..) => None,
        })
        .collect();
    drafts.extend(ratios);
    let mut judged = settle(drafts, rules.thresholds.gate);
    sort(&mut judged.rows);
    Ok(judged)
}

/// Decides about all open rows together.
fn settle(drafts: Vec<Draft>, gate: &Gate) -> JudgedRows {
    let (mut rows, mut open, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for draft in drafts {
        match draft {
            Draft::Done(row) => rows.push(row),
            Draft::Open(row, figures) => {
                open.push(row);
                evidence.push(figures);
            }
        }
    }
    let named = open.iter().zip(&evidence);
    let by_id = named.map(|(row, evidence)| (row.id.clone(), RowEvidence::Runs(*evidence)));
    let by_id = by_id.collect();
    rows.extend(decided(open, &evidence, gate));
    JudgedRows {
        rows,
        evidence: by_id,
    }
}

/// Rows as their evidence, held together, decides them.
pub fn decided(rows: Vec<VerdictRow>, evidence: &[TimedEvidence], gate: &Gate) -> Vec<VerdictRow> {
    let decisions = decide(evidence, &gate.times, &gate.severity);
    let decided = rows.into_iter().zip(decisions).map(|(row, d)| VerdictRow {
        status: d.status,
        severity: d.severity,
        change_pct: Some(thousandths(d.change_pct)),
        ci_pct: d.interval_pct.map(|i| [i.lo, i.hi].map(thousandths)),
        noise_floor_pct: d.noise_floor_pct.map(thousandths),
        more_runs: d.more_runs,
        reason: d.reason,
        ..row
    });
    decided.collect()
}

fn check_names(gate: &Gate, ids: &BTreeSet<&str>) -> Result<(), Failure> {
    match gate.benchmark.keys().find(|id| !ids.contains(id.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let hint = match nearest(unknown, ids.iter().copied()) {
                Some(known) => format!("; did you mean `{known}`?"),
                None => String::new(),
            };
            Err(Failure::new(format!(
                "gate.toml: [benchmark] names `{unknown}`, which neither side measured{hint}"
            )))
        }
    }
}

/// A row without figures of now.
fn blank(
    id: &str,
    history: Option<&BenchmarkRuns>,
    status: Status,
    reason: impl Into<String>,
) -> VerdictRow {
    let old = history.map(BenchmarkRuns::held_to).unwrap_or_default();
    let unit = history.map_or(Unit::Ns, |h| h.unit);
    let baseline = median(&old);
    VerdictRow {
        baseline,
        baseline_ns: baseline.filter(|_| unit == Unit::Ns),
        runs: RunCounts {
            baseline: old.len(),
            current: 0,
        },
        ..VerdictRow::without_figures(id, unit, status, reason)
    }
}

fn with_current(row: VerdictRow, unit: Unit, values: &[f64]) -> VerdictRow {
    let current = median(values);
    VerdictRow {
        unit,
        current,
        current_ns: current.filter(|_| unit == Unit::Ns),
        runs: RunCounts {
            current: values.len(),
            ..row.runs
        },
        ..row
    }
}

/// What the runs say of a benchmark, all together.
enum Now {
    Times(Vec<Time>),
    Counts(Unit, Vec<f64>),
    /// No run measured it, and how that is known.
    Nothing(String),
    /// A result cannot be used, and why.
    Broken(String),
}

fn now(readings: &[&Reading]) -> Now {
    let (mut times, mut counts) = (Vec::new(), Vec::new());
    let mut nothing = "the baseline has it, and no run measured it".to_owned();
    for reading in readings {
        match reading {
            Reading::Time(time) => times.push(*time),
            Reading::Count(count, unit) => counts.push((*count, *unit)),
            Reading::Stale(cause) => nothing.clone_from(cause),
            Reading::Broken(cause) => return Now::Broken(cause.clone()),
        }
    }
    match counts.first() {
        None if times.is_empty() => Now::Nothing(nothing),
        None => Now::Times(times),
        Some((_, unit)) if times.is_empty() && counts.iter().all(|(_, u)| u == unit) => {
            Now::Counts(*unit, counts.iter().map(|(count, _)| *count).collect())
        }
        Some(_) => Now::Broken("the runs do not all count it in the same unit".into()),
    }
}

fn draft(id: &str, history: Option<&BenchmarkRuns>, readings: &[&Reading], rules: &Rules) -> Draft {
    let without = |status, reason| Draft::Done(blank(id, history, status, reason));
    let (unit, values) = match (now(readings), history) {
        (Now::Broken(cause), _) => return without(Status::Broken, cause),
        (Now::Nothing(cause), Some(_)) => return without(Status::Missing, cause),
        (Now::Nothing(cause), None) => return without(Status::Filtered, cause),
        (Now::Counts(unit, counts), _) => (unit, counts),
        (Now::Times(times), Some(history)) if history.unit == Unit::Ns => {
            return timed(id, history, &times, rules);
        }
        (Now::Times(times), _) => (Unit::Ns, times.iter().map(|t| t.median).collect()),
    };
    match history {
        None => {
            let row = blank(
                id,
                None,
                Status::New,
                "not in the baseline; refresh takes it in",
            );
            Draft::Done(with_current(row, unit, &values))
        }
        Some(history) if history.unit != unit => {
            let (now, before) = (unit.name(), history.unit.name());
            let reason = format!("it is counted in {now} now, and in {before} in the baseline");
            without(Status::Broken, reason)
        }
        Some(history) => {
            let row = blank(id, Some(history), Status::Unchanged, "");
            Draft::Done(judge_count(
                with_current(row, unit, &values),
                rules.thresholds.gate,
            ))
        }
    }
}

/// A benchmark that both sides timed.
fn timed(id: &str, history: &BenchmarkRuns, times: &[Time], rules: &Rules) -> Draft {
    let medians: Vec<f64> = times.iter().map(|t| t.median).collect();
    let row = blank(id, Some(history), Status::Unchanged, "");
    let row = with_current(row, Unit::Ns, &medians);
    let sides = row.baseline.zip(row.current);
    if let Some((old, new)) = sides
        && let Some(reason) = rules.thresholds.too_short(old, new)
    {
        let change_pct = thousandths(100.0 * (new / old - 1.0));
        return Draft::Done(VerdictRow {
            status: Status::Filtered,
            change_pct: rules.other_machine.is_none().then_some(change_pct),
            reason,
            ..row
        });
    }
    if let Some(why) = rules.other_machine {
        return Draft::Done(VerdictRow {
            status: Status::Incomparable,
            reason: format!("another machine, {why}"),
            ..row
        });
    }
    let threshold_pct = rules.thresholds.threshold_pct(id);
    if let Some((old, new)) = sides {
        let change_pct = 100.0 * (new / old - 1.0);
        if change_pct.abs() > threshold_pct
            && let Some(reason) = rules.machine.explains(id, history, change_pct)
        {
            return Draft::Done(VerdictRow {
                status: Status::Incomparable,
                change_pct: Some(thousandths(change_pct)),
                reason,
                ..row
            });
        }
    }
    let evidence = Evidence {
        old: history.medians(),
        old_p10: history.p10s(),
        new: medians,
        new_p10: times.iter().map(|t| t.p10).collect(),
        threshold_pct,
    };
    Draft::Open(row, measure(&evidence, &rules.thresholds.gate.times))
}

/// A count is the same whenever the same program runs: any change beyond the threshold
/// is one.
fn judge_count(row: VerdictRow, gate: &Gate) -> VerdictRow {
    let (Some(old), Some(new)) = (row.baseline, row.current) else {
        return row;
    };
    let change = 100.0 * (new - old) / old;
    let own = gate.benchmark.get(&row.id);
    let threshold_pct = own.map_or(gate.counts.change_pct, |own| own.change_pct);
    let (status, reason) = if old == new {
        (Status::Unchanged, String::new())
    } else if old == 0.0 {
        (
            Status::Regressed,
            format!("there were none, now there are {new}"),
        )
    } else if change > threshold_pct {
        (
            Status::Regressed,
            "counted, not timed: the program does more".into(),
        )
    } else if change < -threshold_pct {
        (
            Status::Improved,
            "counted, not timed; refresh the baseline to hold on to it".into(),
        )
    } else {
        (Status::Unchanged, String::new())
    };
    let severity = match status {
        Status::Regressed if old == 0.0 => Severity::Critical,
        Status::Regressed => gate.severity.of(change),
        _ => Severity::Acceptable,
    };
    VerdictRow {
        status,
        severity,
        change_pct: change.is_finite().then(|| thousandths(change)),
        reason,
        ..row
    }
}

/// The ratio of two arms of the same run, where this id is the upper one: it can be held
/// against another machine's where times cannot. None over an arm that is too short, which
/// nobody is alarmed on.
fn ratio(id: &str, baseline: &Baseline, runs: &[Run], thresholds: &Thresholds) -> Option<Draft> {
    let (workload, arm) = id.rsplit_once('/')?;
    let over = &thresholds.gate.ratios.over;
    let below_id = format!("{workload}/{over}");
    let (above, below) = (
        baseline.benchmarks.get(id)?,
        baseline.benchmarks.get(&below_id)?,
    );
    if !thresholds.gate.ratios.of.iter().any(|of| of == arm) || below.unit != Unit::Ns {
        return None;
    }
    let pairs: Vec<(Time, Time)> = runs
        .iter()
        .filter_map(|run| Some((run.time(id)?, run.time(&below_id)?)))
        .collect();
    let evidence = Evidence {
        old: quotients(&above.median, &below.median),
        old_p10: quotients(&above.p10, &below.p10),
        new: pairs.iter().map(|(a, b)| a.median / b.median).collect(),
        new_p10: pairs.iter().map(|(a, b)| a.p10 / b.p10).collect(),
        threshold_pct: thresholds.threshold_pct(id),
    };
    let old = evidence.old.concat();
    if old.is_empty() || pairs.is_empty() {
        return None;
    }
    let before = median(&below.held_to())?;
    let now = median(&pairs.iter().map(|(_, b)| b.median).collect::<Vec<f64>>())?;
    if thresholds.too_short(before, now).is_some() {
        return None;
    }
    let row = VerdictRow {
        baseline: median(&old),
        runs: RunCounts {
            baseline: old.len(),
            current: 0,
        },
        ..blank(&format!("{id} ÷ {over}"), None, Status::Unchanged, "")
    };
    let row = with_current(row, Unit::Ratio, &evidence.new);
    Some(Draft::Open(row, measure(&evidence, &thresholds.gate.times)))
}

/// One table over another, run by run, where both have a value.
fn quotients(above: &[Vec<Option<f64>>], below: &[Vec<Option<f64>>]) -> Vec<Vec<f64>> {
    let session = |(above, below): (&Vec<Option<f64>>, &Vec<Option<f64>>)| {
        let runs = above.iter().zip(below);
        runs.filter_map(|(a, b)| Some((*a)? / (*b)?)).collect()
    };
    above.iter().zip(below).map(session).collect()
}
