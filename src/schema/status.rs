//! The words of a verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Exit, Outcome};

/// How strictly a change is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatePolicy {
    /// For a machine that others share: a finding never fails.
    Advisory,
    /// For a machine of one's own.
    Strict,
}

impl GatePolicy {
    /// What this policy makes of an exit code: advice neither fails nor holds anybody up.
    pub fn exit(self, exit: Exit) -> Exit {
        match (self, exit) {
            (Self::Advisory, Exit::Failed | Exit::Undecided) => Exit::Passed,
            (_, exit) => exit,
        }
    }
}

/// What was decided about a benchmark. The order is that of the reports.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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
    /// It was measured on another machine, or on one that is no longer the same.
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
    pub const ALL: [Self; 9] = [
        Self::Regressed,
        Self::Broken,
        Self::Missing,
        Self::Inconclusive,
        Self::Improved,
        Self::Incomparable,
        Self::New,
        Self::Unchanged,
        Self::Filtered,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Broken => "broken",
            Self::Missing => "missing",
            Self::Inconclusive => "inconclusive",
            Self::Improved => "improved",
            Self::Incomparable => "incomparable",
            Self::New => "new",
            Self::Unchanged => "unchanged",
            Self::Filtered => "filtered",
        }
    }

    /// What it means for the one who asked.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Regressed => Outcome::Fail,
            Self::Broken | Self::Missing => Outcome::Broken,
            Self::Inconclusive | Self::Incomparable => Outcome::Inconclusive,
            Self::Improved | Self::Unchanged => Outcome::Pass,
            Self::New | Self::Filtered => Outcome::Skipped,
        }
    }
}

/// How large a regression is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No regression, or one below all names.
    Acceptable,
    /// Above `severity.minor_pct`.
    Minor,
    /// Above `severity.warning_pct`.
    Warning,
    /// Above `severity.critical_pct`.
    Critical,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Acceptable => "acceptable",
            Self::Minor => "minor",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a benchmark's figures count.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds for one operation.
    Ns,
    /// Instructions executed.
    Instructions,
    /// Bytes allocated.
    Bytes,
    /// Blocks allocated.
    Allocations,
    /// One time over another of the same run.
    Ratio,
    /// What a measurement of the bench's own counts, such as cycles.
    Other,
}

impl Unit {
    /// The unit in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Instructions => "instructions",
            Self::Bytes => "bytes",
            Self::Allocations => "allocations",
            Self::Ratio => "ratio",
            Self::Other => "other",
        }
    }
}

/// What a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The time of one operation: at most so many nanoseconds.
    Time,
    /// Allocations, bytes, instructions: at most so many, in every run.
    Count,
    /// Throughput: at least so much a second.
    Rate,
    /// A part of the whole, such as lost events: at most so many percent.
    Share,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_in_order_and_called_as_in_json() {
        assert!(Status::ALL.is_sorted());
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
        }
    }

    #[test]
    fn advice_neither_fails_nor_holds_anybody_up() {
        for (exit, advisory) in [
            (Exit::Passed, Exit::Passed),
            (Exit::Failed, Exit::Passed),
            (Exit::Broken, Exit::Broken),
            (Exit::Undecided, Exit::Passed),
        ] {
            assert_eq!(GatePolicy::Strict.exit(exit), exit);
            assert_eq!(GatePolicy::Advisory.exit(exit), advisory);
        }
    }
}
