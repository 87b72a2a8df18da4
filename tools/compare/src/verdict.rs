//! What `check` found: the one object that every report is rendered from.

use probecost::gate::Severities;
use probecost::host::Host;
use probecost::stats::Interval;
use serde::Serialize;

use crate::budget::{self, Judged, Outcome};
use crate::input::Unit;

/// What was found, and what it means for the one who asked.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The format of this object.
    pub schema: u32,
    /// How strictly it was judged.
    pub policy: Policy,
    /// The machine of the runs, where they say.
    pub host: Option<Host>,
    /// What they were held against.
    pub baseline: Against,
    /// How it was measured, where head and base were measured together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duet: Option<Duet>,
    /// The exit code.
    pub exit: Exit,
    /// How many rows have which status.
    pub summary: Summary,
    /// A change that most rows share.
    pub shift: Option<Shift>,
    /// What a reader of the whole should know, a sentence each.
    pub notes: Vec<String>,
    /// Every benchmark, what matters most first.
    pub rows: Vec<Row>,
    /// Every budget, what matters most first.
    pub budgets: Vec<Judged>,
}

/// How strictly a change is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// For a machine that others share: a finding never fails.
    Advisory,
    /// For a machine of one's own.
    Strict,
}

/// The baseline that was used.
#[derive(Debug, Serialize)]
pub struct Against {
    /// Its file.
    pub file: String,
    /// The commit whose file it is, or the one that its newest session measured.
    pub commit: Option<String>,
    /// Its host class.
    pub host: Option<String>,
    /// Runs in it.
    pub runs: usize,
}

/// How head and base were measured together.
#[derive(Debug, Serialize)]
pub struct Duet {
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
    /// Base against a second build of base, where it was asked for.
    pub control: Option<Control>,
}

/// What two builds of the same source differ by.
#[derive(Debug, Serialize)]
pub struct Control {
    /// The largest change of any benchmark, in percent, without its sign.
    pub largest_pct: Option<f64>,
    /// Each benchmark, as head against base.
    pub rows: Vec<Row>,
}

/// The rounds behind a row; a round is a process of base and one of head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Rounds of the screen.
    pub screen_rounds: usize,
    /// Fresh rounds, by which alone the row is judged where there are any.
    pub rounds: usize,
    /// Whether both processes took turns block by block.
    pub lockstep: bool,
    /// What all of it took, in seconds.
    pub seconds: f64,
    /// What two builds of base differ by, in percent, where that was measured.
    pub layout_pct: Option<f64>,
}

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "u8")]
pub enum Exit {
    /// Nothing that this policy fails on.
    Passed,
    /// Something became slower, or is over its budget.
    Regressed,
    /// Something is missing or cannot be read, or nothing was compared.
    Broken,
    /// It cannot be said here.
    Undecided,
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> u8 {
        match exit {
            Exit::Passed => 0,
            Exit::Regressed => 1,
            Exit::Broken => 2,
            Exit::Undecided => 3,
        }
    }
}

/// What was decided about a benchmark. The order is that of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It became slower.
    Regressed,
    /// Its result cannot be read.
    Broken,
    /// The baseline has it, the runs have not.
    Missing,
    /// Something may have changed; these runs cannot say.
    Inconclusive,
    /// It became faster.
    Improved,
    /// It was measured on another machine.
    Incomparable,
    /// The runs have it, the baseline has not.
    New,
    /// Nothing was seen to change.
    Unchanged,
    /// It is shown, and raises no alarm.
    Filtered,
}

impl Status {
    /// All of them, in the order of the reports.
    pub const ALL: [Status; 9] = [
        Status::Regressed,
        Status::Broken,
        Status::Missing,
        Status::Inconclusive,
        Status::Improved,
        Status::Incomparable,
        Status::New,
        Status::Unchanged,
        Status::Filtered,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Status::Regressed => "regressed",
            Status::Broken => "broken",
            Status::Missing => "missing",
            Status::Inconclusive => "inconclusive",
            Status::Improved => "improved",
            Status::Incomparable => "incomparable",
            Status::New => "new",
            Status::Unchanged => "unchanged",
            Status::Filtered => "filtered",
        }
    }
}

/// How large a regression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No regression, or one below all names.
    Acceptable,
    /// From `severity.minor_pct` on.
    Minor,
    /// From `severity.warning_pct` on.
    Warning,
    /// From `severity.critical_pct` on.
    Critical,
}

impl Severity {
    /// The name for a regression of this size, in percent.
    pub fn of(change_pct: f64, names: &Severities) -> Self {
        match change_pct {
            size if size > names.critical_pct => Severity::Critical,
            size if size > names.warning_pct => Severity::Warning,
            size if size > names.minor_pct => Severity::Minor,
            _ => Severity::Acceptable,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Acceptable => "acceptable",
            Severity::Minor => "minor",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// One benchmark. A figure that there is none of is null.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
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
    pub runs: Runs,
    /// How many more runs would decide, where that is open and some would.
    pub more_runs: Option<usize>,
    /// The rounds, where head and base were measured together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paired: Option<Paired>,
    /// Why, in one sentence; empty where nothing needs saying.
    pub reason: String,
}

/// Runs behind a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// Of the baseline.
    pub baseline: usize,
    /// Of now.
    pub current: usize,
}

/// A change that most rows share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shift {
    /// Its median, in percent.
    pub median_pct: f64,
    /// How many rows share it.
    pub rows: usize,
    /// Of how many.
    pub of: usize,
}

