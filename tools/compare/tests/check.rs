//! `check` from end to end: every exit code, every status, every report.

mod support;

use std::fs;
use std::path::Path;

use serde_json::json;
use support::{Bench, Place, Ran, bench, golden, host, record};

fn suite() -> Vec<Bench> {
    [
        "open/off",
        "open/event",
        "read/off",
        "read/event",
        "sort",
        "hash",
    ]
    .iter()
    .enumerate()
    .map(|(i, id)| bench(id, 1000.0 * (i + 1) as f64))
    .collect()
}

/// The suite with one benchmark replaced.
fn with(replaced: usize, by: Bench) -> Vec<Bench> {
    let mut suite = suite();
    suite[replaced] = by;
    suite
}

#[test]
fn the_same_runs_against_themselves_are_green() {
    let place = Place::new();
    place.baseline(&suite());
    let ran = place
        .compare(&["check", "--baseline", "b.json", "--run", "old"])
        .exits(0);
    assert!(ran.out.contains("passed: 6 unchanged"), "{}", ran.out);
}

#[test]
fn a_planted_slowdown_is_red_and_only_advice_under_advisory() {
    let place = Place::new();
    place.baseline(&suite());
    let slower = with(4, bench("sort", 5000.0 * 1.4));
    let ran = place.check(&slower, &["--format", "json"]).exits(1);
    let row = ran.row("sort");
    assert_eq!(
        (&row["status"], &row["severity"]),
        (&json!("regressed"), &json!("critical"))
    );
    assert_eq!(ran.json()["summary"]["unchanged"], 5);
    assert_eq!(ran.json()["exit"], 1);
    let ran = place.check(&slower, &["--policy", "advisory"]).exits(0);
    assert!(
        ran.out.contains("slower, but this policy only advises"),
        "{}",
        ran.out
    );
}

#[test]
fn severity_names_the_size() {
    let place = Place::new();
    place.baseline(&suite());
    for (factor, severity) in [(1.1, "minor"), (1.2, "warning"), (1.5, "critical")] {
        let ran = place.check(
            &with(4, bench("sort", 5000.0 * factor)),
            &["--format", "json"],
        );
        assert_eq!(ran.exits(1).row("sort")["severity"], severity);
    }
}

#[test]
fn a_gain_is_green() {
    let place = Place::new();
    place.baseline(&suite());
    let ran = place
        .check(&with(4, bench("sort", 2500.0)), &["--format", "json"])
        .exits(0);
    assert_eq!(ran.row("sort")["status"], "improved");
}

#[test]
fn a_missing_benchmark_is_broken_under_any_policy() {
    let place = Place::new();
    place.baseline(&suite());
    let ran = place
        .check(&suite()[1..], &["--format", "json", "--policy", "advisory"])
        .exits(2);
    assert_eq!(ran.row("open/off")["status"], "missing");
}

#[test]
fn a_new_benchmark_is_a_row_and_no_failure() {
    let place = Place::new();
    place.baseline(&suite()[1..]);
    let ran = place.check(&suite(), &["--format", "json"]).exits(0);
    assert_eq!(ran.row("open/off")["status"], "new");
}

#[test]
fn nothing_compared_is_broken() {
    let place = Place::new();
    place.baseline(&suite());
    let ran = place
        .check(&suite(), &["--only", "no such benchmark"])
        .exits(2);
    assert!(ran.out.contains("nothing was compared"), "{}", ran.out);
    place.baseline(&[bench("tiny", 10.0)]);
    let ran = place
        .check(&[bench("tiny", 30.0)], &["--format", "json"])
        .exits(2);
    assert_eq!(ran.row("tiny")["status"], "filtered");
    // What was short and is so no longer is judged.
    let ran = place
        .check(&[bench("tiny", 1000.0)], &["--format", "json"])
        .exits(1);
    assert_eq!(ran.row("tiny")["status"], "regressed");
}

#[test]
fn only_leaves_the_others_out() {
    let place = Place::new();
    place.baseline(&suite());
    let ran = place
        .check(&suite()[..2], &["--only", "^open/", "--format", "json"])
        .exits(0);
    assert_eq!(ran.json()["summary"]["filtered"], 4);
    assert_eq!(ran.json()["summary"]["unchanged"], 2);
}

