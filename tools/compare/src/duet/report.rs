//! From what became of the benchmarks to the verdict.

use probecost::gate::Gate;
use probecost::host::{Host, provenance};
use probecost::schema::{
    BaselineUsed, DuetControl, DuetSetup, PairedRounds, Policy, RunCounts, Severity, Status,
    Summary, Unit, Verdict, VerdictRow,
};
use probecost::stats::{Interval, median};

use super::round::Round;
use super::sequential::{self, Settled};
use super::subjects::{Gap, Name};
use super::{BenchmarkRun, End, Suite, ratios};
use crate::decide::shared_shift;
use crate::verdict::{percent, sort, thousandths};

/// Everything that was found.
pub struct Found<'a> {
    pub suite: &'a Suite,
    pub control: Option<&'a Suite>,
    pub names: &'a [Name; 2],
    pub host: Host,
    pub gate: &'a Gate,
    pub policy: Policy,
    pub seed: u64,
    pub times: Times,
}

/// What it took, in seconds.
#[derive(Clone, Copy)]
pub struct Times {
    pub built: f64,
    pub total: f64,
}

/// The verdict.
pub fn verdict(found: &Found) -> Verdict {
    let threshold = found.gate.duet.change_pct;
    let control = found.control.map(|suite| control(suite, found.gate));
    let mut rows: Vec<VerdictRow> = (found.suite.runs.iter())
        .map(|run| row(run, found.gate))
        .chain(found.suite.gaps.iter().map(gap))
        .collect();
    if let Some(control) = &control {
        rows.iter_mut().for_each(|row| limit(row, control));
    }
    sort(&mut rows);
    let summary = Summary::of(&rows);
    let changes: Vec<f64> = rows
        .iter()
        .filter(|r| r.ci_pct.is_some() && r.status != Status::Filtered)
        .filter_map(|r| r.change_pct)
        .collect();
    let [base, head] = found.names;
    let rounds = found.suite.runs.iter().map(|c| c.judged().len());
    Verdict {
        schema: Verdict::SCHEMA,
        provenance: provenance(),
        policy: found.policy,
        baseline: BaselineUsed {
            file: base.asked.clone(),
            commit: base.commit.clone(),
            host: Some(found.host.class()),
            runs: rounds.max().unwrap_or(0),
        },
        host: Some(found.host.clone()),
        exit: Verdict::exit_of(&rows, &[], found.policy),
        summary,
        shift: shared_shift(&changes, threshold),
        notes: notes(found, control.as_ref()),
        duet: Some(DuetSetup {
            base: base.asked.clone(),
            base_commit: base.commit.clone(),
            head: head.asked.clone(),
            head_commit: head.commit.clone(),
            seed: found.seed,
            build_seconds: thousandths(found.times.built),
            measure_seconds: thousandths(found.times.total - found.times.built),
            control,
        }),
        probes: Vec::new(),
        rows,
        budgets: Vec::new(),
    }
}

impl BenchmarkRun {
    /// The rounds that the row shows: the fresh ones where there are any.
    fn judged(&self) -> &[Round] {
        match self.fresh.is_empty() {
            true => &self.screen,
            false => &self.fresh,
        }
    }
}

fn row(run: &BenchmarkRun, gate: &Gate) -> VerdictRow {
    let rounds = run.judged();
    let of = |side: fn(&Round) -> f64| median(&rounds.iter().map(side).collect::<Vec<f64>>());
    let (base, head) = (of(|r| r.base_ns), of(|r| r.head_ns));
    let change = sequential::estimate(&ratios(rounds)).map(percent);
    let (status, more, reason) = status(&run.end, change, run.subject.threshold_pct);
    let severity = match (status, change) {
        (Status::Regressed, Some(change)) => gate.severity.of(change.est),
        _ => Severity::Acceptable,
    };
    VerdictRow {
        id: run.subject.id.clone(),
        status,
        severity,
        unit: Unit::Ns,
        baseline: base,
        current: head,
        baseline_ns: base,
        current_ns: head,
        change_pct: change.map(|c| thousandths(c.est)),
        ci_pct: change.map(|c| [c.lo, c.hi].map(thousandths)),
        // A baseline's own runs have one; pairs have their interval.
        noise_floor_pct: None,
        runs: RunCounts {
            baseline: rounds.len(),
            current: rounds.len(),
        },
        more_runs: more,
        paired: Some(PairedRounds {
            screen_rounds: run.screen.len(),
            rounds: run.fresh.len(),
            lockstep: run.subject.lockstep,
            seconds: thousandths(run.seconds),
            layout_pct: None,
        }),
        reason,
    }
}

