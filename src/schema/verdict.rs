//! The verdict of the gate: `cargo compare check --format json`, and `duet`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Exit, GatePolicy, Host, Measure, MergedShard, Outcome, ProbeRow, Provenance, Severity,
    ShardPart, Status, Unit,
};
use crate::stats::Interval;

/// What was found, and what it means for the one who asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The format of this object.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// How strictly it was judged.
    pub policy: GatePolicy,
    /// The machine of the runs, where they say.
    pub host: Option<Host>,
    /// What they were held against.
    pub baseline: BaselineUsed,
    /// How it was measured, where head and base were measured together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duet: Option<DuetSetup>,
    /// The exit code.
    pub exit: Exit,
    /// How many rows have which status.
    pub summary: Summary,
    /// A change that most rows share.
    pub shift: Option<Shift>,
    /// What a reader of the whole should know, a sentence each.
    pub notes: Vec<String>,
    /// Every benchmark, what matters most first.
    pub rows: Vec<VerdictRow>,
    /// The frozen probes that both sides have: whether the machine is as it was.
    #[serde(default)]
    pub probes: Vec<ProbeRow>,
    /// Every budget, what matters most first.
    pub budgets: Vec<BudgetRow>,
    /// Where this is a part of a suite: which one, and what `merge` needs of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardPart>,
    /// The parts that this was merged of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedShard>,
}

impl Verdict {
    /// The format that this program writes.
    pub const SCHEMA: u32 = 1;

    /// What these rows and budgets mean under this policy. Where all that was measured is
    /// new, nothing was compared, whatever the budgets say.
    pub fn exit_of(rows: &[VerdictRow], budgets: &[BudgetRow], policy: GatePolicy) -> Exit {
        if Summary::of(rows).only_new() {
            return Exit::Broken;
        }
        let rows = rows.iter().map(|row| row.status.outcome());
        let budgets = budgets.iter().map(|budget| budget.verdict);
        policy.exit(Exit::of(rows.chain(budgets)))
    }

    /// What they mean where they are a part of a suite: that nothing could be judged here is no
    /// gap, since `merge` asks it of all parts together.
    pub fn exit_of_part(rows: &[VerdictRow], budgets: &[BudgetRow], policy: GatePolicy) -> Exit {
        let outcomes = rows.iter().map(|row| row.status.outcome());
        let mut outcomes = outcomes.chain(budgets.iter().map(|budget| budget.verdict));
        match Self::exit_of(rows, budgets, policy) {
            Exit::Broken if outcomes.all(|outcome| outcome != Outcome::Broken) => Exit::Passed,
            exit => exit,
        }
    }

    /// How many budgets came out like this.
    pub fn budgets_that(&self, outcome: Outcome) -> usize {
        let budgets = self.budgets.iter();
        budgets.filter(|b| b.verdict == outcome).count()
    }
}

/// The baseline that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineUsed {
    /// Its file.
    pub file: String,
    /// The commit whose file it is, or the one that its newest session measured.
    pub commit: Option<String>,
    /// Its host class.
    pub host: Option<String>,
    /// Runs in it.
    pub runs: usize,
    /// A digest of what it holds; none where it is the other side of a duet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// How head and base were measured together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DuetSetup {
    /// What base is, as it was asked for.
    pub base: String,
    /// Its commit, where it is one.
    pub base_commit: Option<String>,
    /// What head is, as it was asked for.
    pub head: String,
    /// Its commit, where it is one.
    pub head_commit: Option<String>,
    /// Where the random order of the rounds started.
    pub seed: u64,
    /// What building took, in seconds.
    pub build_seconds: f64,
    /// What measuring took, in seconds.
    pub measure_seconds: f64,
}

