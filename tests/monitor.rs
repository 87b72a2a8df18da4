//! The monitor, through its executable.

#![cfg(feature = "agent")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use probecost::schema::monitor::{MonitorEnding, MonitorReport, MonitorSample};

fn command(out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probecost"));
    command.args(["monitor", "--format", "json", "--out"]);
    command.arg(out).args(arguments);
    command
}

fn monitor(out: &Path, arguments: &[&str]) -> Output {
    command(out, arguments).output().unwrap()
}

fn report(output: &Output) -> MonitorReport {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

/// Waits until so many samples are written.
fn wait_for_samples(out: &Path, many: usize) {
    let begin = Instant::now();
    let written = || std::fs::read_to_string(out.join("latest/monitor.jsonl"));
    while !written().is_ok_and(|lines| lines.lines().count() >= many) {
        assert!(begin.elapsed() < Duration::from_secs(30), "no sample came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// CPU seconds by the samples alone.
fn sampled(samples: &[MonitorSample]) -> f64 {
    let starts = std::iter::once(0.0).chain(samples.iter().map(|s| s.at_s));
    let spans = samples.iter().zip(starts);
    spans
        .map(|(s, start)| (s.user_pct + s.system_pct) / 100.0 * (s.at_s - start))
        .sum()
}

/// One execution, seen by both: CPU in children of children, half of them short-lived.
#[test]
fn the_monitor_agrees_with_time() {
    if !Path::new("/usr/bin/time").exists() {
        assert!(!probecost::agent::is_required(), "/usr/bin/time is missing");
        eprintln!("skipped: apt-get install time");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let told = out.path().join("time");
    let work = "for i in 1 2 3 4; do \
        awk 'BEGIN { for (i = 0; i < 3000000; i++) s = s + i; for (i = 0; i < 400000; i++) a[i] = i }'; done";
    let arguments = [
        "--",
        "/usr/bin/time",
        "--output",
        told.to_str().unwrap(),
        "--format",
        "%U %S %M",
        "sh",
        "-c",
        work,
    ];
    let report = report(&monitor(out.path(), &arguments));
    let told = std::fs::read_to_string(told).unwrap();
    let told: Vec<f64> = told
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [user, system, peak_kib] = told[..] else {
        panic!("{told:?}");
    };
    let totals = report.totals;
    let cpu = user + system;
    let near = |ours: f64, theirs: f64, what: &str| {
        // It rounds to a hundredth of a second.
        let apart = (ours - theirs).abs();
        assert!(apart <= 0.02 * theirs + 0.01, "{what}: {ours} and {theirs}");
    };
    near(
        totals.user_s + totals.system_s,
        cpu,
        "CPU by the kernel's accounts",
    );
    near(sampled(&report.samples), cpu, "CPU by samples");
    near(
        totals.peak_resident as f64 / 1e6,
        peak_kib * 1024.0 / 1e6,
        "memory",
    );
    assert_eq!(report.ending, Some(MonitorEnding::Exited(0)));
    for file in [
        "monitor.json",
        "monitor.csv",
        "monitor.jsonl",
        "monitor.svg",
        "host.json",
    ] {
        assert!(out.path().join("latest").join(file).exists(), "{file}");
    }
}

/// Until its `execve` a command has the monitor's memory.
#[test]
fn the_peak_of_a_small_command_is_its_own() {
    let out = tempfile::tempdir().unwrap();
    let told = out.path().join("status");
    let script = format!("cat /proc/$$/status >{}; sleep 1.2", told.display());
    let report = report(&monitor(out.path(), &["--", "sh", "-c", &script]));
    let told = std::fs::read_to_string(told).unwrap();
    let shell = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let shell = shell.and_then(|kb| kb.trim().strip_suffix(" kB"));
    let shell = shell.unwrap().parse::<u64>().unwrap() * 1024;
    let peak = report.totals.peak_resident;
    // `sleep` is about as small.
    assert!(
        0 < peak && peak < 2 * shell,
        "{peak} B, the shell {shell} B"
    );
}

#[test]
fn the_monitor_says_what_it_costs_itself() {
    let out = tempfile::tempdir().unwrap();
    let report = report(&monitor(out.path(), &["--", "sleep", "1.1"]));
    let own = report.totals.own_cpu_s;
    assert!(own > 0.0 && own < report.totals.seconds, "{own} s");
    let printed = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["monitor", "--out"])
        .arg(out.path())
        .args(["--", "sleep", "0.1"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout);
    let line = printed.lines().find(|line| line.contains("the monitor"));
    assert!(
        line.is_some_and(|line| line.contains("% of one CPU")),
        "{printed}"
    );
}

#[test]
fn whoever_kills_the_monitor_loses_only_the_last_second() {
    let out = tempfile::tempdir().unwrap();
    let pid = std::process::id().to_string();
    let mut monitor = command(out.path(), &["--pid", &pid]).spawn().unwrap();
    wait_for_samples(out.path(), 2);
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let read = |name| std::fs::read_to_string(out.path().join("latest").join(name)).unwrap();
    let json = read("monitor.jsonl");
    let samples: Vec<MonitorSample> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(samples.len() >= 2, "{json}");
    assert!(
        samples.iter().all(|s| s.resident > 0 && s.descriptors > 2),
        "{json}"
    );
    assert_eq!(read("monitor.csv").lines().count(), samples.len() + 1);
}

#[test]
fn a_process_that_ends_ends_the_watch() {
    let out = tempfile::tempdir().unwrap();
    let mut process = Command::new("sleep").arg("3").spawn().unwrap();
    let pid = process.id().to_string();
    let output = monitor(out.path(), &["--pid", &pid]);
    process.wait().unwrap();
    let report = report(&output);
    assert_eq!(
        (report.command.join(" "), report.ending),
        ("sleep 3".into(), None)
    );
    assert!(report.totals.seconds < 20.0, "{:?}", report.totals);
}

#[test]
fn a_command_that_is_killed_is_said_to_be() {
    let out = tempfile::tempdir().unwrap();
    let output = monitor(out.path(), &["--", "sh", "-c", "echo said; kill -9 $$"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("said"));
    assert_eq!(report(&output).ending, Some(MonitorEnding::Killed(9)));
}

#[test]
fn an_interrupted_watch_keeps_what_it_has_and_ends_its_command() {
    let out = tempfile::tempdir().unwrap();
    let mut watching = command(out.path(), &["--", "sleep", "60"]);
    let mut monitor = watching.stdout(Stdio::piped()).spawn().unwrap();
    wait_for_samples(out.path(), 1);
    let pid = rustix::process::Pid::from_raw(monitor.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let report: MonitorReport = serde_json::from_reader(monitor.stdout.take().unwrap()).unwrap();
    monitor.wait().unwrap();
    assert!(!report.samples.is_empty() && report.totals.seconds < 30.0);
    assert_eq!(report.ending, Some(MonitorEnding::Killed(15)));
}

/// The monitor alone is told to end, not the group that a terminal signals.
#[test]
fn nothing_of_a_command_outlives_a_watch_that_is_interrupted() {
    let out = tempfile::tempdir().unwrap();
    let told = out.path().join("pid");
    let script = format!("sleep 1000 & echo $! >{}; wait; :", told.display());
    let mut watching = command(out.path(), &["--", "sh", "-c", &script]);
    let mut monitor = watching.stdout(Stdio::null()).spawn().unwrap();
    wait_for_samples(out.path(), 1);
    let sleeper = std::fs::read_to_string(&told).unwrap();
    let pid = rustix::process::Pid::from_raw(monitor.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    monitor.wait().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", sleeper.trim()));
    // Whoever adopted it may not have waited for it yet.
    let lives = status.is_ok_and(|status| !status.contains("State:\tZ"));
    assert!(!lives, "{sleeper}");
}

#[test]
fn looks_after_a_pause_do_not_follow_each_other_at_once() {
    use rustix::process::{Pid, Signal, kill_process};
    let out = tempfile::tempdir().unwrap();
    let mut watching = command(out.path(), &["--", "sleep", "6"]);
    let mut monitor = watching.stdout(Stdio::piped()).spawn().unwrap();
    wait_for_samples(out.path(), 1);
    let pid = Pid::from_raw(monitor.id() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_millis(2700));
    kill_process(pid, Signal::CONT).unwrap();
    let report: MonitorReport = serde_json::from_reader(monitor.stdout.take().unwrap()).unwrap();
    monitor.wait().unwrap();
    let at: Vec<f64> = report.samples.iter().map(|sample| sample.at_s).collect();
    assert!(at.windows(2).all(|two| two[1] - two[0] > 0.1), "{at:?}");
}

#[test]
fn bad_input_is_named() {
    let out = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["--pid", "4194305"][..], "there is no process"),
        (&["--pid", "0"], "0 is not in"),
        (&["--pid", "me"], "invalid digit"),
        (&["--", "/no/such/program"], "cannot be started"),
        (&[], "required"),
        (&["--pid", "1", "--", "ls"], "cannot be used with"),
    ] {
        let output = monitor(out.path(), arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{arguments:?}: {text}");
    }
}
