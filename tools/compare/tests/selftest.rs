//! `selftest` from end to end: what it prints, what it is judged by, and what it refuses.

mod support;

use std::fs;

use serde_json::json;
use support::{Bench, Place, bench, golden, host, record};

/// A steady benchmark, a noisy one, and one that is too short to be judged.
fn suite() -> Vec<Bench> {
    vec![
        bench("calm", 1000.0),
        bench("loud", 3000.0).noisy(12.0),
        bench("tiny", 20.0),
    ]
}

/// Sixteen unchanged runs, and five with 20 % planted.
fn collection() -> Place {
    let place = Place::new();
    place.runs("old", 16, &suite());
    let slower: Vec<Bench> = suite().into_iter().map(|b| b.slower(1.2)).collect();
    place.runs("slow", 5, &slower);
    place
}

#[test]
fn the_tables_are_what_they_were() {
    let ran = collection()
        .compare(&["selftest", "--run", "old", "--planted", "20=slow"])
        .exits(0);
    golden("selftest.md", &ran.out);
}

#[test]
fn the_json_has_every_rate_with_its_interval() {
    let place = Place::new();
    place.runs("old", 8, &suite());
    place.runs("slow", 2, &suite());
    let asked = [
        "selftest",
        "--run",
        "old",
        "--planted",
        "20=slow",
        "--seed",
        "7",
    ];
    let report = place
        .compare(&[&asked[..], &["--format", "json"]].concat())
        .exits(0)
        .json();
    let plan = json!({"baseline": 6, "current": 2});
    assert_eq!((&report["schema"], &report["seed"]), (&json!(1), &json!(7)));
    assert_eq!((&report["sides"], &report["suites"]), (&plan, &json!(4000)));
    let mut rates = vec![&report["undecided"]];
    let mut found = Vec::new();
    for rule in report["rules"].as_array().unwrap() {
        rates.extend([&rule["false_alarms"], &rule["false_alarms_in_order"]]);
        found.push((&rule["found"], 5));
    }
    for bench in report["benchmarks"].as_array().unwrap() {
        rates.push(&bench["false_alarms"]);
        found.push((&bench["found"], 5));
    }
    for row in report["by_sides"].as_array().unwrap() {
        rates.push(&row["false_alarms"]);
        found.push((&row["found"], 3));
    }
    for (found, sizes) in found {
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), sizes);
        rates.extend(found.iter().map(|one| &one["rate"]));
    }
    for of in ["false_alarms", "found_in_others"] {
        rates.extend(report["without"][of].as_array().unwrap());
    }
    assert_eq!(rates.len(), 1 + 6 * 7 + 2 * 6 + 2 * 4 + 4);
    for rate in rates {
        let [lo, est, hi] = ["lo", "est", "hi"].map(|end| rate[end].as_f64().unwrap());
        assert!(0.0 <= lo && lo <= est && est <= hi && hi <= 1.0, "{rate}");
    }
    assert_eq!(report["aside"][0]["id"], "tiny");
    assert_eq!(report["too_few_runs_for"].as_array().unwrap().len(), 5);
}

#[test]
fn the_gate_counts_that_check_would_use() {
    let place = Place::new();
    place.runs("old", 7, &suite());
    let judged = |more: &[&str]| {
        let asked = ["selftest", "--run", "old", "--format", "json"];
        place.compare(&[&asked[..], more].concat()).exits(0).json()
    };
    let shipped = judged(&[]);
    assert_eq!(
        (&shipped["gate"], &shipped["threshold_pct"]),
        (&json!(null), &json!(5.0))
    );
    assert_eq!(judged(&["--policy", "advisory"])["threshold_pct"], 20.0);

    fs::create_dir(place.path("baselines")).unwrap();
    let ours = "[policy.strict]\nchange_pct = 25\n[focus]\npatterns = ['calm', 'tiny']\n\
                [times]\nshortest_ns = 10\n[benchmark]\ncalm = { change_pct = 7 }\n";
    fs::write(place.path("baselines/gate.toml"), ours).unwrap();
    let ours = judged(&[]);
    assert_eq!(ours["gate"], "baselines/gate.toml");
    let thresholds: Vec<_> = ours["benchmarks"].as_array().unwrap().iter().collect();
    assert_eq!(thresholds.len(), 2);
    for bench in thresholds {
        let expected = if bench["id"] == "calm" { 7.0 } else { 25.0 };
        assert_eq!(bench["threshold_pct"], expected, "{bench}");
    }
    assert_eq!(ours["aside"][0]["id"], "loud");
    assert!(
        ours["aside"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("focus")
    );

    // Beside another baseline lies no gate.toml.
    fs::write(place.path("b.json"), "").unwrap();
    assert_eq!(judged(&["--baseline", "b.json"])["gate"], json!(null));
    place
        .compare(&["selftest", "--run", "old", "--baseline", "c.json"])
        .breaks("c.json", "No such file");
    fs::write(place.path("gate.toml"), "[focus]\npatterns = ['(']\n").unwrap();
    place
        .compare(&["selftest", "--run", "old", "--baseline", "b.json"])
        .breaks("gate.toml", "focus pattern");
}

#[test]
fn few_runs_are_drawn_as_one_suite_and_fewer_are_refused() {
    let place = Place::new();
    place.runs("old", 7, &suite()[..1]);
    let ran = place.compare(&["selftest", "--run", "old"]).exits(0);
    for said in [
        "5 as the baseline, 2 held against it",
        "worth a single one",
        "0.0 % (0–98)",
        "--times 30 makes enough",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    place.runs("fewer", 6, &suite());
    place
        .compare(&["selftest", "--run", "fewer"])
        .breaks("6 unchanged runs", "--times 40");
}

#[test]
fn a_benchmark_that_not_all_runs_measured_is_named() {
    let place = Place::new();
    place.runs("old", 8, &suite());
    fs::remove_dir_all(place.path("old/3/loud")).unwrap();
    let ran = place.compare(&["selftest", "--run", "old"]).exits(0);
    let said = "Not counted: loud (only 7 of 8 runs tell its time).";
    assert!(ran.out.contains(said), "{}", ran.out);
}

#[test]
fn what_cannot_be_resampled_is_refused() {
    let place = collection();
    let planted = |at: &str, cause: &str, what: &str| {
        place
            .compare(&["selftest", "--run", "old", "--planted", what])
            .breaks(at, cause);
    };
    planted("slow/1", "1 runs", "20=slow/1");
    planted("nowhere", "No such file", "20=nowhere");
    planted("--planted", "nan is no number", "nan=slow");
    place.runs("part", 5, &suite()[1..]);
    planted("part/1", "has no time of `calm`", "20=part");

    let mut other = host();
    other["cpu_model"] = json!("Another CPU");
    fs::write(place.path("slow/2/host.json"), record(&other).to_string()).unwrap();
    planted("slow/2", "another machine", "20=slow");

    let mut elsewhere = record(&host());
    elsewhere["commit"] = json!("abc");
    fs::write(place.path("old/2/host.json"), elsewhere.to_string()).unwrap();
    place
        .compare(&["selftest", "--run", "old"])
        .breaks("abc", "the runs are of two commits");

    place.runs("short", 8, &suite()[2..]);
    place
        .compare(&["selftest", "--run", "short"])
        .breaks("tiny", "shorter than 50 ns");
}
