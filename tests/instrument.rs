//! The overhead instrument, through its executable.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use probecost::host::Right;
use serde_json::Value;

/// Two measurements at a time would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_probecost"))
        .arg("overhead")
        .args(arguments)
        .arg("--bench")
        .output()
        .unwrap()
}

/// Runs it with results in a directory of its own.
fn measure(out: &Path, arguments: &[&str]) -> (Output, Option<Value>) {
    let mut all = vec!["--out", out.to_str().unwrap(), "--format", "json"];
    all.extend(arguments);
    let output = run(&all);
    let report = serde_json::from_slice(&output.stdout).ok();
    (output, report)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The exit code that the rows of a report come to.
fn verdict_of(report: &Value) -> i32 {
    let rows = report["rows"].as_array().unwrap();
    let any = |verdict: &str| rows.iter().any(|row| row["verdict"] == verdict);
    let passed = |row: &Value| row["arm"] == "event" && row["verdict"] == "pass";
    match (any("broken"), any("fail"), any("inconclusive")) {
        (true, _, _) => 2,
        (_, true, _) => 1,
        (_, _, true) => 3,
        _ if rows.iter().any(passed) => 0,
        _ => 2,
    }
}

fn required() -> bool {
    probecost::agent::is_required()
}

#[test]
fn a_short_run_gives_every_arm_or_says_why_not() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let (output, report) = measure(
        out.path(),
        &["--workload", "open_close,udp_connect", "--seconds", "0.5"],
    );
    let report = report.unwrap_or_else(|| panic!("no JSON: {}", stderr(&output)));
    assert_eq!(output.status.code(), Some(verdict_of(&report)));
    assert!(report["provenance"]["date"].is_string(), "{report}");
    let written = std::fs::read(out.path().join("overhead.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), report);
    assert_eq!(report["schema"], 2);

    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let arm = row["arm"].as_str().unwrap();
        if row["verdict"] == "skipped" {
            assert!(!required(), "{row}");
            assert!(!row["reason"].as_str().unwrap().is_empty(), "{row}");
            assert_eq!(row["ops"], 0, "a skipped arm has no numbers: {row}");
            continue;
        }
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("p50_ns") <= number("p95_ns") && number("p95_ns") <= number("p99_ns"));
        assert!(number("ops") > 0.0 && number("ns_per_op") > 0.0, "{row}");
        assert_eq!(
            number("events_per_op"),
            f64::from(u8::from(arm == "event")),
            "{row}"
        );
        assert_eq!(row["drops"], 0);
        assert_eq!(row["vs_off"].is_null(), arm == "off", "{row}");
        assert_eq!(
            row["kernel"].is_null(),
            arm == "off" || Right::SysAdmin.check().is_err(),
            "{row}"
        );
    }
    let a_a = &report["controls"]["a_a"]["ratio"];
    assert!(a_a["lo"].as_f64() <= a_a["hi"].as_f64(), "{a_a}");
    if required() {
        // So short a calibration is sure of little; but not of another slope.
        let slope = &report["controls"]["calibration"]["slope"];
        let [lo, hi] = ["lo", "hi"].map(|end| slope[end].as_f64().unwrap());
        assert!(
            (0.5..1.1).contains(&lo) && (0.9..2.0).contains(&hi),
            "{slope}"
        );
        assert_eq!(report["agent"]["missing"], Value::Null);
    }
}

#[test]
fn without_an_agent_only_off_has_numbers() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let (output, report) = measure(
        out.path(),
        &[
            "--workload",
            "open_close",
            "--seconds",
            "0.2",
            "--ring-bytes",
            "5000",
        ],
    );
    // An agent that cannot start (here: for its ring) is a reason, not a crash; nor a pass.
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    if required() {
        return;
    }
    let report = report.unwrap();
    let rows = report["rows"].as_array().unwrap();
    let verdicts: Vec<_> = rows
        .iter()
        .map(|row| row["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["pass", "skipped", "skipped"]);
    assert!(
        rows[1]["reason"].as_str().unwrap().contains("power of two"),
        "{}",
        rows[1]
    );
}

/// Who asks for no agent has what he asked for, where the machine is steady.
#[test]
fn a_bare_run_ends_as_its_row_does() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--workload", "open_close", "--seconds", "0.2", "--bare"];
    let (output, report) = measure(out.path(), &arguments);
    let report = report.unwrap_or_else(|| panic!("no JSON: {}", stderr(&output)));
    let rows = report["rows"].as_array().unwrap();
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    let is_passed = row["verdict"] == "pass";
    assert_eq!(output.status.success(), is_passed, "{row}");
}

