//! What tracing costs, through its executable and in the real kernel.

#![cfg(feature = "agent")]

use std::process::Command;

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
                .all(|arm| arm.blocks == 10 && arm.failed == 0)
        );
        let seen = row(&report, "seen_pct");
        assert_eq!(seen.measured.unwrap().est, 100.0, "{}", seen.reason);
        assert_eq!(row(&report, "lost_pieces").verdict, Outcome::Pass);
        // One round is too little for any interval, and 400 requests a second too few
        // events: neither is a pass.
        for undecided in ["added_p50_ms", "events_per_s", "availability_pct"] {
            let row = row(&report, undecided);
            assert_eq!(row.verdict, Outcome::Inconclusive, "{row:?}");
            assert!(!row.reason.is_empty(), "{row:?}");
        }
    }
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
