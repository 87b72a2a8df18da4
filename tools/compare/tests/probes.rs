//! Frozen probes from end to end: taken by `run`, kept by `refresh`, held first by `check`.

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Bench, Place, Ran, bench, figure, host, record};

const PROBES: [(&str, f64); 5] = [
    ("arithmetic", 2.0),
    ("memory_latency", 90.0),
    ("getppid", 84.0),
    ("open_close", 900.0),
    ("udp_connect", 700.0),
];

/// Benchmarks, each with the share of its time that is the kernel's.
const SUITE: [(&str, f64, f64); 5] = [
    ("open/off", 1000.0, 85.0),
    ("open/event", 1500.0, 80.0),
    ("connect/off", 800.0, 90.0),
    ("sort", 5000.0, 1.0),
    ("hash", 3000.0, 0.0),
];

fn suite() -> Vec<Bench> {
    SUITE.map(|(id, ns, _)| bench(id, ns)).to_vec()
}

/// The suite with some of it slower.
fn slower(factors: &[(&str, f64)]) -> Vec<Bench> {
    let factor = |id| {
        factors
            .iter()
            .find(|(slow, _)| *slow == id)
            .map_or(1.0, |f| f.1)
    };
    let bench = |(id, ns, _)| bench(id, ns * factor(id));
    SUITE.map(bench).to_vec()
}

/// Runs of these benchmarks on a machine whose probes take so many times as long as usual.
fn runs(place: &Place, name: &str, count: usize, benches: &[Bench], slow: &[(&str, f64)]) {
    place.runs(name, count, benches);
    for k in 1..=count {
        let wobble = 1.0 + 0.004 * (k as f64 * 2.4).sin();
        let probe = |(probe, ns): (&str, f64)| {
            let factor = slow
                .iter()
                .find(|(slow, _)| *slow == probe)
                .map_or(1.0, |s| s.1);
            let ns = ns * factor * wobble;
            (probe.to_owned(), json!({"before_ns": ns, "after_ns": ns}))
        };
        let share = |(id, _, share): (&str, f64, f64)| (id.to_owned(), json!(share));
        let mut record = record(&host());
        record["probes"] = Value::Object(PROBES.map(probe).into_iter().collect());
        record["system_pct"] = Value::Object(SUITE.map(share).into_iter().collect());
        let path = place.path(name).join(k.to_string()).join("host.json");
        fs::write(path, record.to_string()).unwrap();
    }
}

/// A baseline of ten runs with probes, and a check of five on a machine that is so slow.
fn check(benches: &[Bench], slow: &[(&str, f64)], more: &[&str]) -> Ran {
    let place = Place::new();
    runs(&place, "old", 10, &suite(), &[]);
    place
        .compare(&["refresh", "--run", "old", "--out", "b.json"])
        .exits(0);
    runs(&place, "now", 5, benches, slow);
    place.compare(&[&["check", "--baseline", "b.json", "--run", "now"], more].concat())
}

const JSON: [&str; 2] = ["--format", "json"];

#[test]
fn where_the_probes_hold_a_regression_is_one() {
    let ran = check(&slower(&[("open/off", 1.1)]), &[], &JSON).exits(1);
    assert_eq!(ran.row("open/off")["status"], "regressed");
    let probes = ran.json()["probes"].clone();
    assert_eq!(probes.as_array().unwrap().len(), 5);
    assert!(
        probes
            .as_array()
            .unwrap()
            .iter()
            .all(|p| p["moved"] == false)
    );
    let ran = check(&suite(), &[], &[]).exits(0);
    assert!(ran.out.contains("5 frozen probes hold"), "{}", ran.out);
}

