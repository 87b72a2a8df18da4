//! From what became of the benchmarks to the verdict.

use std::collections::BTreeMap;

use probecost::gate::{Duet, Gate};
use probecost::host::{Host, provenance};
use probecost::schema::{
    BaselineUsed, DuetSetup, GatePolicy, PairedRounds, Portion, RoundsEvidence, RowEvidence,
    RunCounts, Severity, ShardPart, Status, Summary, Unit, Verdict, VerdictRow,
};
use probecost::stats::{Interval, median};

use super::benchmark::{BenchmarkRun, DuetSuite, End, ratios};
use super::round::Round;
use super::sequential::{Rule, Settled, Threshold, estimate};
use super::sides::Name;
use super::subjects::Gap;
use crate::decide::shared_shift;
use crate::verdict::{changes_pct, percent, sort, thousandths};

/// The range of so many rounds has the median in it with 97 %; that of three, with 75 %.
const FEWEST_OF_A_RANGE: usize = 6;

/// Everything that was found.
pub struct Found<'a> {
    pub suite: &'a DuetSuite,
    pub names: &'a [Name; 2],
    /// How they were built.
    pub notes: Vec<String>,
    pub host: Host,
    pub gate: &'a Gate,
    pub policy: GatePolicy,
    /// Which part of the suite it is, and what all parts have in common.
    pub part: Option<(Portion, BTreeMap<String, String>)>,
    pub seed: u64,
    /// What building and measuring took, in seconds.
    pub built: f64,
    pub measured: f64,
}

/// The verdict.
pub fn verdict(found: &Found) -> Verdict {
    let threshold = found.gate.duet.change_pct;
    let mut rows: Vec<VerdictRow> = (found.suite.runs.iter())
        .map(|run| row(run, found.gate))
        .chain(found.suite.gaps.iter().map(gap))
        .collect();
    sort(&mut rows);
    let evidence: BTreeMap<String, RowEvidence> =
        found.suite.runs.iter().filter_map(evidence).collect();
    let mut notes = Vec::from_iter(decided(&rows, &evidence, &found.gate.duet));
    notes.extend(found.notes.iter().cloned());
    let summary = Summary::of(&rows);
    let changes = changes_pct(&rows);
    let [base, head] = found.names;
    let rounds = found.suite.runs.iter().map(|c| c.shown().len());
    Verdict {
        schema: Verdict::SCHEMA,
        provenance: provenance(),
        policy: found.policy,
        baseline: BaselineUsed {
            file: base.asked.clone(),
            commit: base.commit.clone(),
            host: Some(found.host.class()),
            runs: rounds.max().unwrap_or(0),
            digest: None,
        },
        host: Some(found.host.clone()),
        exit: Verdict::exit_of(&rows, &[], found.policy),
        summary,
        shift: shared_shift(&changes, threshold),
        notes,
        duet: Some(DuetSetup {
            base: base.asked.clone(),
            base_commit: base.commit.clone(),
            head: head.asked.clone(),
            head_commit: head.commit.clone(),
            seed: found.seed,
            build_seconds: thousandths(found.built),
            measure_seconds: thousandths(found.measured),
        }),
        probes: Vec::new(),
        rows,
        budgets: Vec::new(),
        shard: (found.part.clone()).map(|(portion, plan)| ShardPart {
            portion,
            plan,
            evidence,
        }),
        merged: Vec::new(),
    }
}

/// What a benchmark was settled by, together with others.
fn evidence(run: &BenchmarkRun) -> Option<(String, RowEvidence)> {
    let rounds = || RoundsEvidence {
        ratios: ratios(&run.fresh),
        threshold_pct: run.subject.threshold_pct,
    };
    matches!(run.end, End::Settled(_))
        .then(|| (run.subject.id.clone(), RowEvidence::Rounds(rounds())))
}

/// A row of a shard as all shards' rows together settle it: never laxer than its shard did,
/// since the more rows there are, the rarer each has to be.
fn settled_among_all(row: VerdictRow, settled: Settled) -> VerdictRow {
    match (row.status, settled) {
        (Status::Regressed | Status::Inconclusive, Settled::Undecided(more)) => {
            let (slower, of) = row.paired.map_or((0, 0), |p| (p.slower, p.rounds));
            VerdictRow {
                status: Status::Inconclusive,
                severity: Severity::Acceptable,
                more_runs: Some(more),
                reason: format!(
                    "slower in {slower} of {of} rounds, which may still be chance in a suite of so many: \
                     about {more} more rounds would decide (--rounds)"
                ),
                ..row
            }
        }
        (Status::Improved, Settled::Unchanged) => VerdictRow {
            status: Status::Unchanged,
            ..row
        },
        _ => row,
    }
}

/// Rows of all shards, with the rounds of each, as they are settled together.
pub fn settled(
    rows: Vec<(VerdictRow, RoundsEvidence)>,
    gate: &Gate,
    most: usize,
) -> Vec<VerdictRow> {
    let (rows, rounds): (Vec<VerdictRow>, Vec<RoundsEvidence>) = rows.into_iter().unzip();
    let rounds: Vec<(Vec<f64>, Threshold)> = rounds
        .into_iter()
        .map(|r| (r.ratios, Threshold::of(r.threshold_pct)))
        .collect();
    let settled = Rule::new(&gate.duet, rounds.len(), most).settle(&rounds);
    let rows = rows.into_iter().zip(settled);
    rows.map(|(row, settled)| settled_among_all(row, settled))
        .collect()
}