#[test]
fn a_disturbed_row_is_undecided() {
    let place = Place::new();
    place.baseline(&suite());
    // Slower in the middle; as quick as ever where nothing disturbed it.
    let disturbed = with(4, bench("sort", 5000.0 * 1.3).quick(0.99 / 1.3));
    let ran = place.check(&disturbed, &["--format", "json"]).exits(3);
    let row = ran.row("sort");
    assert_eq!(row["status"], "inconclusive");
    assert!(
        row["reason"].as_str().unwrap().contains("quickest run"),
        "{row}"
    );
    place.check(&disturbed, &["--policy", "advisory"]).exits(0);
}

#[test]
fn what_the_baseline_itself_spreads_is_no_finding() {
    let place = Place::new();
    let noisy = |ns| with(4, bench("sort", ns).noisy(30.0));
    place.baseline(&noisy(5000.0));
    let ran = place.check(&noisy(5700.0), &["--format", "json"]).exits(0);
    let row = ran.row("sort");
    assert!(
        row["reason"].as_str().unwrap().contains("within the noise"),
        "{row}"
    );
    assert!(row["noise_floor_pct"].as_f64().unwrap() > 14.0, "{row}");
}

/// `check` of five runs of these benchmarks on another machine, against `b.json`.
fn elsewhere(place: &Place, benches: &[Bench], more: &[&str]) -> Ran {
    place.runs("now", 5, benches);
    let mut other = host();
    other["cores"] = json!(64);
    for k in 1..=5 {
        let path = place.path(&format!("now/{k}/host.json"));
        fs::write(path, record(&other).to_string()).unwrap();
    }
    let check = ["check", "--baseline", "b.json", "--run", "now"];
    place.compare(&[&check, more].concat())
}

#[test]
fn another_machine_leaves_ratios() {
    let place = Place::new();
    place.baseline(&suite());
    let elsewhere = |benches: &[Bench], more: &[&str]| elsewhere(&place, benches, more);
    // Half the times of another machine say nothing.
    let faster: Vec<Bench> = suite().into_iter().map(|b| b.slower(0.5)).collect();
    let ran = elsewhere(&faster, &["--format", "json"]).exits(3);
    assert_eq!(ran.json()["summary"]["incomparable"], 6);
    assert_eq!(ran.row("open/event ÷ off")["status"], "unchanged");
    let reason = ran.row("sort")["reason"].to_string();
    assert!(
        reason.contains("another machine") && reason.contains("cores: 2 against 64"),
        "{reason}"
    );
    // A ratio that grows is a finding there as well.
    let mut dearer = faster.clone();
    dearer[1] = bench("open/event", 1500.0);
    let ran = elsewhere(&dearer, &["--format", "json"]).exits(1);
    assert_eq!(ran.row("open/event ÷ off")["status"], "regressed");
    golden("other_machine.txt", &elsewhere(&dearer, &[]).out);
}

#[test]
fn on_another_machine_what_is_too_short_is_never_alarmed_on_either() {
    let place = Place::new();
    let benches = |short: f64, long: f64| {
        let arms = [
            ("v/off", 10.0),
            ("v/hook", short),
            ("w/off", 10.0),
            ("w/hook", long),
        ];
        arms.map(|(id, ns)| bench(id, ns))
    };
    place.baseline(&benches(12.0, 100.0));
    let ran = elsewhere(&place, &benches(20.0, 200.0), &["--format", "json"]).exits(3);
    for id in ["v/off", "v/hook", "w/off"] {
        let row = ran.row(id);
        assert_eq!(
            (&row["status"], &row["change_pct"]),
            (&json!("filtered"), &json!(null))
        );
    }
    assert_eq!(ran.row("w/hook")["status"], "incomparable");
    assert!(!ran.out.contains('÷'), "{}", ran.out);
}

/// The class is the same; what changes times most is not.
#[test]
fn a_machine_that_is_kept_differently_leaves_ratios_as_well() {
    let place = Place::new();
    place.baseline(&suite());
    let baseline = fs::read_to_string(place.path("b.json")).unwrap();
    let kept = |governor: &str| baseline.replace("\"governor\":null", governor);
    fs::write(place.path("b.json"), kept("\"governor\":\"performance\"")).unwrap();
    let ran = |governor: &str| {
        let mut other = host();
        other["governor"] = json!(governor);
        for k in 1..=5 {
            let path = place.path(&format!("now/{k}/host.json"));
            fs::write(path, record(&other).to_string()).unwrap();
        }
        place.compare(&[
            "check",
            "--baseline",
            "b.json",
            "--run",
            "now",
            "--format",
            "json",
        ])
    };
    place.runs("now", 5, &suite());
    let other = ran("powersave").exits(3);
    let reason = other.row("sort")["reason"].to_string();
    assert!(
        reason.contains("governor: performance against powersave"),
        "{reason}"
    );
    let same = ran("performance").exits(0);
    let notes = same.json()["notes"].to_string();
    assert!(
        notes.contains("cannot be known of SMT, mitigations, turbo"),
        "{notes}"
    );
}

