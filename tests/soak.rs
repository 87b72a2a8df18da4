//! The soak, through its executable. Where no agent can run, each test says so in
//! one line and passes, unless `PROBECOST_REQUIRE_AGENT=1` forbids that.

#![cfg(feature = "agent")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn soak(out: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_probecost"))
        .arg("soak")
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report, or none where there can be no agent.
fn report(out: &Path, output: &Output) -> Option<Value> {
    if output.status.code() == Some(2) && !probecost::agent::is_required() {
        eprintln!("skipped: {}", stderr(output));
        return None;
    }
    let text = std::fs::read(out.join("soak.json"));
    let text = text.unwrap_or_else(|error| panic!("{error}: {}", stderr(output)));
    assert!(out.join("soak.svg").exists());
    Some(serde_json::from_slice(&text).unwrap())
}

fn verdict(report: &Value, measure: &str) -> String {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["measure"] == measure);
    check.unwrap()["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn a_starved_consumer_turns_it_red() {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--duration", "2s", "--rate", "200000", "--canary"];
    let output = soak(out.path(), &arguments);
    let Some(report) = report(out.path(), &output) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(verdict(&report, "drops_pct"), "fail");
    let totals = &report["totals"];
    assert!(totals["lost"].as_u64() > Some(0), "{totals}");
}

/// The agent's own hooks, and the user half behind them.
#[test]
fn a_storm_of_opens_and_connects_is_seen_whole() {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--storm", "--duration", "2s", "--rate", "20000"];
    let output = soak(out.path(), &arguments);
    let Some(report) = report(out.path(), &output) else {
        return;
    };
    assert_ne!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(report["settings"]["load"], "storm");
    let totals = &report["totals"];
    let count = |field: &str| totals[field].as_u64().unwrap();
    assert!(count("events") > 10_000, "{totals}");
    assert_eq!(count("events"), count("received") + count("lost"));
    // Not only decoded: named by the policy, looked up, added up and written out.
    assert!(count("matched") > 10_000, "{totals}");
    for measure in ["drops_pct", "memory_mb", "cpu_pct", "unavailable_pct"] {
        verdict(&report, measure);
    }
}

/// Too short to say that nothing is lost: neither red nor green.
#[test]
fn too_few_events_decide_nothing() {
    let out = tempfile::tempdir().unwrap();
    let output = soak(out.path(), &["--duration", "2s", "--rate", "1000"]);
    let Some(report) = report(out.path(), &output) else {
        return;
    };
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(verdict(&report, "drops_pct"), "inconclusive");
    let totals = &report["totals"];
    assert_eq!(totals["lost"], 0);
    assert_eq!(totals["received"], totals["events"]);
    let samples = report["samples"].as_array().unwrap();
    assert!(samples.len() >= 10, "{}", samples.len());
    assert!(samples.iter().all(|s| s["resident"].as_u64() > Some(0)));
}

#[test]
fn bad_arguments_are_named() {
    let out = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (["--duration", "0s"], "at least 1s"),
        (["--duration", "soon"], "90s, 2m or 8h"),
        (["--rate", "-1"], "from 1 to 1e9"),
        (["--rate", "NaN"], "from 1 to 1e9"),
        (["--ring-bytes", "5000"], "power of two"),
    ] {
        let output = soak(out.path(), &arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        // Without an agent the ring is never asked for.
        let agentless = arguments[0] == "--ring-bytes" && !probecost::agent::is_required();
        assert!(text.contains(said) || agentless, "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{arguments:?}: {text}");
    }
}
