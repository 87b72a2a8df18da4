use serde_json::json;

use super::*;
use crate::schema::page::PageStatus;

const RULES: gate::Report = gate::Report {
    results: 4,
    ahead: 4,
};

/// A directory with these documents.
fn reading(documents: &[(&str, serde_json::Value)]) -> Reading {
    let directory = tempfile::tempdir().unwrap();
    for (name, document) in documents {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, document.to_string()).unwrap();
    }
    read(&[directory.path().to_owned()], None).unwrap()
}

fn soak(day: u32, memory: f64, verdict: &str) -> serde_json::Value {
    json!({
        "schema": 1,
        "provenance": {"date": format!("2026-11-{day:02}T00:00:00Z"), "commit": "0123456789abcdef"},
        "checks": [{
            "measure": "memory_mb", "limit": 100.0, "verdict": verdict,
            "measured": {"est": memory, "lo": memory - 1.0, "hi": memory + 1.0}
        }],
        "samples": [{"at_s": 0.0, "rate": 1.0}, {"at_s": 1.0, "rate": 2.0}, {"at_s": 2.0, "rate": 3.0}]
    })
}

#[test]
fn the_newest_result_stands_beside_those_before_it() {
    let reading = reading(&[
        ("b/soak.json", soak(2, 60.0, "pass")),
        ("a/soak.json", soak(1, 50.0, "pass")),
        ("a/other.json", json!({"schema": 1, "anything": 5})),
    ]);
    let page = page(&reading, &RULES);
    let [stream] = &page.streams[..] else {
        panic!("{page:?}")
    };
    assert_eq!((stream.name.as_str(), stream.results), ("soak", 2));
    assert_eq!(stream.status, PageStatus::OnTrack);
    let row = &stream.rows[0];
    assert_eq!(row.value.as_deref(), Some("60"));
    assert_eq!(row.interval.as_deref(), Some("59 – 61"));
    assert_eq!(row.limit.as_deref(), Some("≤ 100"));
    assert_eq!(row.change.as_deref(), Some("+20.0 %"));
    assert_eq!(stream.pictures.len(), 1);
    assert!(
        page.notes[0].starts_with("1 JSON files"),
        "{:?}",
        page.notes
    );
}

#[test]
fn a_value_that_climbs_to_its_limit_is_at_risk_and_one_over_it_failed() {
    let days = |last: &str| {
        let values = [80.0, 85.0, 90.01, 95.0];
        let days = values.iter().zip(1..).map(|(value, day)| {
            let verdict = if day == 4 { last } else { "pass" };
            (format!("{day}/soak.json"), soak(day, *value, verdict))
        });
        let days: Vec<_> = days.collect();
        let days: Vec<_> = days.iter().map(|(n, d)| (n.as_str(), d.clone())).collect();
        page(&reading(&days), &RULES).streams[0].status
    };
    assert_eq!(days("pass"), PageStatus::AtRisk);
    assert_eq!(days("fail"), PageStatus::Failed);
}

#[test]
fn rows_of_every_kind_are_read() {
    let reading = reading(&[
        (
            "overhead.json",
            json!({"schema": 2, "rows": [{
            "workload": "open_close", "arm": "event", "verdict": "fail", "reason": "over",
            "p50_ns": 1.0, "p95_ns": 2.0, "p99_ns": 3.0,
            "budgets": [{"measure": "ratio", "limit": 1.1, "verdict": "fail",
                         "measured": {"est": 1.5, "lo": 1.4, "hi": 1.6}}]}]}),
        ),
        (
            "verdict.json",
            json!({"schema": 1, "rows": [
            {"id": "a/b", "status": "regressed", "change_pct": 12.0, "ci_pct": [8.0, 15.0]}]}),
        ),
        (
            "load.json",
            json!({"schema": 1, "outcome": "pass", "notes": ["few requests"],
                "latency_us": {"p50": 1.0, "p95": 2.0, "p99": 3.0}}),
        ),
        (
            "coverage.json",
            json!({"schema": 1, "rows": [
            {"name": "x", "verdict": "skipped", "reason": "no <strace> | here"}]}),
        ),
    ]);
    assert_eq!(reading.sheets.len(), 4);
    let page = page(&reading, &RULES);
    let names: Vec<&str> = page.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["overhead", "verdict", "load", "coverage"]);
    assert_eq!(page.streams[2].pictures.len(), 1);
    assert_eq!(page.streams[0].rows[0].name, "open_close event");
    assert_eq!(page.streams[1].rows[0].interval.as_deref(), Some("8 – 15"));
    assert_eq!(page.streams[3].status, PageStatus::NotMeasured);
    assert!(
        html(&page).contains("no &#60;strace&#62; | here"),
        "text is escaped"
    );
    assert!(markdown(&page).contains("no <strace> \\| here"));
}