/// Rows by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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
    pub fn of(rows: &[Row]) -> Self {
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

    /// What these rows and budgets mean. A gap outweighs a finding: what was not measured
    /// could be worse.
    pub fn exit(&self, budgets: &[Judged], policy: Policy) -> Exit {
        let compared =
            self.regressed + self.improved + self.unchanged + self.inconclusive + self.incomparable;
        let [over, open, kept] = [Outcome::Fail, Outcome::CannotDecide, Outcome::Pass]
            .map(|outcome| budget::count(budgets, outcome));
        let exit = if self.broken + self.missing > 0 || compared + over + open + kept == 0 {
            Exit::Broken
        } else if self.regressed + over > 0 {
            Exit::Regressed
        } else if self.inconclusive + self.incomparable + open > 0 {
            Exit::Undecided
        } else {
            Exit::Passed
        };
        match (policy, exit) {
            (Policy::Advisory, Exit::Regressed | Exit::Undecided) => Exit::Passed,
            (_, exit) => exit,
        }
    }
}

/// Puts what matters most first.
pub fn sort(rows: &mut [Row]) {
    rows.sort_by(|a, b| {
        let size = |r: &Row| r.change_pct.map_or(0.0, f64::abs);
        (a.status.cmp(&b.status))
            .then(b.severity.cmp(&a.severity))
            .then(size(b).total_cmp(&size(a)))
            .then(a.id.cmp(&b.id))
    });
}

/// An interval of logarithms as percent.
pub fn percent(log: Interval) -> Interval {
    log.map(|x| 100.0 * x.exp_m1())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_under_both_policies() {
        let none = Summary::default();
        let unchanged = Summary {
            unchanged: 3,
            ..none
        };
        for (summary, strict, advisory) in [
            (none, Exit::Broken, Exit::Broken),
            (
                Summary {
                    new: 2,
                    filtered: 1,
                    ..none
                },
                Exit::Broken,
                Exit::Broken,
            ),
            (unchanged, Exit::Passed, Exit::Passed),
            (
                Summary {
                    improved: 1,
                    new: 1,
                    filtered: 1,
                    ..unchanged
                },
                Exit::Passed,
                Exit::Passed,
            ),
            (
                Summary {
                    inconclusive: 1,
                    ..unchanged
                },
                Exit::Undecided,
                Exit::Passed,
            ),
            (
                Summary {
                    incomparable: 3,
                    ..none
                },
                Exit::Undecided,
                Exit::Passed,
            ),
            (
                Summary {
                    regressed: 1,
                    inconclusive: 1,
                    ..unchanged
                },
                Exit::Regressed,
                Exit::Passed,
            ),
            (
                Summary {
                    regressed: 1,
                    missing: 1,
                    ..unchanged
                },
                Exit::Broken,
                Exit::Broken,
            ),
            (
                Summary {
                    broken: 1,
                    ..unchanged
                },
                Exit::Broken,
                Exit::Broken,
            ),
        ] {
            assert_eq!(summary.exit(&[], Policy::Strict), strict, "{summary:?}");
            assert_eq!(summary.exit(&[], Policy::Advisory), advisory, "{summary:?}");
        }
    }

    #[test]
    fn a_budget_counts_as_a_row_does() {
        let unchanged = Summary {
            unchanged: 3,
            ..Summary::default()
        };
        let regressed = Summary {
            regressed: 1,
            ..unchanged
        };
        let missing = Summary {
            missing: 1,
            ..unchanged
        };
        let none = Summary::default();
        for (summary, outcome, strict) in [
            (unchanged, Outcome::Fail, Exit::Regressed),
            (unchanged, Outcome::CannotDecide, Exit::Undecided),
            (unchanged, Outcome::Pass, Exit::Passed),
            (unchanged, Outcome::NotRun, Exit::Passed),
            (regressed, Outcome::CannotDecide, Exit::Regressed),
            (missing, Outcome::Fail, Exit::Broken),
            (none, Outcome::Pass, Exit::Passed),
            (none, Outcome::NotRun, Exit::Broken),
        ] {
            let budgets = [budget::example("a/b", outcome)];
            assert_eq!(
                summary.exit(&budgets, Policy::Strict),
                strict,
                "{outcome:?}"
            );
            let advisory = match strict {
                Exit::Broken => Exit::Broken,
                _ => Exit::Passed,
            };
            assert_eq!(summary.exit(&budgets, Policy::Advisory), advisory);
        }
    }

    #[test]
    fn severity_by_size() {
        let names = probecost::gate::Gate::shipped().severity;
        let of = |pct| Severity::of(pct, &names);
        assert_eq!(
            [of(-50.0), of(5.0), of(5.1), of(15.1), of(30.1)],
            [
                Severity::Acceptable,
                Severity::Acceptable,
                Severity::Minor,
                Severity::Warning,
                Severity::Critical
            ]
        );
    }

    #[test]
    fn all_statuses_are_in_order_and_counted() {
        assert!(Status::ALL.is_sorted());
        let summary = Summary {
            broken: 7,
            ..Summary::default()
        };
        assert_eq!(summary.count(Status::Broken), 7);
    }
}
