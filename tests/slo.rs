//! `probecost slo`: what it writes, what it lets pass, and each way to tamper with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use probecost::file::hexadecimal;
use probecost::host::Host;
use probecost::slo::{SloArgs, slo};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const FILES: [&str; 16] = [
    "overhead.json",
    "soak.json",
    "SHA256SUMS",
    "open_compare.json",
    "open_baseline.json",
    "open_with_agent.json",
    "connect_baseline.json",
    "connect_with_agent.json",
    "workload_suite.json",
    "perf-slo-report.md",
    "perf-slo-summary.json",
    "perf-evidence-report.md",
    "kernel-info.txt",
    "os-release.txt",
    "cpu-info.txt",
    "fs-type.txt",
];

/// A directory that a test works in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `probecost` with these arguments, here.
    fn judge(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_probecost"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        Ran {
            exit: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What a process left.
struct Ran {
    exit: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.exit, Some(code), "{}{}", self.out, self.err);
        self
    }
}

fn around(est: f64, half: f64) -> Value {
    json!({"est": est, "lo": est - half, "hi": est + half})
}

/// What nine processes said, so that their median and its interval are those of [`around`].
fn observations(ratio: f64) -> Vec<Value> {
    let half = if ratio == 1.0 { 0.003 } else { 0.004 };
    (-4..=4)
        .map(|process: i32| {
            let aside = f64::from(process.signum());
            json!({
                "ns_per_op": 900.0 * ratio + aside,
                "pair": {
                    "delta_ns": 900.0 * (ratio - 1.0) + 3.0 * aside,
                    "ratio": ratio + half * aside,
                    "p95_ratio": ratio + 0.006 * aside,
                },
            })
        })
        .collect()
}

/// What `probecost` says of a measurement by this command.
fn provenance(command: &str) -> Value {
    json!({
        "commit": "0123456789", "dirty": false, "date": "2026-01-02T03:04:05Z",
        "toolchain": "rustc 1.95.0", "version": "0.1.0", "command": ["probecost", command],
    })
}

/// A measurement on this machine in which the agent costs so much.
fn overhead(cost: f64) -> Value {
    let mut rows = Vec::new();
    let mut a_a = json!({});
    for workload in ["open_close", "udp_connect", "full_read", "stat_walk"] {
        a_a[workload] = around(1.0, 0.003);
        for (arm, ratio) in [("off", 1.0), ("hook", 1.01), ("event", cost)] {
            let versus = json!({
                "delta_ns": around(900.0 * (ratio - 1.0), 3.0),
                "ratio": around(ratio, 0.004),
                "p95_ratio": around(ratio, 0.006),
            });
            rows.push(json!({
                "workload": workload, "arm": arm, "ops": 1_000_000,
                "observations": observations(if arm == "off" { 1.0 } else { ratio }),
                "ns_per_op": 900.0 * ratio, "p50_ns": 890.0 * ratio,
                "p95_ns": 1000.0 * ratio, "p99_ns": 1400.0 * ratio,
                "events_per_op": match (arm, workload) {
                    // A walk opens its directories.
                    ("event", "stat_walk") => 21.0,
                    ("event", _) => 1.0,
                    _ => 0.0,
                },
                "drops": 0,
                "vs_off": if arm == "off" { Value::Null } else { versus },
                "budgets": [],
                "verdict": "pass", "reason": "",
            }));
        }
    }
    json!({
        "schema": 1,
        "host": Host::read().unwrap(),
        "provenance": provenance("overhead"),
        "settings": {
            "seconds": 10.0, "block_ms": 10.0, "seed": 1, "cpu": 0, "consumer_cpu": 1,
            "ring_bytes": 1 << 20, "wakeup": "never", "drain_ms": 1.0, "rules": 0,
            "file": "/etc/hosts", "clock_ns": 20.0,
            "places": [
                {"workload": "open_close", "path": "/etc/hosts", "file_system": "overlay"},
                {"workload": "full_read", "path": "/tmp/read", "file_system": "tmpfs"},
                {"workload": "stat_walk", "path": "/tmp/walk", "file_system": "tmpfs"},
            ],
        },
        "agent": {
            "open": {"rung": "tp_btf/sys_enter", "tried": []},
            "connect": {"rung": "cgroup/connect4+connect6", "tried": []},
            "footprint": {"resident": 38_000_000, "maps": 10_000_000},
            "consumer_cpu_share": 0.03,
        },
        "rows": rows,
        "controls": {"a_a": {"ratio": around(1.0, 0.003), "workloads": a_a}},
        "warnings": ["7 % of the machine was used by other programs"],
    })
}