/// One benchmark. A figure that there is none of is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictRow {
    /// Its id.
    pub id: String,
    /// What was decided.
    pub status: Status,
    /// How large the regression is.
    pub severity: Severity,
    /// What `baseline` and `current` count.
    pub unit: Unit,
    /// Median over the baseline's runs.
    pub baseline: Option<f64>,
    /// Median over the current runs.
    pub current: Option<f64>,
    /// `baseline`, where it is a time.
    pub baseline_ns: Option<f64>,
    /// `current`, where it is a time.
    pub current_ns: Option<f64>,
    /// The change in percent of the baseline.
    pub change_pct: Option<f64>,
    /// The interval around it.
    pub ci_pct: Option<[f64; 2]>,
    /// The smallest change that the baseline's own runs allow to be seen.
    pub noise_floor_pct: Option<f64>,
    /// Runs on either side.
    pub runs: RunCounts,
    /// How many more runs would decide, where that is open and some would.
    pub more_runs: Option<usize>,
    /// The rounds, where head and base were measured together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired: Option<PairedRounds>,
    /// Why, in one sentence; empty where nothing needs saying.
    pub reason: String,
}

impl VerdictRow {
    /// A row of which nothing but this is known.
    pub fn without_figures(
        id: &str,
        unit: Unit,
        status: Status,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            status,
            severity: Severity::Acceptable,
            unit,
            baseline: None,
            current: None,
            baseline_ns: None,
            current_ns: None,
            change_pct: None,
            ci_pct: None,
            noise_floor_pct: None,
            runs: RunCounts::default(),
            more_runs: None,
            paired: None,
            reason: reason.into(),
        }
    }
}

/// Runs behind a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCounts {
    /// Of the baseline.
    pub baseline: usize,
    /// Of now.
    pub current: usize,
}

/// The rounds behind a row; a round is a process of base and one of head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairedRounds {
    /// Rounds of the screen.
    pub screen_rounds: usize,
    /// Fresh rounds, by which alone the row is judged where there are any.
    pub rounds: usize,
    /// Whether both processes took turns block by block.
    pub lockstep: bool,
    /// What all of it took, in seconds.
    pub seconds: f64,
    /// In how many of the rounds that the row shows head was slower. Each fresh one has a
    /// layout of its own, where both sides can share one.
    pub slower: usize,
}

/// A change that most rows share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shift {
    /// Its median, in percent.
    pub median_pct: f64,
    /// How many rows share it.
    pub rows: usize,
    /// Of how many.
    pub of: usize,
}

/// Rows by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// That became slower.
    pub regressed: usize,
    /// That became faster.
    pub improved: usize,
    /// Of which nothing was seen to change.
    pub unchanged: usize,
    /// That these runs cannot decide.
    pub inconclusive: usize,
    /// That another machine measured.
    pub incomparable: usize,
    /// That the runs have not.
    pub missing: usize,
    /// That the baseline has not.
    pub new: usize,
    /// That raise no alarm.
    pub filtered: usize,
    /// That cannot be read.
    pub broken: usize,
}

impl Summary {
    /// Counts the rows.
    pub fn of(rows: &[VerdictRow]) -> Self {
        let mut summary = Summary::default();
        for row in rows {
            *summary.count_mut(row.status) += 1;
        }
        summary
    }

    /// How many rows have this status.
    pub fn count(mut self, status: Status) -> usize {
        *self.count_mut(status)
    }

    /// Whether something was measured, and nothing of it is in the baseline.
    pub fn only_new(self) -> bool {
        let others = Status::ALL
            .into_iter()
            .filter(|status| ![Status::New, Status::Filtered].contains(status));
        self.new > 0 && others.map(|status| self.count(status)).sum::<usize>() == 0
    }

    fn count_mut(&mut self, status: Status) -> &mut usize {
        match status {
            Status::Regressed => &mut self.regressed,
            Status::Improved => &mut self.improved,
            Status::Unchanged => &mut self.unchanged,
            Status::Inconclusive => &mut self.inconclusive,
            Status::Incomparable => &mut self.incomparable,
            Status::Missing => &mut self.missing,
            Status::New => &mut self.new,
            Status::Filtered => &mut self.filtered,
            Status::Broken => &mut self.broken,
        }
    }
}