#[test]
fn a_shift_that_all_rows_share_is_said_and_not_subtracted() {
    let place = Place::new();
    place.baseline(&suite());
    let all: Vec<Bench> = suite().into_iter().map(|b| b.slower(1.1)).collect();
    let ran = place.check(&all, &["--format", "json"]).exits(1);
    assert_eq!(ran.json()["summary"]["regressed"], 6);
    assert_eq!(ran.json()["shift"]["rows"], 6);
}

#[test]
fn thresholds_come_from_the_gate_beside_the_baseline() {
    let place = Place::new();
    place.baseline(&suite());
    let slower = with(4, bench("sort", 5000.0 * 1.1));
    let gate = |text: &str| fs::write(place.path("gate.toml"), text).unwrap();
    place.check(&slower, &[]).exits(1);
    gate("[policy.strict]\nchange_pct = 12.0\n");
    place.check(&slower, &[]).exits(0);
    gate("[benchmark]\nsort = { change_pct = 12.0 }\n");
    place.check(&slower, &[]).exits(0);
    gate("[focus]\npatterns = [\"^open\"]\n");
    let ran = place.check(&slower, &["--format", "json"]).exits(0);
    assert_eq!(ran.row("sort")["status"], "filtered");
    gate("[benchmark]\nsrot = { change_pct = 12.0 }\n");
    place
        .check(&slower, &[])
        .breaks("gate.toml", "did you mean `sort`?");
    gate("[times]\nshortest = 1\n");
    place
        .check(&slower, &[])
        .breaks("gate.toml", "did you mean `shortest_ns`?");
    gate("[focus]\npatterns = [\"(\"]\n");
    place
        .check(&slower, &[])
        .breaks("gate.toml", "focus pattern `(`");
}

#[test]
fn runs_of_two_machines_are_refused() {
    let place = Place::new();
    place.baseline(&suite());
    place.runs("now", 5, &suite());
    let mut other = host();
    other["kernel"] = json!("6.1.0");
    fs::write(place.path("now/4/host.json"), record(&other).to_string()).unwrap();
    let ran = place.compare(&["check", "--baseline", "b.json", "--run", "now"]);
    ran.breaks("now/4", "another machine than the first run");
    // Of one class, and kept differently from the fourth run on.
    for k in 1..=5 {
        let mut kept = host();
        kept["governor"] = json!(if k < 4 { "performance" } else { "powersave" });
        let path = place.path(&format!("now/{k}/host.json"));
        fs::write(path, record(&kept).to_string()).unwrap();
    }
    let ran = place.compare(&["check", "--baseline", "b.json", "--run", "now"]);
    ran.breaks("now/4", "governor: performance against powersave");
}

#[test]
fn a_disturbed_run_is_named() {
    let place = Place::new();
    place.baseline(&suite());
    place.runs("now", 5, &suite());
    let mut stolen = record(&host());
    stolen["surroundings"]["steal_pct"] = json!(7.0);
    fs::write(place.path("now/2/host.json"), stolen.to_string()).unwrap();
    let ran = place
        .compare(&["check", "--baseline", "b.json", "--run", "now"])
        .exits(0);
    assert!(
        ran.out
            .contains("1 of 5 runs were disturbed: now/2 (7 % of its"),
        "{}",
        ran.out
    );
}

#[test]
fn counts_are_judged_exactly_and_on_any_machine() {
    let place = Place::new();
    let summary = |name: &str, count: u64| {
        for k in 1..=5 {
            let dir = place.path(&format!("{name}/{k}/decode"));
            fs::create_dir_all(&dir).unwrap();
            let json = json!({
                "version": "7", "module_path": "bench::decode", "id": null,
                "profiles": [{"tool": "Callgrind", "data": {"parts": [], "total": {
                    "regressions": [], "metrics": {"Ir": {"values": {"new": count}}}}}}],
            });
            fs::write(dir.join("summary.json"), json.to_string()).unwrap();
            let mut other = host();
            other["cores"] = json!(if name == "old" { 2 } else { 4 });
            let record = record(&other).to_string();
            fs::write(place.path(&format!("{name}/{k}/host.json")), record).unwrap();
        }
    };
    summary("old", 100_000);
    place
        .compare(&["refresh", "--run", "old", "--out", "b.json"])
        .exits(0);
    let check = [
        "check",
        "--baseline",
        "b.json",
        "--run",
        "now",
        "--format",
        "json",
    ];
    summary("now", 100_000);
    place.compare(&check).exits(0);
    summary("now", 101_000);
    let ran = place.compare(&check).exits(1);
    let row = ran.row("bench::decode [instructions]");
    assert_eq!(
        (&row["change_pct"], &row["baseline_ns"]),
        (&json!(1.0), &json!(null))
    );
    let own = "[benchmark]\n\"bench::decode [instructions]\" = { change_pct = 3 }\n";
    fs::write(place.path("gate.toml"), own).unwrap();
    place.compare(&check).exits(0);
    summary("now", 104_000);
    place.compare(&check).exits(1);
}

