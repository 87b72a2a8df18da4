//! The rows of documents that give figures and no verdicts of their own.

use serde_json::Value;

use super::row::Row;
use crate::schema::Outcome;
use crate::schema::coverage::Coverage;
use crate::stats::Interval;

/// System calls seen of those that were made, in percent at least.
const LEAST_PCT: f64 = Coverage::LEAST_SHARE * 100.0;

/// The rows of such a document, if it is one.
pub(super) fn rows(document: &Value) -> Option<Vec<Row>> {
    load(document)
        .or_else(|| coverage(document))
        .or_else(|| monitor(document))
        .or_else(|| history(document))
}

/// A figure that nothing is asked of.
fn figure(name: &str, measure: &str, value: Option<f64>) -> Option<Row> {
    Some(Row {
        name: name.to_owned(),
        measure: measure.to_owned(),
        value: Some(Interval::exact(value?)),
        limit: None,
        at_least: false,
        verdict: Outcome::Skipped,
        reason: String::new(),
    })
}

fn at(document: &Value, path: &str) -> Option<f64> {
    document.pointer(path)?.as_f64()
}

/// `load.json`: the whole has an outcome, and its figures none.
fn load(document: &Value) -> Option<Vec<Row>> {
    let verdict = serde_json::from_value(document.get("outcome")?.clone()).ok()?;
    let note = document.pointer("/notes/0").and_then(Value::as_str);
    let whole = Row {
        verdict,
        reason: note.unwrap_or_default().into(),
        ..figure("requests", "answered_per_s", at(document, "/rate/reached"))
            .unwrap_or_else(|| unmeasured("requests", "answered_per_s"))
    };
    let errors = document
        .pointer("/requests/errors")
        .and_then(Value::as_object);
    let errors = errors.map(|errors| errors.values().filter_map(Value::as_f64).sum());
    let figures = [
        figure("requests", "failed_requests", errors),
        figure("latency", "p50_us", at(document, "/latency_us/p50")),
        figure("latency", "p95_us", at(document, "/latency_us/p95")),
        figure("latency", "p99_us", at(document, "/latency_us/p99")),
    ];
    Some([Some(whole)].into_iter().chain(figures).flatten().collect())
}

fn unmeasured(name: &str, measure: &str) -> Row {
    Row {
        value: None,
        ..figure(name, measure, Some(0.0)).expect("a figure has a value")
    }
}

/// `coverage.json`: calls seen of those that a second counter saw.
fn coverage(document: &Value) -> Option<Vec<Row>> {
    document.get("expected_by")?;
    let calls = document.get("calls")?.as_array()?;
    let reasons = document.get("missed").and_then(Value::as_array);
    let reasons: Vec<&str> = reasons
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let share = at(document, "/share");
    let is_cut_off = document.get("out_of_time") == Some(&Value::Bool(true));
    let row = |name: &str, value: Option<f64>, reason: String| Row {
        value: value.map(Interval::exact),
        limit: Some(LEAST_PCT),
        at_least: true,
        verdict: match value {
            Some(pct) if pct < LEAST_PCT => Outcome::Fail,
            Some(_) if !is_cut_off => Outcome::Pass,
            _ => Outcome::Inconclusive,
        },
        reason,
        ..unmeasured(name, "seen_calls_pct")
    };
    let whole = row(
        "all calls",
        share.map(|share| share * 100.0),
        reasons.join("; "),
    );
    // Only those that are not as the second counter has them.
    let differing = calls.iter().filter_map(|call| {
        let (seen, expected) = (call.get("seen")?.as_f64()?, call.get("expected")?.as_f64()?);
        let missing = seen < expected;
        let name = call.get("name")?.as_str()?;
        missing.then(|| row(name, Some(seen / expected * 100.0), String::new()))
    });
    Some([whole].into_iter().chain(differing).collect())
}

/// `monitor.json`: what a process took; how it went second by second is in its pictures.
fn monitor(document: &Value) -> Option<Vec<Row>> {
    let seconds = at(document, "/totals/seconds")?;
    let cpu = at(document, "/totals/user_s")? + at(document, "/totals/system_s")?;
    let figures = [
        figure("", "mean_cpu_pct", Some(cpu / seconds.max(1e-9) * 100.0)),
        figure(
            "",
            "peak_memory_mb",
            at(document, "/totals/peak_resident").map(|b| b / 1e6),
        ),
        figure(
            "",
            "peak_descriptors",
            at(document, "/totals/peak_descriptors"),
        ),
    ];
    Some(figures.into_iter().flatten().collect())
}

/// What `cargo compare history` says of each benchmark whose level changed, or of the whole
/// where none did.
fn history(document: &Value) -> Option<Vec<Row>> {
    document.get("refreshes")?.as_array()?;
    let courses = document.get("benchmarks")?.as_array()?;
    let changed = courses.iter().filter_map(|course| {
        let change = course.pointer("/change_points")?.as_array()?.last()?;
        let said = |key: &str| change.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut row = figure(
            course.get("id")?.as_str()?,
            "level_change_pct",
            change.get("change_pct")?.as_f64(),
        )?;
        row.reason = format!("{} {}: {}", said("date"), said("commit"), said("why"));
        Some(row)
    });
    let changed: Vec<Row> = changed.collect();
    let count = |number: usize| Some(number as f64);
    let whole = [
        figure("all benchmarks", "courses", count(courses.len())),
        figure("all benchmarks", "level_changes", count(changed.len())),
    ];
    Some(whole.into_iter().flatten().chain(changed).collect())
}