/// A budget, and whether it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetRow {
    /// The benchmark's id; where none was measured, the name in gate.toml.
    pub id: String,
    /// What is limited.
    pub measure: Measure,
    /// The limit.
    pub limit: f64,
    /// The limit beyond which an excess is critical.
    pub critical: Option<f64>,
    /// What the runs say: for a count its least and its greatest, else an interval.
    pub measured: Option<Interval>,
    /// The unit of all these.
    pub unit: String,
    /// Runs that measured it.
    pub runs: usize,
    /// Whether it is kept.
    pub verdict: Outcome,
    /// How bad it is, where it is not kept.
    pub severity: Severity,
    /// Why, in one sentence; empty where nothing needs saying.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: Status) -> VerdictRow {
        VerdictRow::without_figures("a", Unit::Ns, status, "")
    }

    fn budget(verdict: Outcome) -> BudgetRow {
        BudgetRow {
            id: "a/b".into(),
            measure: Measure::Time,
            limit: 60.0,
            critical: None,
            measured: None,
            unit: "ns".into(),
            runs: 1,
            verdict,
            severity: Severity::Acceptable,
            reason: String::new(),
        }
    }

    #[test]
    fn a_part_with_nothing_to_judge_has_no_gap() {
        use Status::*;
        for (statuses, exit) in [
            (&[][..], Exit::Passed),
            (&[New, Filtered], Exit::Passed),
            (&[Filtered], Exit::Passed),
            (&[New, Broken], Exit::Broken),
            (&[Filtered, Missing], Exit::Broken),
            (&[Regressed, New], Exit::Failed),
            (&[Inconclusive], Exit::Undecided),
        ] {
            let rows: Vec<VerdictRow> = statuses.iter().map(|s| row(*s)).collect();
            let of_part = Verdict::exit_of_part(&rows, &[], GatePolicy::Strict);
            assert_eq!(of_part, exit, "{statuses:?}");
        }
    }

    #[test]
    fn rows_of_every_status_are_counted() {
        for status in Status::ALL {
            let summary = Summary::of(&[row(status), row(status)]);
            assert_eq!(summary.count(status), 2);
        }
    }

    #[test]
    fn every_exit_code_from_rows_and_budgets() {
        use Status::*;
        for (statuses, outcomes, strict) in [
            (&[][..], &[][..], Exit::Broken),
            (&[New, Filtered], &[], Exit::Broken),
            (&[Unchanged], &[], Exit::Passed),
            (&[Unchanged, Improved, New, Filtered], &[], Exit::Passed),
            (&[Unchanged, Inconclusive], &[], Exit::Undecided),
            (&[Incomparable], &[], Exit::Undecided),
            (&[Regressed, Inconclusive], &[], Exit::Failed),
            (&[Regressed, Missing], &[], Exit::Broken),
            (&[Unchanged, Broken], &[], Exit::Broken),
            (&[Unchanged], &[Outcome::Fail], Exit::Failed),
            (&[Unchanged], &[Outcome::Inconclusive], Exit::Undecided),
            (&[Unchanged], &[Outcome::Skipped], Exit::Passed),
            (&[Regressed], &[Outcome::Inconclusive], Exit::Failed),
            (&[Missing], &[Outcome::Fail], Exit::Broken),
            (&[], &[Outcome::Pass], Exit::Passed),
            (&[Filtered], &[Outcome::Pass], Exit::Passed),
            (&[New, Filtered], &[Outcome::Pass], Exit::Broken),
            (&[New, Unchanged], &[Outcome::Pass], Exit::Passed),
            (&[], &[Outcome::Skipped], Exit::Broken),
        ] {
            let rows: Vec<VerdictRow> = statuses.iter().map(|s| row(*s)).collect();
            let budgets: Vec<BudgetRow> = outcomes.iter().map(|o| budget(*o)).collect();
            let exit = |policy| Verdict::exit_of(&rows, &budgets, policy);
            assert_eq!(
                exit(GatePolicy::Strict),
                strict,
                "{statuses:?} {outcomes:?}"
            );
            assert_eq!(
                exit(GatePolicy::Advisory),
                GatePolicy::Advisory.exit(strict)
            );
        }
    }
}
