//! Counting system calls and learning profiles from them, through the real binary in
//! the real kernel.

#![cfg(feature = "agent")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where no agent is loaded, the test says so and ends; where one must be, it fails.
macro_rules! with_an_agent {
    () => {
        if let Err(why) = probecost::agent::calls::CallCounter::start(1) {
            assert!(!probecost::agent::is_required(), "{why}");
            eprintln!("skipped: {why}");
            return;
        }
    };
}

fn probecost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(arguments)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn learn(profile: &Path, more: &[&str], command: &[&str]) -> Output {
    let mut arguments = vec!["seccomp", "learn", "--format", "json", "--out"];
    arguments.push(profile.to_str().unwrap());
    arguments.extend(more);
    arguments.push("--");
    arguments.extend(command);
    let output = probecost(&arguments);
    assert!(output.status.success(), "{output:?}");
    output
}

fn replay(profile: &Path, mode: &str, command: &[&str]) -> Output {
    let profile = profile.to_str().unwrap();
    let mut arguments = vec!["seccomp", "run", "--format", "json", "--profile", profile];
    arguments.extend(["--mode", mode, "--"]);
    arguments.extend(command);
    probecost(&arguments)
}

#[test]
fn every_call_of_a_program_that_knows_its_own_is_seen() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    let output = probecost(&["coverage", "--known", "1000000", "--out", out]);
    assert!(output.status.success(), "{output:?}");
    let text = fs::read(directory.path().join("latest/coverage.json")).unwrap();
    let coverage: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(coverage["share"], 1.0);
    let known: Vec<_> = coverage["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| !call["expected"].is_null())
        .collect();
    assert_eq!(known.len(), 20);
    let seen = known.iter().map(|call| call["seen"].as_u64().unwrap());
    assert_eq!(seen.sum::<u64>(), 1_000_000);
    let kernel = |key: &str| coverage["kernel"][key].as_u64().unwrap();
    assert!(kernel("counted") >= kernel("runs"), "{coverage}");
}

#[test]
fn children_are_counted_as_strace_counts_them() {
    with_an_agent!();
    let script = "for i in 1 2 3; do /bin/true; done; (ls / | wc -l) &";
    let output = probecost(&["coverage", "--format", "json", "--", "sh", "-c", script]);
    let coverage = json(&output);
    if coverage["expected_by"].is_null() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    for call in coverage["calls"].as_array().unwrap() {
        // It does not count calls that never return.
        if !call["expected"].is_null() {
            assert_eq!(call["seen"], call["expected"], "{call}");
        }
    }
    assert_eq!(coverage["share"], 1.0);
    assert!(coverage["processes"].as_u64().unwrap() >= 7);
}

