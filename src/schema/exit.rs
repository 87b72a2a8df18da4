//! What a command ends with.

use std::process::ExitCode;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Outcome;

/// The exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "u8", try_from = "u8")]
#[schemars(with = "u8")]
pub enum Exit {
    /// 0: everything that was judged passed.
    Passed,
    /// 1: something became slower, or is over its limit.
    Failed,
    /// 2: something is missing or cannot be read, a tool failed, or nothing was judged.
    Broken,
    /// 3: it cannot be said here.
    Undecided,
}

impl Exit {
    /// What these outcomes mean together. A gap outweighs a finding: what was not
    /// measured could be worse. Nothing judged is no pass.
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let (mut passed, mut failed, mut undecided) = (false, false, false);
        for outcome in outcomes {
            match outcome {
                Outcome::Broken => return Self::Broken,
                Outcome::Fail => failed = true,
                Outcome::Inconclusive | Outcome::Unenforceable => undecided = true,
                Outcome::Pass | Outcome::Marginal => passed = true,
                Outcome::Skipped => {}
            }
        }
        match (failed, undecided, passed) {
            (true, _, _) => Self::Failed,
            (_, true, _) => Self::Undecided,
            (_, _, true) => Self::Passed,
            (false, false, false) => Self::Broken,
        }
    }
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> u8 {
        match exit {
            Exit::Passed => 0,
            Exit::Failed => 1,
            Exit::Broken => 2,
            Exit::Undecided => 3,
        }
    }
}

impl TryFrom<u8> for Exit {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        [Self::Passed, Self::Failed, Self::Broken, Self::Undecided]
            .into_iter()
            .find(|exit| u8::from(*exit) == code)
            .ok_or_else(|| format!("no command ends with {code}"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(u8::from(exit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_most_decides() {
        use Outcome::{Broken, Fail, Inconclusive, Marginal, Pass, Skipped, Unenforceable};
        for (outcomes, exit) in [
            (&[][..], Exit::Broken),
            (&[Skipped], Exit::Broken),
            (&[Pass, Skipped], Exit::Passed),
            (&[Marginal], Exit::Passed),
            (&[Pass, Inconclusive], Exit::Undecided),
            (&[Pass, Unenforceable], Exit::Undecided),
            (&[Inconclusive, Fail, Pass], Exit::Failed),
            (&[Fail, Broken, Pass], Exit::Broken),
        ] {
            assert_eq!(Exit::of(outcomes.iter().copied()), exit, "{outcomes:?}");
        }
    }

    #[test]
    fn codes_are_read_as_they_are_written() {
        for code in 0..4 {
            let exit: Exit = serde_json::from_str(&code.to_string()).unwrap();
            assert_eq!(u8::from(exit), code);
        }
        assert!(serde_json::from_str::<Exit>("4").is_err());
    }
}
