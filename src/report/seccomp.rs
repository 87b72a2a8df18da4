//! What `probecost seccomp` found, as a person reads it.

use std::path::Path;

use super::findings::findings;
use crate::schema::coverage::Kernel;
use crate::schema::seccomp::{Learnt, Replay, SeccompMode, SeccompReport};

/// How many of the calls that came last are shown.
const LAST: usize = 5;

/// What a profile was learnt from.
pub fn learnt(learnt: &Learnt, file: &Path) -> String {
    let mut text = format!(
        "{} learnt from {}\n",
        file.display(),
        learnt.command.join(" ")
    );
    for (k, run) in learnt.runs.iter().enumerate() {
        text += &format!(
            "  run {}  {} calls, {} new, {} processes; {}\n",
            k + 1,
            run.calls,
            run.new,
            run.processes,
            run.ending
        );
    }
    text += &format!(
        "{} calls of its own, {} besides\n",
        learnt.calls.len(),
        learnt.base.len()
    );
    let last = learnt.calls.iter().rev().take(LAST);
    let last: Vec<_> = last
        .map(|call| format!("{} (run {}, {:.1} ms)", call.name, call.run, call.after_ms))
        .collect();
    text += &format!("what came last: {}\n", last.join(", "));
    text += &match learnt.kernel {
        Some(Kernel { runs, counted }) => {
            format!("the kernel ran the counter {runs} times, and {counted} calls were counted\n")
        }
        None => "not held against the kernel's own count, which takes CAP_SYS_ADMIN\n".into(),
    };
    for sentence in &learnt.missed {
        text += &format!("missed: {sentence}\n");
    }
    text
}

/// What a command was denied.
pub fn replay(run: &Replay) -> String {
    let mut text = format!(
        "{} under a profile of {} calls: {}\n{} calls made\n",
        run.command.join(" "),
        run.allowed,
        run.ending,
        run.made
    );
    if run.denied.is_empty() {
        text += "none denied\n";
    }
    let met = match run.mode {
        SeccompMode::Log => "denied, and logged",
        SeccompMode::Kill => "denied, and deadly",
    };
    for call in &run.denied {
        text += &format!("{met}: {} ({} times)\n", call.name, call.times);
    }
    for sentence in &run.missed {
        text += &format!("missed: {sentence}\n");
    }
    text
}

/// Profiles beside containers' default one.
pub fn compared(report: &SeccompReport) -> String {
    format!(
        "{}\n\nContainers' default profile allows {} calls, in {} bytes of the same form.\n",
        findings(&report.rows),
        report.default.calls,
        report.default.bytes
    )
}
