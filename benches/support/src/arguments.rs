//! What was asked of a target on its command line, which is otherwise Criterion's.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use probecost::schema::{SHARD_VARIABLE, Shard};
use regex::Regex;

use crate::fail::fail;
use crate::turns;

/// Takes `--require-agent` out of the arguments: with it a target that finds no agent
/// fails instead of skipping. Criterion reads the arguments itself and knows nothing of
/// this one, so the executable starts itself again with the environment variable that
/// means the same.
pub fn take_require_agent() {
    let asked = std::env::args_os().any(|argument| argument == "--require-agent");
    if !asked {
        return;
    }
    let arguments: Vec<OsString> = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--require-agent")
        .collect();
    let error = std::env::current_exe().map(|executable| {
        Command::new(executable)
            .args(arguments)
            .env("PROBECOST_REQUIRE_AGENT", "1")
            .exec()
    });
    fail(&format!("this executable cannot start itself: {error:?}"))
}

/// Whether this benchmark may be asked for. A driver asks for one at a time, and what only
/// others need would be in its way. To say what there is, one needs all of it.
pub fn may_ask_for(id: &str) -> bool {
    let filter = std::env::args().skip(1).last();
    !turns::are_taken() || takes(filter.as_deref(), id)
}

/// Whether a driver's last argument takes this benchmark: a regular expression as Criterion
/// reads it, or an option, and then all are.
fn takes(last: Option<&str>, id: &str) -> bool {
    let filter = last.filter(|last| !last.starts_with("--"));
    let filter = filter.and_then(|filter| Regex::new(filter).ok());
    filter.is_none_or(|filter| filter.is_match(id))
}

/// Whether what has no name is asked for: with all benchmarks, none by name, and no turns of
/// them; or by the first part of a suite.
pub fn all_asked_for() -> bool {
    let mut arguments = std::env::args().skip(1);
    let part = std::env::var(SHARD_VARIABLE).ok();
    !turns::are_taken() && (is_first(part.as_deref()) || arguments.all(|a| a == "--bench"))
}

fn is_first(part: Option<&str>) -> bool {
    let part = part.and_then(|part| part.parse::<Shard>().ok());
    part.is_some_and(|part| part.index() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_asks_for_what_its_last_argument_matches() {
        let one = Some("^(?:open_close/off)$");
        assert!(takes(one, "open_close/off"));
        assert!(!takes(one, "open_close/hook") && !takes(one, "open_close/off/x"));
        assert!(takes(Some("hook$"), "open_close/hook"));
        assert!(is_first(Some("1/3")) && !is_first(Some("2/3")) && !is_first(None));
        // A list of all, and a filter that is no regular expression.
        for all in [None, Some("--list"), Some("(")] {
            assert!(takes(all, "open_close/hook"));
        }
    }
}
