//! What was asked of a target on its command line, which is otherwise Criterion's.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

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

/// Whether a benchmark whose id starts like this may be asked for. A driver asks for
/// one at a time (`--exact`), and what only others need would be in its way.
pub fn may_ask_for(start: &str) -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let exact = turns::are_taken() && arguments.iter().any(|argument| argument == "--exact");
    !exact || arguments.iter().any(|argument| argument.starts_with(start))
}

/// Whether all benchmarks were asked for, none by name, and no turns of them.
pub fn all_asked_for() -> bool {
    let mut arguments = std::env::args().skip(1);
    !turns::are_taken() && arguments.all(|argument| argument == "--bench")
}