#[test]
fn an_empty_directory_is_said_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let error = read(&[directory.path().to_owned()], None).unwrap_err();
    assert!(error.why.contains("no result lies in"), "{error}");
    let error = read(&["/nowhere/at all".into()], None).unwrap_err();
    assert!(error.why.contains("is no directory"), "{error}");
}

#[test]
fn rows_of_impact_are_shown_in_the_unit_of_their_limit() {
    let row = |measure: &str, limit: Option<f64>, judged: serde_json::Value| {
        let mut row = json!({"program": "build", "arm": "event", "measure": measure,
            "off": 94.4, "with": 102.9, "unit": "", "ratio": null, "difference": null,
            "observations": 9, "limit": limit, "verdict": "pass", "reason": null});
        row.as_object_mut()
            .unwrap()
            .extend(judged.as_object().unwrap().clone());
        row
    };
    let around = |est: f64| json!({"est": est, "lo": est - 0.01, "hi": est + 0.01});
    let rows = [
        row("seconds", Some(5.0), json!({"ratio": around(1.03)})),
        row("throughput", Some(5.0), json!({"ratio": around(0.96)})),
        row(
            "cpu_points",
            Some(10.0),
            json!({"difference": around(8.46)}),
        ),
        row(
            "captured_pct",
            Some(99.0),
            json!({"difference": around(99.5)}),
        ),
        row("errors", Some(0.0), json!({"with": 0.0})),
    ];
    let reading = reading(&[("impact.json", json!({"schema": 1, "rows": rows}))]);
    let page = page(&reading, &RULES);
    for (measure, value, limit) in [
        ("seconds", "3", "≤ 5"),
        ("throughput", "4", "≤ 5"),
        ("cpu_points", "8.46", "≤ 10"),
        ("captured_pct", "99.5", "≥ 99"),
        ("errors", "0", "≤ 0"),
    ] {
        let mut rows = page.streams[0].rows.iter();
        let row = rows.find(|row| row.measure == measure).unwrap();
        let shown: f64 = row.value.as_deref().unwrap().parse().unwrap();
        assert_eq!(shown, value.parse::<f64>().unwrap(), "{row:?}");
        assert_eq!(row.limit.as_deref(), Some(limit), "{row:?}");
    }
}

#[test]
fn machines_are_no_series() {
    let host = |cpu: &str| {
        json!({"cpu_model": cpu, "cores": 2, "memory_bytes": 1, "kernel": "6.18.0",
            "virtualisation": "none", "governor": null, "clock_source": null,
            "mitigations": {}, "smt": null, "turbo": null})
    };
    let mut within = soak(1, 50.0, "pass");
    within["host"] = host("AMD EPYC");
    let reading = reading(&[
        ("a/soak.json", within),
        ("b/host.json", host("Intel Xeon")),
        ("b/soak.json", soak(2, 70.0, "fail")),
        ("c/host.json", host("Intel Xeon")),
        ("c/soak.json", soak(3, 77.0, "pass")),
    ]);
    let page = page(&reading, &RULES);
    let found = page.streams.iter().map(|stream| {
        let change = stream.rows[0].change.as_deref();
        (stream.name.starts_with("soak-"), stream.results, change)
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found, [(true, 1, None), (true, 2, Some("+10.0 %"))]);
    assert_ne!(page.streams[0].name, page.streams[1].name);
}
