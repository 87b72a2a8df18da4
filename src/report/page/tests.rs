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
                "rate": {"asked": 10.0, "reached": 9.0}, "requests": {"errors": {"reset": 2}},
                "latency_us": {"p50": 1.0, "p95": 2.0, "p99": 3.0}}),
        ),
        (
            "image.json",
            json!({"schema": 1, "rows": [
            {"name": "x", "verdict": "skipped", "reason": "no <strace> | here"}]}),
        ),
    ]);
    assert_eq!(reading.sheets.len(), 4);
    let page = page(&reading, &RULES);
    let names: Vec<&str> = page.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["overhead", "verdict", "load", "image"]);
    let load = &page.streams[2];
    assert_eq!(load.pictures.len(), 1);
    let shown = load.rows.iter().map(|row| {
        let value = row.value.as_deref().unwrap();
        (row.measure.as_str(), value, row.status)
    });
    let (on_track, no_limit) = (PageStatus::OnTrack, PageStatus::NoLimit);
    let shown: Vec<_> = shown.collect();
    assert_eq!(
        shown,
        [
            ("answered_per_s", "9", on_track),
            ("failed_requests", "2", no_limit),
            ("p50_us", "1", no_limit),
            ("p95_us", "2", no_limit),
            ("p99_us", "3", no_limit),
        ]
    );
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
fn what_cannot_be_read_stands_first_and_broken() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["a", "b", "c"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    let whole = soak(1, 50.0, "pass").to_string();
    std::fs::write(at("a/soak.json"), &whole).unwrap();
    std::fs::write(at("b/soak.json"), &whole[..whole.len() / 2]).unwrap();
    let large = std::fs::File::create(at("c/soak.json")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    // Another program's, and so no flaw of ours.
    let foreign = json!({"schema": "x", "rows": [{"status": "green"}]});
    std::fs::write(at("a/foreign.json"), foreign.to_string()).unwrap();
    let page = page(&read(&[directory.path().into()], None).unwrap(), &RULES);
    let found = page.streams.iter().map(|s| (s.name.as_str(), s.status));
    let found: Vec<_> = found.collect();
    let wanted = [
        ("unread", PageStatus::Failed),
        ("soak", PageStatus::OnTrack),
    ];
    assert_eq!(found, wanted);
    for (row, name, cause) in [(0, "b/soak.json", "EOF"), (1, "c/soak.json", "64 MiB")] {
        let row = &page.streams[0].rows[row];
        assert_eq!(row.verdict, crate::schema::Outcome::Broken);
        assert!(row.name.ends_with(name), "{row:?}");
        assert!(row.reason.contains(cause), "{row:?}");
    }
    assert!(page.notes[0].starts_with("1 JSON"), "{:?}", page.notes);
}

#[test]
fn a_verdict_that_nobody_knows_is_broken() {
    let mut unknown = soak(1, 50.0, "pass");
    let mut other = unknown["checks"][0].clone();
    other["measure"] = json!("cpu_pct");
    other["verdict"] = json!("splendid");
    unknown["checks"].as_array_mut().unwrap().push(other);
    let page = page(&reading(&[("soak.json", unknown)]), &RULES);
    let rows = &page.streams[0].rows;
    let found = rows.iter().map(|row| (row.measure.as_str(), row.status));
    let found: Vec<_> = found.collect();
    let wanted = [
        ("cpu_pct", PageStatus::Failed),
        ("memory_mb", PageStatus::OnTrack),
    ];
    assert_eq!(found, wanted);
    assert!(rows[0].reason.contains("\"splendid\""), "{rows:?}");
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

fn host(cpu: &str) -> serde_json::Value {
    json!({"cpu_model": cpu, "cores": 2, "memory_bytes": 1, "kernel": "6.18.0",
        "virtualisation": "none", "governor": null, "clock_source": null,
        "mitigations": {}, "smt": null, "turbo": null})
}

#[test]
fn machines_are_no_series() {
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
    // In the file beside it.
    assert_eq!(page.streams[1].machine.as_deref(), Some("Intel Xeon"));
}

#[test]
fn experiments_are_no_series_and_copies_no_results() {
    let impact = |day: u32, programs: &[&str], agent: &str| {
        let rows = programs.iter().map(|program| {
            json!({"program": program, "arm": agent, "measure": "seconds", "off": 1.0,
                "with": 1.1, "unit": "s", "ratio": {"est": 1.1, "lo": 1.0, "hi": 1.2},
                "difference": null, "observations": 9, "limit": 5.0, "verdict": "fail",
                "reason": null})
        });
        json!({"schema": 1, "provenance": {"date": format!("2026-11-{day:02}T00:00:00Z")},
            "rows": rows.collect::<Vec<_>>()})
    };
    let of = |day: u32, mut rest: serde_json::Value| {
        rest["schema"] = json!(1);
        rest["provenance"] = json!({"date": format!("2026-11-{day:02}T00:00:00Z")});
        rest
    };
    let load = |day: u32, url: &str, steps: usize| {
        // What a ladder found is another rate each time.
        let rate = 100.0 + steps as f64;
        of(
            day,
            json!({"outcome": "pass", "url": url, "connections": 10,
            "rate": {"asked": rate, "reached": rate}, "ladder": vec![json!({}); steps]}),
        )
    };
    let overhead = |day: u32, workloads: &[&str], rules: u32| {
        let rows = workloads
            .iter()
            .map(|workload| json!({"workload": workload, "arm": "event", "verdict": "fail"}));
        of(
            day,
            json!({"settings": {"rules": rules, "seed": day}, "rows": rows.collect::<Vec<_>>()}),
        )
    };
    let pressure = |day: u32, policy: &str, limit: u32| {
        let arms = ["off", "observe", policy].map(|policy| json!({"policy": policy}));
        of(
            day,
            json!({"settings": {"limit_mb": limit, "seed": day, "rounds": day},
            "arms": arms, "rows": [{"name": policy, "verdict": "fail"}]}),
        )
    };
    let image = |day: u32, image: &str, at_once: u32| {
        of(
            day,
            json!({"settings": {"seed": day, "cold": false}, "images": [{"image": image}],
            "pulls": [{"at_once": at_once}], "rows": [{"name": image, "verdict": "fail"}]}),
        )
    };
    let settled = |day: u32, load: &str, canary: bool| {
        let mut soak = soak(day, 50.0, "pass");
        soak["settings"] = json!({"load": load, "canary": canary});
        soak
    };
    let reading = reading(&[
        ("impact/impact.json", impact(1, &["build"], "opensnoop")),
        ("later/impact.json", impact(2, &["build"], "opensnoop")),
        (
            "programs/impact.json",
            impact(3, &["nginx", "redis", "grep"], "event"),
        ),
        (
            "load/1/load.json",
            load(1, "http://127.0.0.1:36775/{id}", 0),
        ),
        (
            "load/2/load.json",
            load(2, "http://127.0.0.1:41234/{id}", 0),
        ),
        ("load/3/load.json", load(3, "http://127.0.0.1:8080/", 0)),
        ("load/4/load.json", load(4, "http://127.0.0.1:8080/", 2)),
        ("load/5/load.json", load(5, "http://127.0.0.1:8080/", 3)),
        (
            "both/overhead.json",
            overhead(1, &["open_close", "udp_connect"], 0),
        ),
        ("one/overhead.json", overhead(2, &["open_close"], 0)),
        ("rules/overhead.json", overhead(3, &["open_close"], 100)),
        ("more/overhead.json", overhead(4, &["open_close"], 200)),
        ("64/pressure.json", pressure(1, "reclaim", 64)),
        ("seed/pressure.json", pressure(2, "reclaim", 64)),
        ("32/pressure.json", pressure(3, "reclaim", 32)),
        ("hold/pressure.json", pressure(4, "throttle", 32)),
        ("50/image.json", image(1, "50 MB", 10)),
        ("seed/image.json", image(2, "50 MB", 10)),
        ("three/image.json", image(3, "50 MB", 3)),
        ("100/image.json", image(4, "100 MB", 10)),
        ("soak/soak.json", settled(1, "records", false)),
        ("soak/canary/soak.json", settled(1, "records", true)),
        ("storm/soak.json", settled(1, "storm", false)),
        ("strict/artifacts/soak.json", settled(1, "storm", false)),
    ]);
    let page = page(&reading, &RULES);
    let found = page.streams.iter().map(|s| (s.name.as_str(), s.results));
    let found: Vec<_> = found.collect();
    assert_eq!(
        found,
        [
            ("overhead-open-close", 1),
            ("overhead-open-close-2", 1),
            ("overhead-open-close-3", 1),
            ("overhead-open-close-udp-connect", 1),
            ("impact-3-programs-event", 1),
            ("impact-build-opensnoop", 2),
            ("soak-canary", 1),
            ("soak-records", 1),
            ("soak-storm", 1),
            ("load-100.0-a-second-10-127.0.0.1--id-", 2),
            ("load-100.0-a-second-10-127.0.0.1-8080-", 1),
            ("load-ladder-10-127.0.0.1-8080-", 2),
            ("image-100-MB", 1),
            ("image-50-MB", 2),
            ("image-50-MB-2", 1),
            ("pressure-reclaim-32-MB", 1),
            ("pressure-reclaim-64-MB", 2),
            ("pressure-throttle-32-MB", 1),
        ]
    );
    assert!(page.notes[0].starts_with("1 copies"), "{:?}", page.notes);
}

#[test]
fn the_summary_of_a_strict_run_is_read_in_its_own_words() {
    let row = |status: &str| {
        json!({"scenario": "agent", "measure": "cpu_pct", "budget": 5.0, "status": status,
            "measured": {"est": 6.0, "lo": 6.0, "hi": 6.0}, "reason": "over"})
    };
    for (status, wanted) in [
        ("pass", PageStatus::OnTrack),
        ("fail", PageStatus::Failed),
        ("unenforceable", PageStatus::AtRisk),
    ] {
        let summary = json!({"schema": 1, "host": "amd-2c", "rows": [row(status)]});
        let page = page(&reading(&[("perf-slo-summary.json", summary)]), &RULES);
        let stream = &page.streams[0];
        assert_eq!((stream.name.as_str(), stream.status), ("slo", wanted));
        assert_ne!(stream.question, "");
    }
}

#[test]
fn documents_without_verdicts_are_read_too() {
    let coverage = json!({"schema": 1, "command": ["/usr/bin/make"], "expected_by": "strace",
        "share": 0.9, "missed": ["a process was too short"],
        "calls": [{"name": "read", "seen": 8, "expected": 10}, {"name": "open", "seen": 9, "expected": 9}]});
    let sample = |at: f64| json!({"at_s": at, "user_pct": 10.0 + at, "resident": 5e6});
    let monitor = json!({"schema": 1, "command": ["nginx"],
        "totals": {"seconds": 10.0, "user_s": 1.0, "system_s": 0.5, "peak_resident": 7_000_000,
            "peak_descriptors": 12},
        "samples": [sample(0.0), sample(1.0), sample(2.0)]});
    let change = json!({"refresh": 1, "commit": "abc", "date": "2026-11-02T00:00:00Z", "why": "names",
        "change_pct": 24.8, "before": 1.0, "after": 1.248});
    let point = |refresh: u32, value: f64| json!({"refresh": refresh, "value": value, "lo": value, "hi": value});
    let history = json!({"schema": 1, "refreshes": [{}, {}], "remarks": [],
        "benchmarks": [
            {"id": "open/event", "unit": "ns", "change_points": [change],
             "points": [point(0, 1.0), point(1, 1.248)]},
            {"id": "walk", "unit": "ns", "change_points": [], "points": [point(0, 1.0)]}]});
    let verdict = json!({"schema": 1, "policy": "strict", "baseline": {"file": "b.json"},
        "rows": [{"id": "a/b", "status": "missing", "reason": "gone"}]});
    let reading = reading(&[
        ("coverage.json", coverage),
        ("monitor.json", monitor),
        ("courses.json", history),
        ("checked.json", verdict),
    ]);
    let page = page(&reading, &RULES);
    let stream = |name: &str| page.streams.iter().find(|s| s.name == name).unwrap();
    let shown = |name: &str| {
        let rows = stream(name).rows.iter();
        let rows = rows.map(|row| {
            let value = row.value.clone().unwrap_or_default();
            format!("{} {} {value} {}", row.name, row.measure, row.status)
        });
        rows.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        shown("coverage"),
        "all calls seen_calls_pct 90 FAILED; read seen_calls_pct 80 FAILED"
    );
    assert_eq!(
        shown("monitor"),
        " mean_cpu_pct 15 no limit;  peak_memory_mb 7 no limit;  peak_descriptors 12 no limit"
    );
    assert_eq!(stream("monitor").pictures.len(), 2);
    assert!(
        shown("history").ends_with("open/event level_change_pct 24.8 no limit"),
        "{}",
        shown("history")
    );
    assert_eq!(stream("history").pictures.len(), 1);
    assert_eq!(stream("verdict").status, PageStatus::Failed);
}

/// What off against off and the controls of `overhead` say stands in the row alone.
#[test]
fn what_a_row_is_not_believed_for_holds_for_its_budgets() {
    let found = |verdict: &str, budgets: [&str; 2]| {
        let budgets = budgets.map(|verdict| {
            json!({"measure": "ratio", "limit": 1.1, "verdict": verdict, "reason": "its own",
                "measured": {"est": 1.5, "lo": 1.4, "hi": 1.6}})
        });
        let overhead = json!({"schema": 2, "rows": [{"workload": "open_close", "arm": "event",
            "verdict": verdict, "reason": "the row's", "budgets": budgets}]});
        let page = page(&reading(&[("overhead.json", overhead)]), &RULES);
        let rows = &page.streams[0].rows;
        let all_say = |why: &str| rows.iter().all(|row| row.reason == why);
        (page.streams[0].status, all_say("the row's"))
    };
    let (on_track, at_risk) = (PageStatus::OnTrack, PageStatus::AtRisk);
    for (verdict, budgets, wanted) in [
        ("inconclusive", ["fail", "pass"], (at_risk, true)),
        ("inconclusive", ["pass", "pass"], (at_risk, true)),
        ("inconclusive", ["inconclusive", "pass"], (at_risk, false)),
        ("broken", ["pass", "pass"], (PageStatus::Failed, true)),
        ("fail", ["fail", "pass"], (PageStatus::Failed, false)),
        ("pass", ["pass", "pass"], (on_track, false)),
    ] {
        assert_eq!(found(verdict, budgets), wanted, "{verdict}: {budgets:?}");
    }
}

#[test]
fn a_coverage_that_was_cut_off_is_not_all() {
    for (share, status) in [(1.0, PageStatus::AtRisk), (0.9, PageStatus::Failed)] {
        let coverage = json!({"schema": 1, "command": ["make"], "expected_by": "strace",
            "share": share, "missed": [], "calls": [], "out_of_time": true});
        let page = page(&reading(&[("coverage.json", coverage)]), &RULES);
        assert_eq!(page.streams[0].status, status);
    }
}

#[test]
fn verdicts_on_other_benchmarks_hide_none() {
    let verdict = |day: u32, ids: &[&str], rest: serde_json::Value| {
        let rows = ids.iter().map(|id| json!({"id": id, "status": "missing"}));
        let mut verdict = json!({"schema": 1, "policy": "strict", "baseline": {"file": "b.json"},
            "provenance": {"date": format!("2026-11-{day:02}T00:00:00Z")},
            "rows": rows.collect::<Vec<_>>()});
        let rest = rest.as_object().unwrap().clone();
        verdict.as_object_mut().unwrap().extend(rest);
        verdict
    };
    let duet = |of: u32| json!({"duet": {}, "shard": {"shard": format!("{of}/2"), "own": []}});
    let all = ["a", "b", "c"];
    let page = page(
        &reading(&[
            ("1.json", verdict(1, &["a"], json!({"duet": {}}))),
            ("2.json", verdict(2, &["b"], json!({"duet": {}}))),
            ("3.json", verdict(3, &["b"], json!({"duet": {}}))),
            ("5.json", verdict(5, &["a"], duet(1))),
            ("6.json", verdict(6, &["a"], duet(2))),
            ("7.json", verdict(7, &all, json!({}))),
            ("8.json", verdict(8, &["a"], json!({}))),
        ]),
        &RULES,
    );
    let found = page.streams.iter().map(|s| (s.name.as_str(), s.results));
    let found: Vec<_> = found.collect();
    assert_eq!(
        found,
        [
            ("verdict-check-3-benchmarks", 1),
            ("verdict-check-a", 1),
            ("verdict-duet-a", 1),
            ("verdict-duet-a-1-2", 1),
            ("verdict-duet-a-2-2", 1),
            ("verdict-duet-b", 2),
        ]
    );
}

#[test]
fn a_day_is_a_day() {
    let at = |text: &str| day(text).unwrap().to_string();
    assert_eq!(at("2026-11-14"), "2026-11-14T00:00:00Z");
    assert_eq!(at("2026-11-14T06:00:00Z"), "2026-11-14T06:00:00Z");
    for text in ["yesterday", "14.11.2026", "2026-13-01", ""] {
        let why = day(text).unwrap_err();
        assert!(why.contains("2026-11-14"), "{text}: {why}");
    }
    let directory = tempfile::tempdir().unwrap();
    for date in [13, 14] {
        let path = directory.path().join(format!("{date}"));
        std::fs::create_dir(&path).unwrap();
        let document = soak(date, f64::from(date), "pass").to_string();
        std::fs::write(path.join("soak.json"), document).unwrap();
    }
    let reading = read(&[directory.path().into()], day("2026-11-14").ok()).unwrap();
    assert_eq!(reading.sheets.len(), 1);
    assert!(
        reading.notes[0].contains("before 2026-11-14"),
        "{:?}",
        reading.notes
    );
}