/// Artifacts in `a`, of a measurement in which the agent costs 2 %.
fn artifacts() -> Place {
    let place = Place::new();
    measured(&place, &overhead(1.02));
    place.judge(&WRITE).exits(0);
    place
}

/// What a run measured: this, and a storm.
fn measured(place: &Place, overhead: &Value) {
    write(place, "overhead.json", overhead);
    write(place, "soak.json", &storm());
}

const WRITE: [&str; 7] = [
    "slo",
    "--overhead",
    "overhead.json",
    "--soak",
    "soak.json",
    "--artifacts",
    "a",
];
const WITHOUT_SOAK: [&str; 5] = ["slo", "--overhead", "overhead.json", "--artifacts", "a"];
const JUDGE: [&str; 3] = ["slo", "--artifacts", "a"];

fn write(place: &Place, name: &str, value: &Value) {
    fs::write(place.path(name), value.to_string()).unwrap();
}

/// Changes one artifact.
fn tamper(place: &Place, name: &str, change: impl Fn(&mut Value)) {
    let name = format!("a/{name}");
    let text = fs::read_to_string(place.path(&name)).unwrap();
    let mut value = serde_json::from_str(&text).unwrap();
    change(&mut value);
    write(place, &name, &value);
}

/// Judging exits with 2 and says all of this.
fn broken(place: &Place, said: &[&str]) {
    let ran = place.judge(&JUDGE).exits(2);
    for words in said {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
}

#[test]
fn a_run_leaves_exactly_the_files_and_a_table() {
    let place = artifacts();
    let mut found: Vec<String> = fs::read_dir(place.path("a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let mut wanted = FILES.map(String::from);
    wanted.sort();
    assert_eq!(found, wanted);

    let ran = place.judge(&JUDGE).exits(0);
    for row in [
        "audit_mode_open",
        "audit_mode_connect",
        "connect_loopback",
        "full_read",
        "stat_walk",
        "audit_mode_events",
        "memory_mb",
        "cpu_pct",
    ] {
        assert!(ran.out.contains(row), "{row}: {}", ran.out);
    }
    assert!(ran.out.contains("other programs"), "{}", ran.out);
    let summary = fs::read_to_string(place.path("a/perf-slo-summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["exit"], 0);
    assert_eq!(summary["rows"].as_array().unwrap().len(), 13);
    let page = fs::read_to_string(place.path("a/perf-evidence-report.md")).unwrap();
    assert!(page.contains("tp_btf/sys_enter"), "{page}");
}

#[test]
fn every_text_says_what_made_it() {
    let place = artifacts();
    for name in FILES.into_iter().filter(|name| *name != "SHA256SUMS") {
        let text = fs::read_to_string(place.path(&format!("a/{name}"))).unwrap();
        for made in ["0123456789", "2026-01-02T03:04:05Z", "rustc 1.95.0"] {
            assert!(text.contains(made), "{name}: {text}");
        }
    }
}

/// The hooks and the whole user half under a storm, and not an agent that only decodes.
#[test]
fn what_the_agent_takes_is_of_the_storm() {
    let place = Place::new();
    measured(&place, &overhead(1.02));
    let ran = place.judge(&WRITE).exits(0);
    let row = |ran: &Ran, measure: &str| {
        let mut lines = ran.out.lines();
        let line = lines.find(|l| l.contains("| agent") && l.contains(measure));
        line.unwrap_or_else(|| panic!("{}", ran.out)).to_owned()
    };
    assert!(row(&ran, "cpu_pct").contains("4.200"), "{}", ran.out);
    assert!(row(&ran, "memory_mb").contains("61.000"), "{}", ran.out);
    assert_eq!(ran.out.matches("cpu_pct").count(), 1, "{}", ran.out);

    let mut records = storm();
    records["settings"]["load"] = json!("records");
    records["checks"].as_array_mut().unwrap().remove(5);
    write(&place, "soak.json", &records);
    for arguments in [&WRITE[..], &WITHOUT_SOAK] {
        let ran = place.judge(arguments).exits(3);
        assert!(row(&ran, "cpu_pct").contains("inconclusive"), "{}", ran.out);
        assert!(ran.out.contains("only decodes"), "{}", ran.out);
        fs::remove_dir_all(place.path("a")).unwrap();
    }
}

#[test]
fn an_agent_that_costs_too_much_exits_with_1() {
    let place = Place::new();
    measured(&place, &overhead(1.30));
    let ran = place.judge(&WRITE).exits(1);
    assert!(ran.out.contains("FAIL"), "{}", ran.out);
    place.judge(&JUDGE).exits(1);
}

#[test]
fn a_machine_too_unsteady_for_a_budget_exits_with_3() {
    let place = Place::new();
    let mut measured = overhead(1.02);
    measured["controls"]["a_a"]["workloads"]["open_close"] = around(1.0, 0.08);
    for (process, said) in measured["rows"][0]["observations"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        let aside = f64::from((process as i32 - 4).signum());
        said["pair"]["ratio"] = json!(1.0 + 0.08 * aside);
    }
    self::measured(&place, &measured);
    let ran = place.judge(&WRITE).exits(3);
    assert!(
        ran.out
            .contains("audit_mode_open p95_ratio is unenforceable"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("resolves 0.080"), "{}", ran.out);
}

#[test]
fn a_budget_of_ones_own_holds() {
    let place = artifacts();
    fs::create_dir(place.path("baselines")).unwrap();
    let own = "[overhead]\nratio = { open_close = 1.01 }\n";
    fs::write(place.path("baselines/gate.toml"), own).unwrap();
    // The reports were written under another budget, and so no longer say what is.
    broken(&place, &["a/perf-slo-report.md", "budgets"]);
    place.judge(&WRITE).exits(1);
}

#[test]
fn each_missing_file_is_named() {
    // Of a soak there may be none.
    for name in FILES.into_iter().filter(|name| *name != "soak.json") {
        let place = artifacts();
        fs::remove_file(place.path(&format!("a/{name}"))).unwrap();
        broken(&place, &[&format!("a/{name} is missing"), "probecost slo"]);
    }
}

#[test]
fn a_file_that_belongs_to_no_run_is_named() {
    let place = artifacts();
    fs::write(place.path("a/notes.txt"), "").unwrap();
    broken(&place, &["a/notes.txt belongs to no strict run"]);
}

#[test]
fn swapped_percentiles_are_named() {
    let place = artifacts();
    tamper(&place, "connect_baseline.json", |profile| {
        let p50 = profile["p50_us"].take();
        profile["p50_us"] = profile["p95_us"].take();
        profile["p95_us"] = p50;
    });
    broken(&place, &["a/connect_baseline.json: p50_us", "above p95_us"]);
    let place = artifacts();
    tamper(&place, "open_with_agent.json", |profile| {
        let p99 = profile["p99_us"].take();
        profile["p99_us"] = profile["p95_us"].take();
        profile["p95_us"] = p99;
    });
    broken(&place, &["a/open_with_agent.json: p95_us", "above p99_us"]);
}

#[test]
fn a_relabelled_arm_is_named() {
    let place = artifacts();
    tamper(&place, "open_with_agent.json", |p| {
        p["label"] = json!("baseline")
    });
    broken(&place, &["a/open_with_agent.json: label", "WithAgent"]);
    let place = artifacts();
    tamper(&place, "open_baseline.json", |p| {
        p["label"] = json!("naked")
    });
    broken(&place, &["a/open_baseline.json: label", "naked"]);
    let place = artifacts();
    tamper(&place, "workload_suite.json", |suite| {
        suite["rows"][1]["workload"] = json!("udp_connect");
    });
    broken(&place, &["a/workload_suite.json: rows", "connect_loopback"]);
}

#[test]
fn the_plain_profile_in_place_of_the_agents_is_named() {
    let place = artifacts();
    let plain = place.path("a/open_baseline.json");
    fs::copy(&plain, place.path("a/open_with_agent.json")).unwrap();
    broken(
        &place,
        &[
            "a/open_with_agent.json: label",
            "a/open_with_agent.json: rung",
            "a/open_with_agent.json: events_per_op",
        ],
    );
    // Nor does it help to call it what it is not.
    tamper(&place, "open_with_agent.json", |profile| {
        profile["label"] = json!("with_agent");
        profile["rung"] = json!("tp_btf/sys_enter");
        profile["events_per_op"] = json!(1.0);
    });
    broken(&place, &["a/open_with_agent.json: us_per_op"]);
}

type Change = fn(&mut Value);

#[test]
fn every_other_flaw_has_its_file_and_field() {
    let cases: [(&str, Change, &str); 11] = [
        (
            "open_baseline.json",
            |p| p["p50_us"] = json!("fast"),
            "p50_us",
        ),
        (
            "open_baseline.json",
            |p| drop(p.as_object_mut().unwrap().remove("p99_us")),
            "p99_us",
        ),
        ("open_baseline.json", |p| p["p98_us"] = json!(1.0), "p98_us"),
        (
            "connect_with_agent.json",
            |p| p["host"]["cores"] = json!(4096),
            "host",
        ),
        (
            "connect_with_agent.json",
            |p| p["events_per_op"] = json!(0.0),
            "events_per_op",
        ),
        (
            "connect_with_agent.json",
            |p| p["iterations"] = json!(49_999),
            "iterations",
        ),
        (
            "connect_with_agent.json",
            |p| p["schema"] = json!(2),
            "schema",
        ),
        (
            "workload_suite.json",
            |s| drop(s["rows"].as_array_mut().unwrap().pop()),
            "rows",
        ),
        (
            "workload_suite.json",
            |s| s["rows"][2]["overhead_pct"]["lo"] = json!(99.0),
            "rows[2].overhead_pct",
        ),
        (
            "workload_suite.json",
            |s| s["rows"][3]["events_per_op"] = json!(0.0),
            "rows[3].events_per_op",
        ),
        (
            "open_compare.json",
            |c| c["open_close"]["p95_ratio"]["est"] = json!(1.021),
            "open_close",
        ),
    ];
    for (name, change, field) in cases {
        let place = artifacts();
        tamper(&place, name, change);
        broken(&place, &[&format!("a/{name}"), field]);
    }
    for name in [
        "kernel-info.txt",
        "cpu-info.txt",
        "os-release.txt",
        "fs-type.txt",
    ] {
        let place = artifacts();
        fs::write(place.path(&format!("a/{name}")), "").unwrap();
        broken(&place, &[&format!("a/{name}: text")]);
    }
    for name in [
        "perf-slo-report.md",
        "perf-slo-summary.json",
        "perf-evidence-report.md",
    ] {
        let place = artifacts();
        fs::write(place.path(&format!("a/{name}")), "all is well\n").unwrap();
        broken(&place, &[&format!("a/{name}"), "does not say"]);
    }
}

#[test]
fn a_measurement_without_an_agent_or_of_another_machine_makes_no_artifacts() {
    let cases: [(Change, &str); 4] = [
        (
            |m| {
                m["rows"][2]["verdict"] = json!("skipped");
                m["rows"][2]["reason"] = json!("no agent can run");
            },
            "open_close/event has no numbers: no agent can run",
        ),
        (
            |m| m["agent"]["connect"]["rung"] = Value::Null,
            "agent.connect.rung",
        ),
        (
            |m| m["host"]["cores"] = json!(4096),
            "this machine is another",
        ),
        (|m| m["rows"] = json!([]), "there is no open_close/off"),
    ];
    for (change, said) in cases {
        let place = Place::new();
        let mut measured = overhead(1.02);
        change(&mut measured);
        self::measured(&place, &measured);
        let ran = place.judge(&WRITE).exits(2);
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
        assert!(!place.path("a").exists());
    }
}

/// A storm on this machine that lost nothing.
fn storm() -> Value {
    let looks: Vec<Value> = (1..=60)
        .map(|second| {
            json!({
                "at_s": second, "rate": 1e5, "events": 100_000, "lost": 0, "received": 100_000,
                "resident": 41_000_000, "maps": 20_000_000, "cpu_share": 0.042, "descriptors": 20,
                "context_switches": 1000, "age_p50_us": 600.0, "age_p99_us": 1200.0,
            })
        })
        .collect();
    json!({
        "host": Host::read().unwrap(),
        "provenance": provenance("soak"),
        "checks": [
            {"measure": "drops_pct", "limit": 0.1, "measured": around(0.0, 0.0), "verdict": "pass"},
            {"measure": "memory_mb", "limit": 100.0, "measured": around(61.0, 0.0), "verdict": "pass"},
            {"measure": "memory_mb_per_hour", "limit": 1.0, "measured": around(0.0, 0.0), "verdict": "pass"},
            {"measure": "descriptors", "limit": 0.0, "measured": around(0.0, 0.0), "verdict": "pass"},
            {"measure": "unavailable_pct", "limit": 0.1, "measured": around(0.0, 0.0), "verdict": "pass"},
            {"measure": "cpu_pct", "limit": 5.0, "measured": around(4.2, 0.0), "verdict": "pass"},
        ],
        "warnings": ["the machine was suspended for 30 s of the run"],
        "schema": 1,
        "settings": {
            "load": "storm", "seconds": 60.0, "rate": 1e5, "ring_bytes": 1 << 20, "cpu": 0, "consumer_cpu": 1,
            "canary": false,
        },
        "totals": {
            "seconds": 60.0, "events": 6_000_000, "lost": 0, "received": 6_000_000,
            "held_up_s": 0.0, "asleep_s": 30.0,
        },
        "surroundings": {
            "steal_pct": null, "others_pct": null, "cpu_pressure_pct": null,
            "load_before": null, "frequency_mhz": null,
        },
        "samples": looks,
    })
}

#[test]
fn a_soak_adds_rows() {
    let place = Place::new();
    write(&place, "overhead.json", &overhead(1.02));
    let mut soak = storm();
    write(&place, "soak.json", &soak);
    let ran = place.judge(&WRITE).exits(0);
    assert!(ran.out.contains("suspended for 30 s"), "{}", ran.out);
    assert_eq!(ran.out.matches("| soak").count(), 4, "{}", ran.out);

    // That nothing was lost at half the rate asked for decides nothing.
    soak["settings"]["rate"] = json!(2e5);
    soak["checks"][0]["verdict"] = json!("inconclusive");
    write(&place, "soak.json", &soak);
    place.judge(&WRITE).exits(3);

    soak["totals"]["lost"] = json!(120_000);
    soak["totals"]["received"] = json!(5_880_000);
    soak["checks"][0]["measured"] = around(2.0, 0.0);
    soak["checks"][0]["verdict"] = json!("fail");
    write(&place, "soak.json", &soak);
    place.judge(&WRITE).exits(1);
}

#[test]
fn a_soak_of_another_program_is_no_evidence() {
    let changes: [(Change, &str); 2] = [
        (|s| s["provenance"]["commit"] = json!("abcdef"), "abcdef"),
        (
            |s| s["provenance"]["dirty"] = json!(true),
            "0123456789, changed since",
        ),
    ];
    for (change, other) in changes {
        let place = Place::new();
        let mut soak = storm();
        change(&mut soak);
        write(&place, "overhead.json", &overhead(1.02));
        write(&place, "soak.json", &soak);
        let ran = place.judge(&WRITE).exits(2);
        let said =
            format!("soak.json: provenance.commit: {other}, and overhead.json is of 0123456789");
        assert!(ran.err.contains(&said), "{said}: {}", ran.err);
    }
}

/// Every number of a document with its path, as a pointer and as `slo` writes it.
fn numbers(at: &str, path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Number(_) => found.push((at.into(), path.into())),
        Value::Array(all) => {
            for (i, one) in all.iter().enumerate() {
                numbers(&format!("{at}/{i}"), &format!("{path}[{i}]"), one, found);
            }
        }
        Value::Object(all) => {
            for (key, one) in all {
                let path = match path {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                numbers(&format!("{at}/{key}"), &path, one, found);
            }
        }
        _ => {}
    }
}

/// Another number, by one or by a billionth.
fn next(number: &Value) -> Value {
    match number.as_i64() {
        Some(whole) => json!(whole + 1),
        None => json!(number.as_f64().unwrap() * (1.0 + 1e-9) + 1e-12),
    }
}

/// Writes a file's digest anew, as somebody would who wants a change not to be seen.
fn redo_digest(directory: &Path, name: &str) {
    let digest = hexadecimal(&Sha256::digest(fs::read(directory.join(name)).unwrap()));
    let list = directory.join("SHA256SUMS");
    let lines: String = fs::read_to_string(&list)
        .unwrap()
        .lines()
        .map(|line| match line.ends_with(&format!("  {name}")) {
            true => format!("{digest}  {name}\n"),
            false => format!("{line}\n"),
        })
        .collect();
    fs::write(list, lines).unwrap();
}

fn why(directory: &Path) -> String {
    let judged = slo(&SloArgs {
        artifacts: directory.to_owned(),
        overhead: None,
        soak: None,
    });
    judged
        .err()
        .map_or_else(String::new, |obstacle| obstacle.why)
}

/// Whoever changes one number of one file, by a billionth, is found out; and also where
/// the digests were made anew, since the numbers of the artifacts come out of the
/// measurement beside them, and its digest stands in them.
#[test]
fn each_number_of_each_file_is_held() {
    let place = Place::new();
    write(&place, "overhead.json", &overhead(1.02));
    write(&place, "soak.json", &storm());
    place.judge(&WRITE).exits(0);
    let directory = place.path("a");
    let sums = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&directory)
        .status();
    assert!(sums.unwrap().success());
    assert_eq!(why(&directory), "");

    let digests = fs::read(directory.join("SHA256SUMS")).unwrap();
    let mut changed = 0;
    for name in FILES {
        let path = directory.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let Ok(whole) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        let mut all = Vec::new();
        numbers("", "", &whole, &mut all);
        // All of them where that is quick; what was measured is held as a whole.
        let measured = ["overhead.json", "soak.json"].contains(&name);
        let step = if cfg!(debug_assertions) && measured {
            9
        } else {
            1
        };
        for (pointer, field) in all.into_iter().step_by(step) {
            let mut other = whole.clone();
            let number = other.pointer_mut(&pointer).unwrap();
            *number = next(number);
            let other = serde_json::to_string_pretty(&other).unwrap() + "\n";
            fs::write(&path, other).unwrap();
            let said = why(&directory);
            let listed = format!("{name}: is not what SHA256SUMS says it is");
            assert!(said.contains(&listed), "{name} {field}: {said}");

            redo_digest(&directory, name);
            let said = why(&directory);
            // What was measured is held by its digest in the suite, what follows by name.
            let held = match name {
                "overhead.json" | "soak.json" => format!("sources.{name}"),
                _ => format!("{name}: {field}"),
            };
            assert!(said.contains(&held), "{name} {field}: {said}");
            fs::write(directory.join("SHA256SUMS"), &digests).unwrap();
            changed += 1;
        }
        fs::write(&path, text).unwrap();
    }
    assert!(changed > 200, "{changed}");
    assert_eq!(why(&directory), "");
}

/// Whoever leaves a line out of a text, such as what the kernel was started with, is found out
/// as well.
#[test]
fn each_line_of_each_text_is_held() {
    let place = artifacts();
    let directory = place.path("a");
    let digests = fs::read(directory.join("SHA256SUMS")).unwrap();
    let is_text = |name: &&str| name.ends_with(".txt") || name.ends_with(".md");
    let mut changed = 0;
    for name in FILES.into_iter().filter(is_text) {
        let path = directory.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for left_out in 0..lines.len() {
            let mut fewer = lines.clone();
            let line = fewer.remove(left_out);
            fs::write(&path, fewer.concat()).unwrap();
            redo_digest(&directory, name);
            let said = why(&directory);
            let held = match name {
                "kernel-info.txt" | "os-release.txt" => format!("sources.{name}"),
                _ => format!("{name}: text"),
            };
            assert!(said.contains(&held), "{name} {line}: {said}");
            changed += 1;
        }
        fs::write(&path, text).unwrap();
        fs::write(directory.join("SHA256SUMS"), &digests).unwrap();
    }
    assert!(changed > 40, "{changed}");
    assert_eq!(why(&directory), "");
}

/// What is measured is in turn made of what each process said, and what each look saw.
#[test]
fn figures_that_their_observations_do_not_give_are_named() {
    let cases: [(&str, Change, &str); 20] = [
        (
            "overhead.json",
            |m| m["rows"][2]["events_per_op"] = json!(0.99),
            "rows[2].events_per_op",
        ),
        (
            "overhead.json",
            |m| m["rows"][5]["events_per_op"] = json!(1.000_000_5),
            "rows[5].events_per_op",
        ),
        (
            "overhead.json",
            |m| m["rows"][11]["events_per_op"] = json!(20.5),
            "rows[11].events_per_op",
        ),
        (
            "overhead.json",
            |m| m["provenance"]["commit"] = Value::Null,
            "provenance.commit",
        ),
        (
            "soak.json",
            |s| s["provenance"] = Value::Null,
            "provenance.commit",
        ),
        (
            "overhead.json",
            |m| m["rows"][2]["vs_off"]["p95_ratio"]["est"] = json!(1.0201),
            "rows[2].vs_off.p95_ratio",
        ),
        (
            "overhead.json",
            |m| m["rows"][5]["vs_off"]["ratio"]["hi"] = json!(1.0241),
            "rows[5].vs_off.ratio",
        ),
        (
            "overhead.json",
            |m| m["rows"][8]["ns_per_op"] = json!(900.0),
            "rows[8].ns_per_op",
        ),
        (
            "overhead.json",
            |m| m["controls"]["a_a"]["workloads"]["stat_walk"]["lo"] = json!(0.999),
            "controls.a_a.workloads.stat_walk",
        ),
        (
            "overhead.json",
            |m| {
                m["rows"][1]["observations"]
                    .as_array_mut()
                    .unwrap()
                    .truncate(7)
            },
            "rows[1].vs_off",
        ),
        (
            "overhead.json",
            |m| m["rows"][4]["observations"] = json!([]),
            "rows[4].vs_off",
        ),
        (
            "overhead.json",
            |m| {
                let few = m["rows"][9]["observations"].as_array_mut().unwrap();
                few.truncate(7);
                m["rows"][9]["ns_per_op"] = json!(800.0);
            },
            "rows[9].ns_per_op",
        ),
        (
            "overhead.json",
            |m| {
                m["rows"][9]["observations"]
                    .as_array_mut()
                    .unwrap()
                    .truncate(7)
            },
            "controls.a_a.workloads.stat_walk",
        ),
        (
            "overhead.json",
            |m| m["rows"][1]["vs_off"] = Value::Null,
            "rows[1].vs_off",
        ),
        ("soak.json", |s| s["totals"]["lost"] = json!(1), "totals"),
        (
            "soak.json",
            |s| s["samples"][7]["lost"] = json!(1),
            "totals.lost",
        ),
        (
            "soak.json",
            |s| s["checks"][0]["limit"] = json!(1.0),
            "checks[0].limit",
        ),
        (
            "soak.json",
            |s| s["checks"][1]["verdict"] = json!("inconclusive"),
            "checks[1].verdict",
        ),
        (
            "soak.json",
            |s| drop(s["checks"].as_array_mut().unwrap().remove(2)),
            "checks",
        ),
        (
            "soak.json",
            |s| s["checks"][0]["measured"] = around(0.05, 0.0),
            "checks[0].measured",
        ),
    ];
    for (name, change, field) in cases {
        let place = Place::new();
        let (mut overhead, mut soak) = (overhead(1.02), storm());
        change(if name == "soak.json" {
            &mut soak
        } else {
            &mut overhead
        });
        write(&place, "overhead.json", &overhead);
        write(&place, "soak.json", &soak);
        let ran = place.judge(&WRITE).exits(2);
        let held = format!("{name}: {field}");
        assert!(ran.err.contains(&held), "{held}: {}", ran.err);
    }
}
