//! What tracing costs, through its executable and in the real kernel.

#![cfg(feature = "agent")]

use std::fs::DirEntry;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use probecost::schema::Outcome;
use probecost::schema::tracing::{Requirement, TracingReport};

/// Runs it; none where no tracer can be loaded, or its server is not installed.
fn traced(arguments: &[&str]) -> Option<TracingReport> {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["tracing", "--format", "json", "--out"])
        .arg(out.path())
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    match serde_json::from_slice(&output.stdout) {
        Ok(report) => {
            assert!(out.path().join("latest/tracing.json").exists());
            Some(report)
        }
        Err(error) => {
            assert!(stderr.starts_with("error: "), "{error}: {stderr}");
            assert!(!probecost::agent::is_required(), "{stderr}");
            eprintln!("skipped: {stderr}");
            None
        }
    }
}

fn row<'a>(report: &'a TracingReport, measure: &str) -> &'a Requirement {
    let mut rows = report.rows.iter();
    rows.find(|row| row.measure == measure)
        .unwrap_or_else(|| panic!("{measure}: {report:?}"))
}

#[test]
fn every_request_is_seen_and_every_requirement_judged() {
    for server in ["own", "nginx"] {
        let Some(report) = traced(&["--server", server, "--duration", "3", "--rate", "400"]) else {
            continue;
        };
        assert!(
            report
                .arms
                .iter()
                .all(|arm| arm.blocks + arm.left_out == 10 && arm.failed == 0)
        );
        assert!(report.reached > 390.0 && report.generator_lag_us.max > 0.0);
        let seen = row(&report, "seen_pct");
        assert_eq!(seen.measured.unwrap().est, 100.0, "{}", seen.reason);
        assert_eq!(row(&report, "lost_pieces").measured.unwrap().est, 0.0);
        // One round is too little for any interval, and 400 requests a second too few
        // events: neither is a pass.
        for undecided in ["added_p50_ms", "events_per_s", "availability_pct"] {
            let row = row(&report, undecided);
            assert_eq!(row.verdict, Outcome::Inconclusive, "{row:?}");
            assert!(!row.reason.is_empty(), "{row:?}");
        }
    }
}

/// What is measured of those who were answered says nothing of those who were not.
#[test]
fn a_rate_that_cannot_be_reached_is_said_and_nothing_passes() {
    let Some(report) = traced(&["--duration", "1", "--rate", "300000"]) else {
        return;
    };
    assert!(report.reached < 290_000.0, "{}", report.reached);
    let load = row(&report, "requests_per_s");
    assert_eq!(load.verdict, Outcome::Inconclusive, "{load:?}");
    assert!(load.reason.contains("of 300000 requests"), "{load:?}");
    let passed = report.rows.iter().find(|row| row.verdict == Outcome::Pass);
    assert_eq!(passed, None);
}

/// Starts it, waits until the server is there and the arms alternate, and does something.
fn disturbed(arguments: &[&str], disturb: impl FnOnce(u32)) -> Option<(Output, TempDir)> {
    let out = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["tracing", "--format", "json", "--out"])
        .arg(out.path())
        .args(arguments)
        .env("TMPDIR", out.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The load's thread begins when all else stands.
    let tasks = format!("/proc/{}/task", child.id());
    let is_load = |task: DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm"));
        name.is_ok_and(|name| name.trim() == "load")
    };
    let runs = || std::fs::read_dir(&tasks).is_ok_and(|all| all.flatten().any(is_load));
    while child.try_wait().unwrap().is_none() && !runs() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(1));
    if child.try_wait().unwrap().is_none() {
        disturb(child.id());
    }
    let output = child.wait_with_output().unwrap();
    if output.stdout.is_empty() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!probecost::agent::is_required(), "{stderr}");
        eprintln!("skipped: {stderr}");
        return None;
    }
    Some((output, out))
}

/// The children of a process of this name.
fn children(parent: u32, name: &str) -> Vec<i32> {
    let all = procfs::process::all_processes().unwrap();
    all.filter_map(|process| process.ok()?.stat().ok())
        .filter(|stat| stat.ppid == parent as i32 && stat.comm == name)
        .map(|stat| stat.pid)
        .collect()
}

#[test]
fn a_server_that_dies_is_named_and_nothing_passes() {
    let kill = |parent| {
        for pid in children(parent, "probecost") {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    };
    let Some((output, _out)) = disturbed(&["--server", "own", "--duration", "100"], kill) else {
        return;
    };
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let report: TracingReport = serde_json::from_slice(&output.stdout).unwrap();
    let load = row(&report, "requests_per_s");
    assert_eq!(load.verdict, Outcome::Broken);
    assert!(load.reason.starts_with("own has ended"), "{load:?}");
    let passed = report.rows.iter().find(|row| row.verdict == Outcome::Pass);
    assert_eq!(passed, None);
}

/// Ctrl-C leaves what was measured, and nothing of the server. What is noted for a day of
/// requests is no memory of the tracer.
#[test]
fn an_interrupted_run_keeps_what_it_has() {
    let interrupt = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    };
    let a_day = ["--server", "nginx", "--rate", "1000", "--duration", "86400"];
    let Some((output, out)) = disturbed(&a_day, interrupt) else {
        return;
    };
    let report: TracingReport = serde_json::from_slice(&output.stdout).unwrap();
    let said = report.notes.iter().any(|note| note.contains("interrupted"));
    assert!(said && report.seconds < 50.0, "{report:?}");
    assert!(report.reached > 0.0);
    // On a machine that is busy with other tests the load may fall behind in all of them.
    assert!(report.arms.iter().any(|arm| arm.blocks + arm.left_out > 0));
    assert!(row(&report, "memory_mb").measured.unwrap().est < 100.0);
    let left = std::fs::read_dir(out.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    // Its own directory and the link to it.
    assert_eq!(left.len(), 2, "{left:?}");
}

/// Enough of one that a few seconds show it.
#[test]
fn a_planted_leak_fails() {
    let leak = ["--duration", "12", "--rate", "100", "--plant-leak", "300"];
    let Some(report) = traced(&leak) else { return };
    let growth = row(&report, "growth_mb_per_hour");
    assert_eq!(growth.verdict, Outcome::Fail, "{growth:?}");
    // Megabytes an hour.
    let found = growth.measured.unwrap().est / (300.0 * 60.0);
    assert!((0.8..1.2).contains(&found), "{growth:?}");
}

#[test]
fn bad_input_is_named() {
    for (arguments, said) in [
        (["--rate", "0"], "1..=1000000"),
        (["--duration", "0"], "1..=86400"),
        (["--server", "apache"], "own, nginx"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_probecost"))
            .arg("tracing")
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}