#[test]
fn a_program_s_claim_that_is_not_seen_is_missed() {
    with_an_agent!();
    let script = "echo 'reboot 100' > $PROBECOST_OWN_CALLS";
    let output = probecost(&["coverage", "--format", "json", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["share"], 0.0);
}

#[test]
fn a_learnt_profile_denies_nothing_and_is_the_same_each_time() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let command = ["sh", "-c", "ls -l / | grep -c root"];
    let first = directory.path().join("first.json");
    let learnt = json(&learn(&first, &["--runs", "2"], &command));
    assert_eq!(learnt["runs"].as_array().unwrap().len(), 2);
    let kernel = |key: &str| learnt["kernel"][key].as_u64().unwrap();
    assert!(kernel("runs") > 100 && kernel("counted") >= kernel("runs"));
    assert_eq!(learnt["runs"][0]["processes"], 3);
    let beside = fs::read(directory.path().join("first.json.learnt.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&beside).unwrap(), learnt);
    for _ in 0..4 {
        let again = directory.path().join("again.json");
        learn(&again, &[], &command);
        assert_eq!(fs::read(&again).unwrap(), fs::read(&first).unwrap());
    }
    for mode in ["log", "kill"] {
        let run = replay(&first, mode, &command);
        assert!(run.status.success(), "{run:?}");
        assert_eq!(json(&run)["denied"], serde_json::json!([]));
    }
}

#[test]
fn a_call_that_was_not_learnt_is_denied_and_named() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    let script = |more: &str| format!("cat /etc/hosts; {more} true");
    learn(&profile, &[], &["sh", "-c", &script("")]);
    let command = ["sh", "-c", &script("mkdir /tmp;")];
    let logged = replay(&profile, "log", &command);
    assert_eq!(logged.status.code(), Some(1), "{logged:?}");
    let denied = json(&logged)["denied"].clone();
    let named = |name: &str| {
        denied
            .as_array()
            .unwrap()
            .iter()
            .any(|call| call["name"] == name)
    };
    assert!(named("mkdir"), "{denied}");
    let killed = json(&replay(&profile, "kill", &command));
    assert_eq!(killed["verdict"], "fail");
    assert_eq!(killed["denied"].as_array().unwrap().len(), 1, "{killed}");
}

#[test]
fn a_denied_call_that_has_no_name_is_counted() {
    with_an_agent!();
    if Command::new("perl").arg("-v").output().is_err() {
        eprintln!("skipped: perl is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    // Not the command itself, whose end would tell.
    let script = |nr: u32| format!("perl -e 'syscall({nr})'; true");
    learn(&profile, &[], &["sh", "-c", &script(39)]);
    for (nr, name) in [
        (600, "a call by a number that has no name"),
        (0x4000_0027, "a call by the table of another architecture"),
    ] {
        for mode in ["log", "kill"] {
            let run = replay(&profile, mode, &["sh", "-c", &script(nr)]);
            assert_eq!(run.status.code(), Some(1), "{run:?}");
            let denied = json(&run)["denied"].clone();
            let mut denied = denied.as_array().unwrap().iter();
            assert!(denied.any(|call| call["name"] == name), "{mode}: {run:?}");
        }
    }
}

#[test]
fn what_was_cut_short_is_not_proven_to_be_denied_nothing() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    learn(&profile, &[], &["sleep", "0.1"]);
    let path = profile.to_str().unwrap();
    let run = ["seccomp", "run", "--profile", path, "--seconds", "1"];
    let more = ["--format", "json", "--", "sleep", "1000"];
    let run = probecost(&[&run[..], &more].concat());
    assert_eq!(run.status.code(), Some(3), "{run:?}");
    let run = json(&run);
    assert_eq!(run["denied"], serde_json::json!([]));
    assert!(run["missed"][0].as_str().unwrap().contains("time was over"));
}

/// The kernel goes on with a wait that was interrupted by a call of its own, which no run
/// without a stop shows.
#[test]
fn a_program_that_is_stopped_and_continued_is_not_killed_for_it() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    let script = |signals: [&str; 2]| {
        let [one, two] = signals;
        format!("sleep 5 & sleep 0.3; kill -{one} $!; kill -{two} $!; wait $!")
    };
    learn(&profile, &[], &["sh", "-c", &script(["0", "0"])]);
    let run = replay(&profile, "kill", &["sh", "-c", &script(["STOP", "CONT"])]);
    assert!(run.status.success(), "{run:?}");
    let run = json(&run);
    assert_eq!(run["denied"], serde_json::json!([]));
    assert_eq!(run["ending"], "exit status: 0");
}

#[test]
fn what_came_late_says_so() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    let mark = directory.path().join("mark");
    let mark = mark.to_str().unwrap();
    // The second run takes a path that the first did not.
    let script = format!("test -e {mark} && ln -s x {mark}.link; true > {mark}");
    let learnt = json(&learn(&profile, &["--runs", "2"], &["sh", "-c", &script]));
    let calls = learnt["calls"].as_array().unwrap();
    let late = calls.iter().find(|call| call["name"] == "symlinkat");
    let late = late.or_else(|| calls.iter().find(|call| call["name"] == "symlink"));
    assert_eq!(late.unwrap()["run"], 2);
    assert!(learnt["runs"][1]["new"].as_u64().unwrap() > 0);
}

#[test]
fn one_that_forks_for_ever_is_stopped() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    let script = "f() { f | f & }; f";
    let out = profile.to_str().unwrap();
    let output = probecost(&[
        "seccomp",
        "learn",
        "--out",
        out,
        "--processes",
        "50",
        "--seconds",
        "20",
        "--",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("more than 50 processes at once"), "{said}");
    assert!(!profile.exists());
}

#[test]
fn a_service_is_ended_when_its_time_is_over() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    let out = profile.to_str().unwrap();
    let arguments = [
        "seccomp",
        "learn",
        "--seconds",
        "1",
        "--format",
        "json",
        "--out",
        out,
    ];
    let output = probecost(&[&arguments[..], &["--", "sleep", "1000"]].concat());
    // What it would have called later is in no profile.
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let learnt = json(&output);
    assert_eq!(learnt["runs"][0]["ending"], "ended when its time was over");
    let missed = learnt["missed"][0].as_str().unwrap();
    assert!(missed.contains("run 1"), "{missed}");
    assert!(profile.exists());
}

/// Also what left its parent, its group and its session.
#[test]
fn nothing_watched_outlives_a_probecost_that_is_killed() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let profile = at("profile.json");
    let learn = ["seccomp", "learn", "--out", &profile];
    for (name, watch) in [("learn", &learn[..]), ("coverage", &["coverage"])] {
        let script = format!(
            "setsid sh -c 'echo $$ >{0}.new; mv {0}.new {0}; while :; do sleep 0.05; done' & wait",
            at(name)
        );
        let mut watching = Command::new(env!("CARGO_BIN_EXE_probecost"))
            .args(watch)
            .args(["--", "sh", "-c", &script])
            .spawn()
            .unwrap();
        let pid = soon(|| fs::read_to_string(at(name)).ok());
        watching.kill().unwrap();
        watching.wait().unwrap();
        soon(|| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            let ended = stat.map_or(true, |stat| stat.contains(") Z "));
            ended.then_some(())
        });
    }
}

