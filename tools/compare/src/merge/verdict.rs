//! Shards of `check` and `duet` judged together.

use std::collections::BTreeMap;
use std::path::Path;

use probecost::gate::Gate;
use probecost::host::provenance;
use probecost::schema::{
    BaselineUsed, BudgetRow, DuetSetup, Measure, MergedShard, Outcome, RowEvidence, Shard, Shift,
    Status, Summary, TimedEvidence, Unit, Verdict, VerdictRow,
};

use super::assemble::{Assembled, list};
use super::document::Sharded;
use crate::baselines;
use crate::budget;
use crate::check::judged_together;
use crate::decide::shared_shift;
use crate::duet;
use crate::failure::Failure;
use crate::rows;
use crate::shard;
use crate::thresholds::Thresholds;
use crate::verdict::{changes_pct, sort};

/// The baseline that the shards were held to, where they are no rounds of head and base.
pub fn baseline(assembled: &Assembled<Verdict>) -> Option<&Path> {
    let verdict = &assembled.shards.first()?.document;
    (verdict.duet.is_none()).then(|| Path::new(&verdict.baseline.file))
}

/// One verdict on all rows. Rows that were decided among their shard's are decided again
/// among all, from the same figures and by the same rule.
///
/// # Errors
/// gate.toml here is not that of the shards.
pub fn merged(assembled: Assembled<Verdict>, gate: &Gate) -> Result<Verdict, Failure> {
    let first = assembled.shards.first();
    let first = first.ok_or_else(|| Failure::new("no shards"))?;
    let plan = &first.part.plan;
    if plan.get(shard::GATE) != Some(&gate.digest()) {
        let here = baselines::gate_file(baseline(&assembled));
        return Err(Failure::at(&here, "not that of the shards")
            .remedy("merge in a work tree of the commit that they were judged in"));
    }
    same_baselines(&assembled.shards)?;
    let most = plan.get("rounds").and_then(|rounds| rounds.parse().ok());
    let mut verdict = frame(&assembled, first, gate);
    if plan.contains_key(shard::ALL_BUDGETS) {
        budget::insist(&mut verdict.budgets);
    }
    let reason = assembled.why_missing();
    let (mut done, mut runs, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    let mut all_evidence = BTreeMap::new();
    for shard in assembled.shards {
        all_evidence.extend(shard.part.evidence);
        for row in shard.document.rows {
            match all_evidence.get(&row.id).cloned() {
                None => done.push(row),
                Some(RowEvidence::Runs(evidence)) => runs.push((row, evidence)),
                Some(RowEvidence::Rounds(evidence)) => rounds.push((row, evidence)),
            }
        }
    }
    let (timed, evidence): (Vec<VerdictRow>, Vec<TimedEvidence>) = runs.into_iter().unzip();
    done.extend(rows::decided(timed, &evidence, gate));
    done.extend(duet::settled(
        rounds,
        gate,
        most.unwrap_or(gate.duet.rounds),
    ));
    done.extend(
        assembled
            .missing
            .iter()
            .map(|id| VerdictRow::without_figures(id, Unit::Ns, Status::Missing, reason.clone())),
    );
    let mut rows: Vec<VerdictRow> = done.into_iter().map(without_times).collect();
    sort(&mut rows);
    verdict.exit = Verdict::exit_of(&rows, &verdict.budgets, verdict.policy);
    verdict.summary = Summary::of(&rows);
    verdict.shift = shift(&rows, &verdict, gate)?;
    verdict.rows = rows;
    let judged = judged(&verdict, &all_evidence, gate);
    verdict.notes.extend(judged);
    Ok(verdict)
}

/// Shards on one class of machine are held to one baseline.
fn same_baselines(shards: &[Sharded<Verdict>]) -> Result<(), Failure> {
    let mut digests: BTreeMap<&Option<String>, &Sharded<Verdict>> = BTreeMap::new();
    for shard in shards {
        let BaselineUsed { host, digest, .. } = &shard.document.baseline;
        let first = digests.entry(host).or_insert(shard);
        if first.document.baseline.digest != *digest {
            let why = format!("held to another baseline than {}", first.path.display());
            return Err(Failure::at(&shard.path, why)
                .remedy("cargo compare check of that shard's runs, against the same file"));
        }
    }
    Ok(())
}

/// What the shards say in common, yet without rows.
fn frame(assembled: &Assembled<Verdict>, first: &Sharded<Verdict>, gate: &Gate) -> Verdict {
    let shards = || assembled.shards.iter().map(|shard| &shard.document);
    let one = &first.document;
    let class = |verdict: &Verdict| verdict.host.as_ref().map(|host| host.class());
    let alike = shards().all(|shard| class(shard) == class(one));
    let longest = |seconds: fn(&DuetSetup) -> f64| {
        let all = shards().filter_map(|shard| shard.duet.as_ref().map(seconds));
        all.fold(0.0, f64::max)
    };
    let mut files: Vec<&str> = shards().map(|s| s.baseline.file.as_str()).collect();
    files.dedup();
    Verdict {
        schema: Verdict::SCHEMA,
        provenance: provenance(),
        policy: one.policy,
        host: one.host.clone().filter(|_| alike),
        baseline: BaselineUsed {
            file: files.join(", "),
            host: one.baseline.host.clone().filter(|_| alike),
            runs: shards().map(|s| s.baseline.runs).max().unwrap_or(0),
            commit: one.baseline.commit.clone(),
            digest: one.baseline.digest.clone().filter(|_| alike),
        },
        // Side by side: what took longest is what it took.
        duet: one.duet.clone().map(|setup| DuetSetup {
            build_seconds: longest(|duet| duet.build_seconds),
            measure_seconds: longest(|duet| duet.measure_seconds),
            ..setup
        }),
        exit: one.exit,
        summary: Summary::default(),
        shift: None,
        notes: notes(assembled, gate),
        rows: Vec::new(),
        probes: Vec::new(),
        budgets: budgets(&assembled.shards),
        shard: None,
        merged: (assembled.shards.iter())
            .map(|shard| MergedShard {
                shard: shard.part.portion.shard,
                host: class(&shard.document),
                date: shard.document.provenance.date.clone(),
            })
            .collect(),
    }
}

/// How many rows were judged together, and what chance is allowed among them.
fn judged(
    verdict: &Verdict,
    evidence: &BTreeMap<String, RowEvidence>,
    gate: &Gate,
) -> Option<String> {
    match verdict.duet {
        Some(_) => duet::decided(&verdict.rows, evidence, &gate.duet),
        None => judged_together(&verdict.rows, gate),
    }
}

/// What the shards note: once what all of them do, else behind those that do. How many rows
/// one of them judged is left out: of all it is said anew.
fn noted(shards: &[Sharded<Verdict>], gate: &Gate) -> Vec<String> {
    let mut noted: Vec<(&String, Vec<Shard>)> = Vec::new();
    for Sharded { part, document, .. } in shards {
        let own = judged(document, &part.evidence, gate);
        for note in (document.notes.iter()).filter(|note| own.as_ref() != Some(*note)) {
            match noted.iter_mut().find(|(known, _)| *known == note) {
                Some((_, by)) => by.push(part.portion.shard),
                None => noted.push((note, vec![part.portion.shard])),
            }
        }
    }
    let said = noted.into_iter().map(|(note, by)| match by.len() {
        all if all == shards.len() => note.clone(),
        1 => format!("Shard {}: {note}", by[0]),
        _ => format!("Shards {}: {note}", list(&by)),
    });
    said.collect()
}

/// What the shards note, how many there are, and what the lost ones leave open.
fn notes(assembled: &Assembled<Verdict>, gate: &Gate) -> Vec<String> {
    let shards = &assembled.shards;
    let mut notes = noted(shards, gate);
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    for host in shards.iter().filter_map(|s| s.document.host.as_ref()) {
        *classes.entry(host.class()).or_default() += 1;
    }
    let classes: Vec<String> = (classes.iter())
        .map(|(class, count)| format!("{count} on {class}"))
        .collect();
    notes.push(format!(
        "Merged of {} shards ({}), and judged as one suite (Holm over all rows). Times of different \
         machines are left out.",
        shards.len(),
        classes.join(", ")
    ));
    if !assembled.missing.is_empty() {
        notes.push(format!(
            "Missing, since {}: {}.",
            assembled.why_missing(),
            list(&assembled.missing)
        ));
    }
    notes
}

/// Each budget as the shard that measured it judged it; skipped is what all skipped.
fn budgets(shards: &[Sharded<Verdict>]) -> Vec<BudgetRow> {
    let all = || shards.iter().flat_map(|shard| &shard.document.budgets);
    let (skipped, mut rows): (Vec<&BudgetRow>, Vec<&BudgetRow>) =
        all().partition(|budget| budget.verdict == Outcome::Skipped);
    for idle in skipped {
        let same =
            |row: &&BudgetRow| row.measure == idle.measure && budget::means(&idle.id, &row.id);
        if !rows.iter().any(same) {
            rows.push(idle);
        }
    }
    let mut rows: Vec<BudgetRow> = rows.into_iter().cloned().map(without_times_of).collect();
    budget::sort(&mut rows);
    rows
}

/// A budget whose times and rates are left out; whether it is kept, stays.
fn without_times_of(budget: BudgetRow) -> BudgetRow {
    match budget.measure {
        Measure::Time | Measure::Rate => BudgetRow {
            measured: None,
            ..budget
        },
        Measure::Count | Measure::Share => budget,
    }
}

/// A row whose times are left out: the next row's may be another machine's.
fn without_times(row: VerdictRow) -> VerdictRow {
    match row.unit {
        Unit::Ns | Unit::Other => VerdictRow {
            baseline: None,
            current: None,
            baseline_ns: None,
            current_ns: None,
            ..row
        },
        Unit::Instructions | Unit::Bytes | Unit::Allocations | Unit::Ratio => row,
    }
}

/// A change that most rows share.
fn shift(rows: &[VerdictRow], verdict: &Verdict, gate: &Gate) -> Result<Option<Shift>, Failure> {
    let changes = changes_pct(rows);
    let threshold_pct = match verdict.duet {
        Some(_) => gate.duet.change_pct,
        None => Thresholds::of(gate, verdict.policy)?.usual_threshold_pct(),
    };
    Ok(shared_shift(&changes, threshold_pct))
}

#[cfg(test)]
mod tests {
    use super::*;
    use probecost::schema::Severity;
    use probecost::stats::Interval;

    #[test]
    fn budgets_keep_no_figure_that_a_machine_decides() {
        let budget = |measure| BudgetRow {
            id: "a".into(),
            measure,
            limit: 60.0,
            critical: None,
            measured: Some(Interval::exact(70.0)),
            unit: "x".into(),
            runs: 5,
            verdict: Outcome::Fail,
            severity: Severity::Minor,
            reason: String::new(),
        };
        for (measure, stays) in [
            (Measure::Time, false),
            (Measure::Rate, false),
            (Measure::Count, true),
            (Measure::Share, true),
        ] {
            let merged = without_times_of(budget(measure));
            assert_eq!(merged.measured.is_some(), stays, "{measure:?}");
            assert_eq!(merged.verdict, Outcome::Fail);
        }
    }
}
