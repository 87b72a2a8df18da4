//! Budgets from end to end: kept, exceeded, open, misspelt, and what the reports say.

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Bench, Place, bench, figure as row, golden};

/// A place whose gate.toml has these budgets, and a baseline of the suite.
fn place(budgets: &str) -> Place {
    let place = Place::new();
    fs::write(place.path("gate.toml"), format!("[budgets]\n{budgets}\n")).unwrap();
    place.baseline(&suite());
    place
}

fn suite() -> Vec<Bench> {
    vec![bench("core/1", 55.0), bench("sort", 5000.0)]
}

/// The five runs `now`, with these figures in each.
fn with_figures(place: &Place, rows: Value) {
    place.runs("now", 5, &suite());
    place.figures("now", &rows);
}

const CHECK: [&str; 5] = ["check", "--baseline", "b.json", "--run", "now"];

#[test]
fn each_outcome_has_its_exit_code() {
    for (limit, strict, verdict) in [
        ("60", 0, "pass"),
        ("55", 3, "inconclusive"),
        ("50", 1, "fail"),
    ] {
        let place = place(&format!("\"core/1\" = {{ at_most_ns = {limit} }}"));
        let ran = place.check(&suite(), &["--format", "json"]).exits(strict);
        let verdicts = ran.json();
        let budget = &verdicts["budgets"][0];
        assert_eq!(
            (&budget["id"], &budget["verdict"]),
            (&json!("core/1"), &json!(verdict))
        );
        assert_eq!(
            (&budget["measure"], &budget["unit"]),
            (&json!("time"), &json!("ns"))
        );
        assert_eq!(verdicts["summary"]["unchanged"], 2, "no row of it changed");
        for field in [
            "limit", "critical", "measured", "runs", "severity", "reason",
        ] {
            assert!(budget.get(field).is_some(), "{field}");
        }
        place.check(&suite(), &["--policy", "advisory"]).exits(0);
    }
}

#[test]
fn a_name_that_nothing_measured_is_an_error_where_its_group_was() {
    let place = place("\"core/11\" = { at_most_ns = 60 }");
    place
        .check(&suite(), &[])
        .breaks("gate.toml", "did you mean `core/1`?");
    fs::write(
        place.path("gate.toml"),
        "[budgets]\n\"encode/json\" = { at_most_ns = 250 }\n",
    )
    .unwrap();
    let ran = place.check(&suite(), &[]).exits(0);
    assert!(
        ran.out.contains("Budgets skipped: encode/json."),
        "{}",
        ran.out
    );
}