#[test]
fn a_row_that_moves_with_a_probe_like_it_is_incomparable_and_not_slower() {
    let opens = [("open/off", 1.164), ("open/event", 1.164)];
    let slow = [("open_close", 1.16)];
    let ran = check(&slower(&opens), &slow, &JSON).exits(3);
    let row = ran.row("open/off");
    assert_eq!(row["status"], "incomparable");
    let reason = row["reason"].as_str().unwrap();
    assert!(
        reason.contains("open_close +15.9 %") && reason.contains("85 %"),
        "{reason}"
    );
    // What the agent adds is judged as on another machine: by its ratio.
    assert_eq!(ran.row("open/event ÷ off")["status"], "unchanged");
    assert_eq!(ran.row("connect/off")["status"], "unchanged");
    let dearer = [("open/off", 1.164), ("open/event", 1.164 * 1.3)];
    let ran = check(&slower(&dearer), &slow, &JSON).exits(1);
    assert_eq!(ran.row("open/event ÷ off")["status"], "regressed");
    let text = check(&slower(&opens), &slow, &[]).exits(3).out;
    assert!(
        text.contains("the machine is not as it was") && text.contains("1 of 5 frozen probes"),
        "{text}"
    );
}

/// Of several probes a row names the one that moved most as it did; the remark names all.
#[test]
fn where_much_of_the_machine_moved_each_row_says_so_in_a_line() {
    let slow = [("getppid", 1.6), ("open_close", 1.4), ("udp_connect", 1.15)];
    let benches = slower(&[("open/off", 1.42), ("open/event", 1.42)]);
    let reason = check(&benches, &slow, &JSON).exits(3).row("open/off")["reason"].clone();
    let said =
        "and the machine itself moved: probe open_close +39.9 %, and 2 more (85 % of its time";
    assert!(reason.as_str().unwrap().contains(said), "{reason}");
    let text = check(&benches, &slow, &[]).exits(3).out;
    let said = "3 of 5 frozen probes moved: getppid +59.8 % (its own spread explains";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("%), open_close +39.9 % ("), "{text}");
}

#[test]
fn a_probe_explains_only_what_spends_its_time_where_it_does_and_moves_as_it_does() {
    // The kernel is slower, and a benchmark of user space as well.
    let ran = check(&slower(&[("sort", 1.16)]), &[("open_close", 1.16)], &JSON).exits(1);
    assert_eq!(ran.row("sort")["status"], "regressed");
    // Memory is slower, and so is an open.
    let slow = [("memory_latency", 1.2)];
    let ran = check(&slower(&[("open/off", 1.16)]), &slow, &JSON).exits(1);
    assert_eq!(ran.row("open/off")["status"], "regressed");
    let ran = check(&slower(&[("hash", 1.2)]), &slow, &JSON).exits(3);
    assert_eq!(ran.row("hash")["status"], "incomparable");
    // A machine that is quicker makes nothing slower.
    let ran = check(&slower(&[("hash", 1.2)]), &[("memory_latency", 0.8)], &JSON).exits(1);
    assert_eq!(ran.row("hash")["status"], "regressed");
}