/// Commits this file as it is now.
fn commit(repository: &git2::Repository, file: &str) -> git2::Oid {
    let mut index = repository.index().unwrap();
    index.add_path(Path::new(file)).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let who = git2::Signature::now("a", "a@example.org").unwrap();
    let parent = repository.head().ok().and_then(|h| h.peel_to_commit().ok());
    let parents: Vec<&git2::Commit> = parent.iter().collect();
    repository
        .commit(Some("HEAD"), &who, &who, "x", &tree, &parents)
        .unwrap()
}

#[test]
fn against_takes_the_baseline_of_a_commit() {
    let place = Place::new();
    place.baseline(&suite());
    let repository = git2::Repository::init(place.path("")).unwrap();
    let first = commit(&repository, "b.json");
    place.baseline(&with(4, bench("sort", 10_000.0)));
    commit(&repository, "b.json");
    let slow = with(4, bench("sort", 10_000.0));
    place.check(&slow, &[]).exits(0);
    let ran = place
        .check(&slow, &["--against", "HEAD~1", "--format", "json"])
        .exits(1);
    assert_eq!(ran.json()["baseline"]["commit"], first.to_string());
    // The file is not needed in the work tree.
    fs::remove_file(place.path("b.json")).unwrap();
    place.check(&slow, &["--against", "HEAD"]).exits(0);
    place
        .check(&slow, &["--against", "nowhere"])
        .breaks("nowhere", "git log");
    let other = [
        "check",
        "--baseline",
        "c.json",
        "--run",
        "now",
        "--against",
        "HEAD",
    ];
    place.compare(&other).breaks("c.json", "has no file");
}

/// It is the commit that has to have one of this class, and not the work tree.
#[test]
fn against_finds_the_baseline_of_the_machine_at_the_commit() {
    let place = Place::new();
    place.runs("now", 5, &suite());
    place.compare(&["refresh", "--run", "now"]).exits(0);
    let own = "baselines/example-cpu-2c-6.12-kvm.json";
    let text = fs::read_to_string(place.path(own)).unwrap();
    let repository = git2::Repository::init(place.path("")).unwrap();
    let first = commit(&repository, own);
    fs::write(place.path(own), "{").unwrap();
    commit(&repository, own);
    fs::remove_file(place.path(own)).unwrap();
    let check = |against| {
        let check = ["check", "--run", "now", "--format", "json", "--against"];
        place.compare(&[&check[..], &[against]].concat())
    };
    check("HEAD~1").exits(0);
    check("nowhere").breaks("nowhere", "git log");
    // Nor is it another class's that lies there.
    let other = text.replace("6.12.1", "5.10.1");
    fs::write(place.path("baselines/other.json"), other).unwrap();
    let ran = check("HEAD~1").exits(0).json();
    assert_eq!(ran["baseline"]["commit"], first.to_string());
    assert_eq!(ran["baseline"]["file"], own);
    check("HEAD").breaks(&format!("HEAD:{own}: not a baseline"), "--against another");
}

#[test]
fn against_needs_a_repository() {
    let place = Place::new();
    place.baseline(&suite());
    place
        .check(&suite(), &["--against", "HEAD"])
        .breaks("b.json", "no git repository");
}

/// A suite that shows each status at once.
fn motley(place: &Place) -> Vec<Bench> {
    place.baseline(&[
        bench("open/off", 1234.5),
        bench("open/event", 1700.0),
        bench("sort/1024", 113_300.0),
        bench("hash | *odd* <id>", 688_000.0),
        bench("noisy", 50_000.0).noisy(25.0),
        bench("tiny", 12.0),
    ]);
    vec![
        bench("open/off", 1234.5),
        bench("open/event", 2300.0),
        bench("sort/1024", 90_000.0),
        bench("hash | *odd* <id>", 780_000.0).quick(0.85),
        bench("noisy", 56_000.0).noisy(25.0),
        bench("tiny", 14.0),
        bench("brand/new", 1e6),
    ]
}

