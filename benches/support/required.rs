//! `--require-agent`: a target that finds no agent fails instead of skipping.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Takes `--require-agent` out of the arguments, which are otherwise Criterion's:
/// Criterion reads them itself and knows nothing of this one, so the executable
/// starts itself again with the environment variable that means the same.
pub fn take_from_arguments() {
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

/// Ends the target.
pub fn fail(why: &dyn std::fmt::Display) -> ! {
    eprintln!("error: {why}");
    std::process::exit(2)
}
