//! The monitor, through its executable.

#![cfg(feature = "agent")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, signal};
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

/// A shell whose worker takes CPU time, and then stays; where the numbers of both are told, and
/// a file that is there when it stays.
fn with_worker(directory: &Path, then: &str) -> (String, PathBuf, PathBuf) {
    let [told, stays] = ["pids", "stays"].map(|name| directory.join(name));
    let work = "awk 'BEGIN { for (i = 0; i < 3000000; i++) s = s + i }'";
    let script = format!(
        "({work}; >{}; exec sleep 1000) & echo $$ $! >{}; {then}",
        stays.display(),
        told.display()
    );
    (script, told, stays)
}

/// CPU time of a process and of those whom it waited for, in seconds.
fn taken(pid: i32) -> f64 {
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    let stat = stat.unwrap();
    let ticks = stat.utime + stat.stime + (stat.cutime + stat.cstime).unsigned_abs();
    ticks as f64 / procfs::ticks_per_second() as f64
}

fn is_told(told: &Path) -> bool {
    std::fs::read_to_string(told).is_ok_and(|line| line.ends_with('\n'))
}

/// The shell and its worker.
fn both(told: &Path) -> [i32; 2] {
    let told = std::fs::read_to_string(told).unwrap();
    let pids = told.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.collect::<Vec<_>>().try_into().unwrap()
}

/// What `/proc` calls the state of a process.
fn state(pid: i32) -> Option<char> {
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    stat.ok().map(|stat| stat.state)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// As a terminal tells all of them to end. The shell does, here before the monitor runs again;
/// what it started with `&` does not heed that, and has no parent then.
#[test]
fn ctrl_c_at_a_terminal_ends_those_who_do_not_hear_it_and_counts_them() {
    use rustix::process::{Pid, Signal, kill_process, kill_process_group};
    let out = tempfile::tempdir().unwrap();
    let (script, told, stays) = with_worker(out.path(), "wait");
    let mut watching = command(out.path(), &["--", "sh", "-c", &script]);
    watching.stdout(Stdio::piped()).process_group(0);
    // Tests that run in the background may have it ignored.
    // SAFETY: between fork and exec it only makes a system call.
    let watching = unsafe {
        watching.pre_exec(|| {
            signal(nix::sys::signal::Signal::SIGINT, SigHandler::SigDfl)?;
            Ok(())
        })
    };
    let mut monitor = watching.spawn().unwrap();
    wait_until("the worker stays", || stays.exists() && is_told(&told));
    let [shell, worker] = both(&told);
    let took = taken(worker);
    let pid = Pid::from_raw(monitor.id() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    wait_until("it is stopped", || state(monitor.id() as i32) == Some('T'));
    kill_process_group(pid, Signal::INT).unwrap();
    wait_until("the shell has ended", || state(shell) == Some('Z'));
    kill_process(pid, Signal::CONT).unwrap();
    let report: MonitorReport = serde_json::from_reader(monitor.stdout.take().unwrap()).unwrap();
    monitor.wait().unwrap();
    assert_eq!(report.ending, Some(MonitorEnding::Killed(2)));
    assert!(!Path::new(&format!("/proc/{worker}")).exists());
    let totals = report.totals;
    assert!(
        took > 0.0 && totals.user_s + totals.system_s + 0.001 > took,
        "{took} s, {totals:?}"
    );
}

/// What a command leaves running when it ends by itself runs on, and what it had taken by the
/// last look counts.
#[test]
fn what_a_command_leaves_running_is_left_and_counted() {
    use rustix::process::{Pid, Signal, kill_process};
    let out = tempfile::tempdir().unwrap();
    let end = out.path().join("end");
    let then = format!("while ! [ -e {} ]; do sleep 0.1; done", end.display());
    let (script, told, stays) = with_worker(out.path(), &then);
    let mut watching = command(out.path(), &["--", "sh", "-c", &script]);
    let mut monitor = watching.stdout(Stdio::piped()).spawn().unwrap();
    wait_until("the worker stays", || stays.exists() && is_told(&told));
    let [_, worker] = both(&told);
    let took = taken(worker);
    let written = std::fs::read_to_string(out.path().join("latest/monitor.jsonl"));
    let looks = written.map_or(0, |lines| lines.lines().count());
    // One may have been under way.
    wait_for_samples(out.path(), looks + 2);
    std::fs::write(&end, "").unwrap();
    let report: MonitorReport = serde_json::from_reader(monitor.stdout.take().unwrap()).unwrap();
    monitor.wait().unwrap();
    assert_eq!(report.ending, Some(MonitorEnding::Exited(0)));
    // It still runs.
    kill_process(Pid::from_raw(worker).unwrap(), Signal::KILL).unwrap();
    let totals = report.totals;
    assert!(
        took > 0.0 && totals.user_s + totals.system_s + 0.001 > took,
        "{took} s, {totals:?}"
    );
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