#[test]
fn a_benchmark_that_only_the_baseline_knows_is_skipped() {
    let place = place("\"core/1\" = { at_most_ns = 60 }");
    let ran = place
        .check(&suite()[1..], &["--format", "json"])
        .exits(2)
        .json();
    assert_eq!(ran["budgets"][0]["verdict"], "skipped");
    let ran = place
        .check(&suite()[1..], &["--only", "sort", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(ran["budgets"], json!([]));
}

#[test]
fn a_budget_of_which_nothing_was_measured_is_broken_where_all_are_wanted() {
    let place = place("\"core/1\" = { at_most_ns = 60 }\n\"encode/json\" = { at_most_ns = 250 }");
    place.check(&suite(), &[]).exits(0);
    for policy in ["strict", "advisory"] {
        let all = ["--all-budgets", "--policy", policy];
        let ran = place.check(&suite(), &all).exits(2);
        for said in ["budgets that nothing was held to", "encode/json: no run"] {
            assert!(ran.out.contains(said), "{said}: {}", ran.out);
        }
    }
    let only = ["--all-budgets", "--only", "^core/"];
    place.check(&suite(), &only).exits(0);
}

#[test]
fn a_critical_limit_names_the_excess() {
    let place = place("sort = { at_most_ns = 1000, critical_ns = 4000 }");
    let ran = place.check(&suite(), &["--format", "json"]).exits(1).json();
    assert_eq!(ran["budgets"][0]["severity"], "critical");
}

#[test]
fn figures_beside_the_results_are_held_to_budgets_alone() {
    let place = place(
        "\"ladder/*/miscounted\" = { at_most = 0 }\n\"ladder/1m/lost\" = { at_most_pct = 0.1 }",
    );
    let rows = |miscounted| {
        json!([
            row("ladder/1m/miscounted", "count", 0.0),
            row("ladder/5m/miscounted", "count", miscounted),
            row("ladder/1m/lost", "percent", 0.05),
            row("ladder/5m/lost", "percent", 7.0),
        ])
    };
    with_figures(&place, rows(0.0));
    let ran = place.compare(&[&CHECK[..], &["--format", "json"]].concat());
    let verdict = ran.exits(0).json();
    assert_eq!(verdict["budgets"].as_array().unwrap().len(), 3);
    assert_eq!(verdict["rows"].as_array().unwrap().len(), 2);
    with_figures(&place, rows(1.0));
    let ran = place.compare(&CHECK).exits(1);
    assert!(ran.out.starts_with("failed: over budget: "), "{}", ran.out);
}

/// As `probecost impact` leaves them: what an agent adds, with an interval of its own, and
/// no times beside them.
#[test]
fn what_an_agent_costs_is_held_to_a_budget() {
    for (lo, hi, exit, verdict) in [
        (2.0, 7.9, 0, "pass"),
        (7.8, 12.0, 3, "inconclusive"),
        (8.5, 12.0, 1, "fail"),
    ] {
        let place = place("\"impact/build/opensnoop/seconds\" = { at_most_pct = 8 }");
        let dir = place.path("now/figures");
        fs::create_dir_all(&dir).unwrap();
        let id = "impact/build/opensnoop/seconds";
        let rows =
            json!([{"id": id, "unit": "percent", "est": (lo + hi) / 2.0, "lo": lo, "hi": hi}]);
        let file = json!({"schema": 1, "host": null, "rows": rows});
        fs::write(dir.join("impact.json"), file.to_string()).unwrap();
        let only = ["--only", "^impact/", "--format", "json"];
        let ran = place.compare(&[&CHECK[..], &only].concat()).exits(exit);
        let judged = &ran.json()["budgets"][0];
        assert_eq!(
            (&judged["id"], &judged["verdict"]),
            (&json!(id), &json!(verdict))
        );
    }
}

#[test]
fn figures_that_cannot_be_read_name_their_file() {
    let place = place("");
    with_figures(&place, json!([{"id": "a"}]));
    place
        .compare(&CHECK)
        .breaks("figures/event_processing.json", "missing field `unit`");
}

#[test]
fn one_run_says_what_its_interval_is() {
    let place = place("\"core/1\" = { at_most_ns = 60 }");
    place.runs("now", 1, &suite());
    let ran = place.compare(&CHECK).exits(0);
    assert!(
        ran.out.contains("Budgets: of one run there is only"),
        "{}",
        ran.out
    );
}

#[test]
fn the_reports_of_budgets_are_what_they_were() {
    let place = place(
        "\"core/1\" = { at_most_ns = 60 }\n\
         sort = { at_most_ns = 1000, critical_ns = 4000 }\n\
         \"ladder/1m/lost\" = { at_most_pct = 0.1 }\n\
         \"ladder/1m/made\" = { at_least_per_s = 1_000_000 }\n\
         \"ladder/*/miscounted\" = { at_most = 0 }\n\
         \"encode/json\" = { at_most_ns = 250 }",
    );
    let lost =
        json!({"id": "ladder/1m/lost", "unit": "percent", "est": 0.08, "lo": 0.02, "hi": 0.2});
    with_figures(
        &place,
        json!([
            lost,
            row("ladder/1m/made", "events/s", 1_000_500.0),
            row("ladder/1m/miscounted", "count", 12.0),
        ]),
    );
    for (format, file) in [
        ("text", "budgets.txt"),
        ("markdown", "budgets.md"),
        ("github", "budgets.github.txt"),
    ] {
        let ran = place.compare(&[&CHECK[..], &["--format", format]].concat());
        golden(file, &ran.exits(1).out);
    }
}
