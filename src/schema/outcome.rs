//! What a measurement comes to: one set of words for all of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a row, a budget or a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole interval keeps to the limit.
    Pass,
    /// Over the limit, within what is still borne; only where a limit has two steps.
    Marginal,
    /// None of the interval keeps to the limit.
    Fail,
    /// The limit lies inside the interval, or there is no interval.
    Inconclusive,
    /// The measurement contradicts itself; its numbers are not to be used.
    #[serde(alias = "harness_error")]
    Broken,
    /// Not measured.
    Skipped,
    /// The limit is smaller than what this machine shows where nothing differs.
    Unenforceable,
}

impl Outcome {
    /// The word for it, as JSON has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Marginal => "marginal",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Broken => "broken",
            Self::Skipped => "skipped",
            Self::Unenforceable => "unenforceable",
        }
    }

    /// The word in a table: what needs a look stands out.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Broken => "BROKEN",
            other => other.word(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Outcome; 7] = [
        Outcome::Pass,
        Outcome::Marginal,
        Outcome::Fail,
        Outcome::Inconclusive,
        Outcome::Broken,
        Outcome::Skipped,
        Outcome::Unenforceable,
    ];

    #[test]
    fn the_word_is_the_one_in_json() {
        for outcome in ALL {
            let json = serde_json::to_value(outcome).unwrap();
            assert_eq!(json, outcome.word());
        }
    }

    #[test]
    fn what_schema_1_called_a_harness_error_is_broken() {
        let old: Outcome = serde_json::from_str("\"harness_error\"").unwrap();
        assert_eq!(old, Outcome::Broken);
    }
}