/// A report in JSON but for what differs from build to build and from day to day.
fn without_provenance(report: &str) -> String {
    let lines = report.split_inclusive('\n');
    let report: String = lines
        .filter(|line| !line.contains("\"digest\": "))
        .collect();
    match report.find("  \"provenance\": {") {
        None => report,
        Some(from) => {
            let rest = &report[from..];
            let to = rest.find("\n  },\n").unwrap() + "\n  },\n".len();
            format!("{}{}", &report[..from], &rest[to..])
        }
    }
}

#[test]
fn every_report_is_what_it_was() {
    let place = Place::new();
    let now = motley(&place);
    for (format, file) in [
        ("text", "check.txt"),
        ("markdown", "check.md"),
        ("json", "check.json"),
        ("github", "github.txt"),
        ("bmf", "bmf.json"),
        ("customSmallerIsBetter", "smaller.json"),
    ] {
        let ran = place.check(&now, &["--format", format]).exits(1);
        golden(file, &without_provenance(&ran.out));
        assert!(!ran.out.contains('\u{1b}'), "no colours but on a terminal");
    }
}

#[test]
fn github_appends_to_the_summary_of_the_job() {
    let place = Place::new();
    let now = motley(&place);
    place.runs("now", 5, &now);
    fs::write(place.path("summary.md"), "what was there\n").unwrap();
    let check = [
        "check",
        "--baseline",
        "b.json",
        "--run",
        "now",
        "--format",
        "github",
    ];
    let mut command = place.command(&check);
    command.env("GITHUB_STEP_SUMMARY", place.path("summary.md"));
    Ran::of(command).exits(1);
    let summary = fs::read_to_string(place.path("summary.md")).unwrap();
    assert!(summary.starts_with("what was there\n### ❌"), "{summary}");
}

#[test]
fn a_report_can_go_to_a_file() {
    let place = Place::new();
    place.baseline(&suite());
    let ran = place
        .check(&suite(), &["--format", "json", "--out", "sub/verdict.json"])
        .exits(0);
    assert_eq!(ran.out, "");
    let text = fs::read_to_string(place.path("sub/verdict.json")).unwrap();
    assert!(text.contains("\"schema\": 1"));
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_anything_is_read_or_measured() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").unwrap();
    let below = ["--out", "file/verdict.json"];
    let check = ["check", "--run", "of-the-future"];
    place
        .compare(&[&check[..], &below].concat())
        .breaks("file/verdict.json", "cannot be written");
    let duet = ["duet", "--base", "no-such-revision"];
    place
        .compare(&[&duet[..], &below].concat())
        .breaks("file/verdict.json", "cannot be written");
}

#[test]
fn the_json_has_every_field_of_the_contract() {
    let place = Place::new();
    place.baseline(&suite());
    let verdict = place.check(&suite(), &["--format", "json"]).exits(0).json();
    for field in [
        "schema",
        "provenance",
        "policy",
        "host",
        "baseline",
        "exit",
        "summary",
        "rows",
    ] {
        assert!(verdict.get(field).is_some(), "{field}");
    }
    let read: probecost::schema::Verdict = serde_json::from_value(verdict.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), verdict);
    for field in ["file", "commit", "host", "runs"] {
        assert!(verdict["baseline"].get(field).is_some(), "{field}");
    }
    for status in [
        "regressed",
        "improved",
        "unchanged",
        "inconclusive",
        "incomparable",
        "missing",
        "new",
        "filtered",
    ] {
        assert!(verdict["summary"][status].is_u64(), "{status}");
    }
    for field in [
        "id",
        "status",
        "severity",
        "baseline_ns",
        "current_ns",
        "change_pct",
        "ci_pct",
        "noise_floor_pct",
        "runs",
        "reason",
    ] {
        assert!(verdict["rows"][0].get(field).is_some(), "{field}");
    }
    assert_eq!(
        verdict["rows"][0]["runs"],
        json!({"baseline": 10, "current": 5})
    );
}

#[test]
fn cargo_gives_the_name_of_the_subcommand_as_well() {
    let place = Place::new();
    place.baseline(&suite());
    let check = ["compare", "check", "--baseline", "b.json", "--run", "old"];
    place.compare(&check).exits(0);
    let help = place.compare(&["check", "--help"]).exits(0).out;
    assert!(help.contains("Usage: cargo compare check"), "{help}");
}
