//! What a bench started in a session of its own, found by the Criterion home that it inherited:
//! every process of a bench has another one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Where Criterion looks for the place of its results.
pub const HOME: &str = "CRITERION_HOME";

/// How often one looks for what was started by what is being ended.
const LOOKS: usize = 10;

/// Ends every process that has `home` for its Criterion home.
pub fn end(home: &OsStr) {
    let mark = [HOME.as_bytes(), b"=", home.as_bytes()].concat();
    for _ in 0..LOOKS {
        let Ok(processes) = fs::read_dir("/proc") else {
            return;
        };
        let ended = processes
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|number| end_one(*number, &mark))
            .count();
        if ended == 0 {
            return;
        }
    }
}

/// Ends the process of this number where it has the mark in its environment, and says whether
/// it has.
fn end_one(number: i32, mark: &[u8]) -> bool {
    // Held before one looks, so that its number cannot be another's by the time it is ended.
    let held = Pid::from_raw(number).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let environment = Path::new("/proc").join(number.to_string()).join("environ");
    // Other users' environments cannot be read, and those that have ended have none.
    let environment = fs::read(environment).unwrap_or_default();
    let marked = environment.split(|byte| *byte == 0).any(|it| it == mark);
    match held {
        Some(held) if marked => pidfd_send_signal(held, Signal::KILL).is_ok(),
        _ => false,
    }
}
