//! Counts among the figures of a bench: kept by a baseline, and held to it exactly.

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Bench, Place, Ran, bench, figure, host, record};

fn suite() -> Vec<Bench> {
    vec![bench("sort", 5000.0)]
}

/// What one event asks of the heap, and beside it what no baseline keeps.
fn figures(allocations: f64, bytes: f64) -> Value {
    json!([
        figure("allocations/event", "allocations", allocations),
        figure("allocated/event", "bytes", bytes),
        figure("ring/lost", "percent", 0.0),
        figure("ring/made", "events/s", 1e6),
    ])
}

/// A baseline of the suite with these figures.
fn baseline(place: &Place, figures: &Value) {
    place.runs("old", 10, &suite());
    place.figures("old", figures);
    let refresh = ["refresh", "--run", "old", "--out", "b.json"];
    place.compare(&refresh).exits(0);
}

/// Five runs with these figures, held against it.
fn check(place: &Place, figures: &Value, more: &[&str]) -> Ran {
    place.runs("now", 5, &suite());
    place.figures("now", figures);
    judge(place, more)
}

fn judge(place: &Place, more: &[&str]) -> Ran {
    let check = ["check", "--baseline", "b.json", "--run", "now"];
    place.compare(&[&check, more].concat())
}

#[test]
fn a_baseline_keeps_them_and_check_compares_them() {
    let place = Place::new();
    baseline(&place, &figures(0.0, 96.0));
    let text = fs::read_to_string(place.path("b.json")).unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    let kept = kept["benchmarks"].as_object().unwrap();
    assert_eq!(kept["allocations/event"]["unit"], "allocations");
    assert_eq!(kept["allocated/event"]["median"][0][9], 96.0);
    assert_eq!(kept.len(), 3, "no shares and no rates");

    let same = check(&place, &figures(0.0, 96.0), &["--format", "json"]).exits(0);
    assert_eq!(same.row("allocations/event")["status"], "unchanged");
    let more = check(&place, &figures(0.25, 112.0), &["--format", "json"]).exits(1);
    for id in ["allocations/event", "allocated/event"] {
        assert_eq!(more.row(id)["status"], "regressed", "{id}");
    }
    let shown = judge(&place, &[]).exits(1);
    assert!(shown.out.contains("0.250"), "{}", shown.out);
}

/// What was taken in as meant is what is held on to, and not the middle of then and now.
#[test]
fn of_several_sessions_the_newest_that_counted_is_held_to() {
    let place = Place::new();
    baseline(&place, &figures(2.0, 816.0));
    let append = |name, count, bytes: &[f64]| {
        let later = suite()
            .into_iter()
            .map(|bench| bench.slower(1.0 + count as f64 / 1e4));
        place.runs(name, count, &later.collect::<Vec<_>>());
        (bytes.iter()).for_each(|bytes| place.figures(name, &figures(2.0, *bytes)));
        let append = ["refresh", "--append", "--out", "b.json", "--run", name];
        place.compare(&append).exits(0);
    };
    append("changed", 8, &[900.0]);
    append("timed", 5, &[]);
    check(&place, &figures(2.0, 900.0), &[]).exits(0);
    for (bytes, exit, status, change) in
        [(816.0, 0, "improved", -9.333), (918.0, 1, "regressed", 2.0)]
    {
        let ran = check(&place, &figures(2.0, bytes), &["--format", "json"]).exits(exit);
        let row = ran.row("allocated/event");
        assert_eq!(row["status"], status);
        assert_eq!(row["change_pct"], change);
        assert_eq!(row["runs"]["baseline"], 8);
    }
}

/// They are counted, and so the same on any machine.
#[test]
fn another_machine_compares_them_as_well() {
    let place = Place::new();
    baseline(&place, &figures(0.0, 96.0));
    check(&place, &figures(3.0, 96.0), &[]).exits(1);
    let mut other = host();
    other["cores"] = json!(64);
    for k in 1..=5 {
        let path = place.path(&format!("now/{k}/host.json"));
        fs::write(path, record(&other).to_string()).unwrap();
    }
    let ran = judge(&place, &["--format", "json"]).exits(1);
    assert_eq!(ran.row("sort")["status"], "incomparable");
    assert_eq!(ran.row("allocations/event")["status"], "regressed");
}

#[test]
fn a_check_of_counts_that_the_baseline_has_not_is_no_pass() {
    let place = Place::new();
    let budget = "[budgets]\n\"allocations/*\" = { at_most = 0 }\n";
    fs::write(place.path("gate.toml"), budget).unwrap();
    place.baseline(&suite());
    let counts = ["--only", "^alloc"];
    let ran = check(&place, &figures(0.0, 96.0), &counts).exits(2);
    for said in ["nothing was compared", "is in the baseline; refresh it"] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    // Beside what is compared, new rows hold nobody up.
    judge(&place, &[]).exits(0);
}

#[test]
fn what_is_timed_and_counted_alike_is_broken() {
    let place = Place::new();
    place.baseline(&suite());
    let twice = json!([figure("sort", "bytes", 1.0)]);
    let ran = check(&place, &twice, &["--format", "json"]).exits(2);
    let reason = ran.row("sort")["reason"].to_string();
    assert!(reason.contains("is a benchmark and a figure"), "{reason}");
}