fn row(run: &BenchmarkRun, gate: &Gate) -> VerdictRow {
    let rounds = run.shown();
    let of = |side: fn(&Round) -> f64| median(&rounds.iter().map(side).collect::<Vec<f64>>());
    let (base, head) = (of(|r| r.base), of(|r| r.head));
    let change = estimate(&ratios(rounds)).map(percent);
    let (status, more, reason) = status(run, change);
    let unit = match rounds.iter().all(|r| r.is_time) {
        true => Unit::Ns,
        false => Unit::Other,
    };
    let other_unit = (unit == Unit::Other)
        .then(|| "in the unit of its measurement, which is not time".to_owned());
    let ns = |value: Option<f64>| value.filter(|_| unit == Unit::Ns);
    let parts = [Some(reason), run.subject.note.clone(), other_unit];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|p| !p.is_empty())
        .collect();
    let reason = parts.join("; ");
    let severity = match (status, change) {
        (Status::Regressed, Some(change)) => gate.severity.of(change.est),
        _ => Severity::Acceptable,
    };
    VerdictRow {
        id: run.subject.id.clone(),
        status,
        severity,
        unit,
        baseline: base,
        current: head,
        baseline_ns: ns(base),
        current_ns: ns(head),
        change_pct: change.map(|c| thousandths(c.est)),
        ci_pct: interval_pct(change, rounds.len()),
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
            slower: slower(rounds),
        }),
        reason,
    }
}

/// What is shown as the interval of a change: none where so few rounds give hardly any.
fn interval_pct(change: Option<Interval>, rounds: usize) -> Option<[f64; 2]> {
    let change = change.filter(|_| rounds >= FEWEST_OF_A_RANGE)?;
    Some([change.lo, change.hi].map(thousandths))
}

/// In how many rounds head was slower.
fn slower(rounds: &[Round]) -> usize {
    rounds.iter().filter(|round| round.ratio > 0.0).count()
}

fn status(run: &BenchmarkRun, change: Option<Interval>) -> (Status, Option<usize>, String) {
    let words = |status: Status, reason: &str| (status, None, reason.to_owned());
    let threshold = run.subject.threshold_pct;
    // A fresh round has a layout of its own, where there can be several.
    let rounds = match run.subject.pair.shared() {
        Ok(_) => "layouts",
        Err(_) => "rounds of its own",
    };
    let held = format!("{} of {} {rounds}", slower(&run.fresh), run.fresh.len());
    match &run.end {
        End::Cleared => words(Status::Unchanged, ""),
        End::Short => words(
            Status::Filtered,
            "shorter than times.shortest_ns of gate.toml: shown, never alarmed on",
        ),
        End::Broken(why) => words(Status::Broken, why),
        End::NoTime | End::Open => words(
            Status::Inconclusive,
            "time was up before there were rounds enough (--minutes)",
        ),
        End::Interrupted => words(
            Status::Inconclusive,
            "interrupted before there were rounds enough; what there is is shown",
        ),
        End::Settled(Settled::Slower) => words(Status::Regressed, &format!("slower in {held}")),
        End::Settled(Settled::Faster) => words(Status::Improved, ""),
        End::Settled(Settled::Unchanged) => match change {
            Some(c) if c.hi > threshold => {
                let reason = format!(
                    "less than {threshold} % by the median; its rounds spread too far to rule out {:+.1} %",
                    c.hi
                );
                (Status::Unchanged, None, reason)
            }
            _ => {
                let first = estimate(&ratios(&run.screen)).map(percent);
                let first = first.map_or(0.0, |c| c.est);
                let reason = match first > threshold {
                    true => format!("{first:+.1} % in the screen was luck: slower in {held}"),
                    false => String::new(),
                };
                (Status::Unchanged, None, reason)
            }
        },
        End::Settled(Settled::Undecided(more)) => (
            Status::Inconclusive,
            Some(*more),
            format!(
                "slower in {held}, which may still be chance: about {more} more rounds would decide (--rounds)"
            ),
        ),
    }
}

fn gap(gap: &Gap) -> VerdictRow {
    VerdictRow::without_figures(&gap.id, Unit::Ns, gap.status, gap.reason.clone())
}

/// How many benchmarks were decided, and by which rounds: those with evidence by fresh ones.
pub fn decided(
    rows: &[VerdictRow],
    evidence: &BTreeMap<String, RowEvidence>,
    numbers: &Duet,
) -> Option<String> {
    let measured = rows.iter().filter(|row| row.paired.is_some());
    let (fresh, others): (Vec<&VerdictRow>, Vec<&VerdictRow>) =
        measured.partition(|row| evidence.contains_key(&row.id));
    let count = |status: Status| others.iter().filter(|row| row.status == status).count();
    let (cleared, short) = (count(Status::Unchanged), count(Status::Filtered));
    let rest = [
        (short, "too short to judge"),
        (others.len() - cleared - short, "not decided"),
    ];
    let rest = rest.into_iter().filter(|(count, _)| *count > 0);
    let rest: String = rest
        .map(|(count, why)| format!(", {count} {why}"))
        .collect();
    let all = fresh.len() + others.len();
    (all > 0).then(|| {
        format!(
            "{cleared} of {all} were cleared by a screen of up to {} rounds, {} judged on fresh ones \
             alone{rest}; chance alone is allowed {} % of unchanged suites (Holm, every look counted).",
            numbers.screen_rounds,
            fresh.len(),
            100.0 * numbers.family_error
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rounds_give_no_interval() {
        let change = |rounds: usize| {
            let rounds: Vec<f64> = (0..rounds).map(|k| k as f64).collect();
            interval_pct(estimate(&rounds), rounds.len())
        };
        assert_eq!(change(0), None);
        assert_eq!(change(5), None);
        assert_eq!(change(6), Some([0.0, 5.0]));
    }
}