/// What comes within half a minute.
fn soon<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn bad_input_is_one_sentence() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.json");
    fs::write(&profile, "no json").unwrap();
    let path = profile.to_str().unwrap();
    for (arguments, said) in [
        (
            vec!["coverage", "--", "/no/such/command"],
            "/no/such/command cannot be started",
        ),
        (
            vec!["seccomp", "run", "--profile", path, "--", "true"],
            "is no OCI seccomp profile",
        ),
        (
            vec!["seccomp", "learn", "--out", "/proc/x/y", "--", "true"],
            "cannot be written",
        ),
    ] {
        let output = probecost(&arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            stderr.contains(said) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}

#[test]
fn profiles_of_ten_programs_deny_nothing_and_are_smaller() {
    with_an_agent!();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    let output = probecost(&[
        "seccomp", "compare", "--pairs", "1", "--out", out, "--format", "json",
    ]);
    let compared = json(&output);
    let rows = compared["rows"].as_array().unwrap();
    let mut tested = 0;
    let mut otherwise = Vec::new();
    for row in rows.iter().filter(|row| row["name"] != "learning") {
        match row["verdict"].as_str().unwrap() {
            "skipped" => eprintln!("skipped: {}: {}", row["name"], row["reason"]),
            // Which calls a service makes is not the same each time: the row says which.
            _ if row["measure"] == "different profiles of 5" => tested += 1,
            "pass" => {}
            _ => otherwise.push(row),
        }
    }
    assert!(otherwise.is_empty(), "{otherwise:#?}");
    assert!(tested >= 3, "{compared}");
}

#[test]
fn a_profile_that_allows_nearly_all_is_not_small() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("profile.json");
    let names: Vec<_> = syscalls::Sysno::iter().map(|call| call.name()).collect();
    let oci = serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    });
    fs::write(&file, oci.to_string()).unwrap();
    let out = directory.path().to_str().unwrap();
    let output = probecost(&["seccomp", "compare", "--out", out, file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_command_that_was_cut_off_is_not_covered() {
    with_an_agent!();
    let covered = |seconds: &str, script: &str| {
        let bounds = ["coverage", "--format", "json", "--seconds", seconds];
        let output = probecost(&[&bounds, &["--", "sh", "-c", script][..]].concat());
        let missed = json(&output)["missed"].to_string();
        (output.status.code(), missed)
    };
    let script = "echo execve 1 >$PROBECOST_OWN_CALLS; sleep ";
    assert_eq!(
        covered("30", &format!("{script} 0")),
        (Some(0), "[]".into())
    );
    let (code, missed) = covered("1", &format!("{script} 60"));
    assert!(code == Some(3) && missed.contains("--seconds"), "{missed}");
    let (code, missed) = covered("30", &format!("{script} 60 & :"));
    assert!(
        code == Some(0) && missed.contains("1 processes"),
        "{missed}"
    );
}

/// In a PID namespace the kernel's numbers of the command's processes are those of strangers.
#[test]
fn in_a_pid_namespace_nobody_is_signalled_by_a_number_of_another() {
    with_an_agent!();
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root makes PID namespaces");
        return;
    }
    // The other kernels' machines have none.
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let signals = directory.path().join("signals");
    // It does not hear TERM, and does not call the kernel.
    let script = "trap '' TERM; while :; do :; done";
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "strace", "-f", "-qq"])
        .args(["-e", "trace=kill", "-e", "signal=none", "-o"])
        .arg(&signals)
        .arg(env!("CARGO_BIN_EXE_probecost"))
        .args(["coverage", "--without-strace", "--seconds", "1", "--"])
        .args(["sh", "-c", script])
        .output()
        .unwrap();
    let signals = fs::read_to_string(&signals).unwrap_or_default();
    if signals.is_empty() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!probecost::agent::is_required(), "{stderr}");
        eprintln!("skipped: {stderr}");
        return;
    }
    let killed = signals.lines().filter_map(|line| {
        let (_, call) = line.split_once("kill(")?;
        let (pid, _) = call.split_once(',')?;
        pid.parse::<u32>().ok()
    });
    let killed: Vec<u32> = killed.collect();
    // It begins to count at 1.
    assert!(
        !killed.is_empty() && killed.iter().all(|pid| *pid < 100),
        "{signals}"
    );
}