fn status(end: &End, change: Option<Interval>, threshold: f64) -> (Status, Option<usize>, String) {
    let words = |status: Status, reason: &str| (status, None, reason.to_owned());
    match end {
        End::Cleared => words(Status::Unchanged, ""),
        End::Short => words(
            Status::Filtered,
            "shorter than times.shortest_ns of gate.toml: shown, never alarmed on",
        ),
        End::Broken(why) => words(Status::Broken, why),
        End::Open | End::Interrupted => words(
            Status::Missing,
            "interrupted before there were rounds enough; what there is is shown",
        ),
        End::Settled(Settled::Slower) => words(Status::Regressed, "slower, in rounds of its own"),
        End::Settled(Settled::Faster) => words(Status::Improved, ""),
        End::Settled(Settled::Unchanged) => match change {
            Some(c) if c.hi > threshold => {
                let reason = format!(
                    "less than {threshold} % by the median; its rounds spread too far to rule out {:+.1} %",
                    c.hi
                );
                (Status::Unchanged, None, reason)
            }
            _ => words(Status::Unchanged, ""),
        },
        End::Settled(Settled::Undecided(more)) => (
            Status::Inconclusive,
            Some(*more),
            format!("it may still be chance: about {more} more rounds would decide (--rounds)"),
        ),
    }
}

fn gap(gap: &Gap) -> VerdictRow {
    VerdictRow::without_figures(&gap.id, Unit::Ns, gap.status, gap.reason.clone())
}

fn control(suite: &Suite, gate: &Gate) -> DuetControl {
    let mut rows: Vec<VerdictRow> = suite.runs.iter().map(|run| row(run, gate)).collect();
    sort(&mut rows);
    let sizes = rows.iter().filter_map(|r| r.change_pct.map(f64::abs));
    DuetControl {
        largest_pct: sizes.reduce(f64::max),
        rows,
    }
}

/// Notes beside a row what two builds of base differ by; a regression no larger than that
/// may be the layout's doing.
fn limit(row: &mut VerdictRow, control: &DuetControl) {
    let Some(layout) = control
        .rows
        .iter()
        .find(|c| c.id == row.id)
        .and_then(|c| c.change_pct)
    else {
        return;
    };
    if let Some(paired) = &mut row.paired {
        paired.layout_pct = Some(layout);
    }
    if row.status == Status::Regressed && row.change_pct.is_some_and(|c| c <= layout.abs()) {
        row.status = Status::Inconclusive;
        row.severity = Severity::Acceptable;
        row.reason = format!(
            "slower, but layout noise: two builds of base differ by {layout:+.1} % as well"
        );
    }
}

/// What a reader of the whole should know.
fn notes(found: &Found, control: Option<&DuetControl>) -> Vec<String> {
    let mut notes = Vec::new();
    let runs = &found.suite.runs;
    let screened = runs.iter().filter(|c| c.fresh.is_empty()).count();
    let numbers = &found.gate.duet;
    if !runs.is_empty() {
        notes.push(format!(
            "{screened} of {} were cleared by a screen of {} rounds, the others judged on fresh ones alone; \
             chance alone is allowed {} % of unchanged suites (Holm, every look counted).",
            runs.len(),
            numbers.screen_rounds,
            100.0 * numbers.family_error
        ));
    }
    match control.map(|c| c.largest_pct) {
        None => {}
        Some(Some(largest)) => notes.push(format!(
            "Layout noise: two builds of base, laid out in another order, differ by up to {largest:.1} %."
        )),
        Some(None) => notes.push("The control gave no figure.".to_owned()),
    }
    notes
}