#[test]
fn a_required_agent_that_cannot_start_is_a_failure() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let (output, _) = measure(
        out.path(),
        &[
            "--workload",
            "open_close",
            "--seconds",
            "0.2",
            "--require-agent",
            "--ring-bytes",
            "5000",
        ],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("power of two"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_ring_too_small_for_a_block_loses_events_and_says_so() {
    let _alone = alone();
    if !required() {
        eprintln!("skipped: needs an agent, and PROBECOST_REQUIRE_AGENT=1 does not promise one");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let arguments = [
        "--workload",
        "open_close",
        "--seconds",
        "0.5",
        "--ring-bytes",
        "4096",
        "--drain-ms",
        "10",
    ];
    let (output, report) = measure(out.path(), &arguments);
    let report = report.unwrap_or_else(|| panic!("no JSON: {}", stderr(&output)));
    assert_eq!(output.status.code(), Some(1));
    let event = &report["rows"][2];
    assert!(event["drops"].as_u64().unwrap() > 0, "{event}");
    assert!(event["events_per_op"].as_f64().unwrap() < 1.0, "{event}");
    let drops = event["budgets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|b| b["measure"] == "drops");
    assert_eq!(drops.unwrap()["verdict"], "fail", "{event}");
    assert_eq!(event["verdict"], "fail", "{event}");
}

#[test]
fn one_cpu_for_all_is_said() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let arguments = [
        "--workload",
        "open_close",
        "--seconds",
        "0.2",
        "--cpu",
        "0",
        "--consumer-cpu",
        "0",
    ];
    let (output, report) = measure(out.path(), &arguments);
    let report = report.unwrap_or_else(|| panic!("no JSON: {}", stderr(&output)));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("shares the workload's CPU"), "{warnings}");
}

/// Killed in the middle, it leaves the rows it had, and neither a process nor a
/// hook.
#[test]
fn a_kill_loses_no_finished_row_and_leaves_no_hook() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let hooks_before = probecost::agent::others().len();
    let mut child = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .arg("overhead")
        .args([
            "--workload",
            "open_close,full_read",
            "--seconds",
            "1",
            "--bench",
            "--out",
        ])
        .arg(out.path())
        .spawn()
        .unwrap();
    let file = out.path().join("overhead.json");
    let begin = std::time::Instant::now();
    while !file.exists() {
        assert!(begin.elapsed().as_secs() < 120, "no result yet");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The next workload is under way.
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();

    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let workloads: Vec<_> = rows.iter().map(|row| row["workload"].clone()).collect();
    assert_eq!(workloads, ["open_close"; 3]);
    assert!(rows.iter().all(|row| row["verdict"] != "pass"), "{rows:?}");
    assert!(
        report["warnings"].to_string().contains("cut off"),
        "{}",
        report["warnings"]
    );
    let killed = std::time::Instant::now();
    while probecost::agent::others().len() > hooks_before {
        assert!(
            killed.elapsed().as_secs() < 5,
            "{:?}",
            probecost::agent::others()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A terminal sends it to all of them.
#[test]
fn ctrl_c_leaves_no_file_behind() {
    let _alone = alone();
    let [out, temporary] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let files = || std::fs::read_dir(temporary.path()).unwrap().count();
    let child = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["overhead", "--workload", "stat_walk", "--seconds", "60"])
        .args(["--bare", "--out", out.path().to_str().unwrap()])
        .env("TMPDIR", temporary.path())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let begin = std::time::Instant::now();
    // Its own tree, and that of a process that measures.
    while files() < 2 {
        assert!(begin.elapsed().as_secs() < 120, "nothing is measured yet");
        std::thread::sleep(Duration::from_millis(10));
    }
    killpg(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("interrupted"));
    assert_eq!(files(), 0);
}

/// Each of these is one clear sentence and exit status 2, and nothing is measured.
#[test]
fn bad_arguments_are_named() {
    let cases: [(&[&str], &str); 13] = [
        (&["--workload", "open_clsoe"], "open_close, udp_connect"),
        (&["--seconds", "0"], "above 0"),
        (&["--seconds", "-1"], "above 0"),
        (&["--seconds", "1e9"], "at most 86400"),
        (&["--seconds", "NaN"], "above 0"),
        (&["--block-ms", "0"], "above 0"),
        (
            &["--wakeup", "sometimes"],
            "never, default, or a number of bytes",
        ),
        (&["--rung", "kprobe"], "raw_tp/sys_enter"),
        (&["--format", "xml"], "table, json"),
        (&["--file", "/no/such/file"], "/no/such/file"),
        (&["--file", "/"], "--file"),
        (&["--cpu", "4000"], "--cpu"),
        (&["--frobnicate"], "--frobnicate"),
    ];
    let out = tempfile::tempdir().unwrap();
    let out = out.path().to_str().unwrap();
    for (arguments, said) in cases {
        let output = run(&[&["--out", out], arguments].concat());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        let text = stderr(&output);
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{arguments:?}: {text}");
    }
}

#[test]
fn results_that_cannot_be_written_are_said_with_the_place() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    std::fs::write(&file, "").unwrap();
    let place = file.join("below");
    let (output, _) = measure(&place, &["--workload", "open_close", "--seconds", "0.1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("below cannot be written"),
        "{}",
        stderr(&output)
    );
}

/// `cargo bench -- something_else` asks every bench; who asks this command means it.
#[test]
fn a_filter_that_fits_no_workload_is_named() {
    let output = run(&["opne_close"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    for wanted in ["opne_close", "open_close"] {
        assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
    }
}

/// On a machine without cargo there is no ./baselines: the shipped budgets hold.
#[test]
fn without_a_gate_toml_the_shipped_budgets_hold() {
    let _alone = alone();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .current_dir(elsewhere.path())
        .args(["overhead", "--workload", "open_close", "--seconds", "0.1"])
        .args(["--out", "results", "--format", "json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}", stderr(&output)));
    let event = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["arm"] == "event")
        .unwrap();
    if event["verdict"] == "skipped" {
        assert!(!required(), "{event}");
    } else {
        let shipped = probecost::gate::Gate::here().unwrap().overhead.p95_ratio["open_close"];
        assert_eq!(event["budget"], shipped, "{event}");
    }
    assert!(elsewhere.path().join("results/overhead.json").exists());
}

/// `probecost host | head -1` ends as it would without `head`.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut host = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .arg("host")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(host.stdout.take());
    assert!(host.wait().unwrap().success());
}