/// Says of all runs in a directory that others took this much of the machine.
fn taken(place: &Place, name: &str, percent: f64) {
    for entry in fs::read_dir(place.path(name)).unwrap() {
        let path = entry.unwrap().path().join("host.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut record: Value = serde_json::from_str(&text).unwrap();
        record["surroundings"]["others_pct"] = json!(percent);
        fs::write(path, record.to_string()).unwrap();
    }
}

/// The probes look for quiet moments, a benchmark's median bears all of them.
#[test]
fn on_a_machine_that_others_use_more_nothing_is_called_slower() {
    let check = |before: f64, now: f64, factor: f64, more: &[&str]| {
        let place = Place::new();
        runs(&place, "old", 10, &suite(), &[]);
        taken(&place, "old", before);
        place
            .compare(&["refresh", "--run", "old", "--out", "b.json"])
            .exits(0);
        runs(&place, "now", 5, &slower(&[("sort", factor)]), &[]);
        taken(&place, "now", now);
        place.compare(&[&["check", "--baseline", "b.json", "--run", "now"], more].concat())
    };
    let ran = check(1.0, 45.0, 1.16, &JSON).exits(3);
    let row = ran.row("sort");
    assert_eq!(row["status"], "incomparable");
    let reason = row["reason"].as_str().unwrap();
    assert!(
        reason.contains("others took 45 % of the machine, 1 % when the baseline was made"),
        "{reason}"
    );
    assert_eq!(ran.row("hash")["status"], "unchanged");
    assert!(!ran.out.contains("Not the machine"), "{}", ran.out);
    let text = check(1.0, 45.0, 1.16, &[]).exits(3).out;
    let headline = "undecided: the machine is not as it was";
    assert!(text.starts_with(headline), "{text}");
    // As busy as ever, or what became faster all the same: judged as always.
    check(45.0, 50.0, 1.16, &JSON).exits(1);
    let ran = check(1.0, 45.0, 0.8, &JSON).exits(0);
    assert_eq!(ran.row("sort")["status"], "improved");
}

/// A session that only counts says nothing of the machine on which another one timed.
#[test]
fn a_benchmark_is_held_to_the_probes_of_the_sessions_that_timed_it() {
    let place = Place::new();
    let counts = |name| place.figures(name, &json!([figure("heap", "bytes", 96.0)]));
    runs(&place, "old", 10, &suite(), &[]);
    taken(&place, "old", 1.0);
    runs(&place, "counted", 5, &[], &[("getppid", 1.8)]);
    taken(&place, "counted", 25.0);
    counts("counted");
    let refresh = |name, more: &[&str]| {
        let refresh = ["refresh", "--out", "b.json", "--run", name];
        place.compare(&[&refresh, more].concat()).exits(0);
    };
    refresh("old", &[]);
    refresh("counted", &["--append"]);
    let reason = |slow: &[(&str, f64)], others: f64| {
        runs(&place, "now", 5, &slower(&[("open/off", 1.16)]), slow);
        taken(&place, "now", others);
        counts("now");
        let check = ["check", "--baseline", "b.json", "--run", "now"];
        let ran = place.compare(&[&check[..], &JSON].concat()).exits(3);
        ran.row("open/off")["reason"].to_string()
    };
    let moved = reason(&[("getppid", 1.8)], 1.0);
    assert!(moved.contains("probe getppid +79.8 %"), "{moved}");
    let busier = reason(&[], 20.0);
    assert!(busier.contains("others took 20 %"), "{busier}");
}

#[test]
fn a_side_without_probes_says_that_it_cannot_know() {
    let place = Place::new();
    place.baseline(&suite());
    let ran = place.check(&suite(), &[]).exits(0);
    assert!(
        ran.out.contains("the baseline has no probes"),
        "{}",
        ran.out
    );
    let later = SUITE.map(|(id, ns, _)| bench(id, 1.001 * ns));
    runs(&place, "more", 5, &later, &[]);
    place
        .compare(&["refresh", "--run", "more", "--out", "b.json", "--append"])
        .exits(0);
    let ran = place.check(&suite(), &[]).exits(0);
    assert!(ran.out.contains("the runs have no probes"), "{}", ran.out);
    let text = fs::read_to_string(place.path("b.json")).unwrap();
    let baseline: Value = serde_json::from_str(&text).unwrap();
    let getppid = &baseline["probes"]["getppid"];
    assert_eq!(
        getppid[0],
        json!([null, null, null, null, null, null, null, null, null, null])
    );
    assert!(getppid[1][4].is_f64(), "{getppid}");
}

#[test]
fn a_run_takes_every_probe_before_and_after() {
    let place = Place::new();
    bench("one", 1000.0).write(&place.path("home"), 1);
    let script = format!(
        "dd if=/dev/zero of=/dev/null bs=1 count=2000000 2>/dev/null; cp -r {}/. \"$CRITERION_HOME\"",
        place.path("home").display()
    );
    let run = [
        "run", "--times", "1", "--out", "runs", "--", "sh", "-c", &script,
    ];
    place.compare(&run).exits(0);
    let text = fs::read_to_string(place.path("runs/1/host.json")).unwrap();
    let record: probecost::schema::RunRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(record.probes.len(), 10, "{:?}", record.probes);
    assert!(
        record
            .probes
            .values()
            .all(|p| p.before_ns > 0.0 && p.after_ns > 0.0)
    );
    // A program that only calls the kernel, unless it was too quick to be looked at.
    let share = record.system_pct.get("one");
    assert!(share.is_none_or(|share| *share > 20.0), "{share:?}");
}
