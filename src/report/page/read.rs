//! Documents of any kind, read for what they have in common.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use walkdir::WalkDir;

use super::experiment::Experiment;
use super::kinds;
use super::row::Row;
use crate::host::Obstacle;
use crate::schema::impact::{ImpactMeasure, ImpactRow};
use crate::schema::{Exit, Host, Outcome, Status};
use crate::stats::Interval;

/// No result is larger.
const LARGEST: u64 = 64 << 20;
/// The stream of what could not be read.
pub(super) const UNREAD: &str = "unread";

/// What was found in some directories.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The results.
    pub sheets: Vec<Sheet>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

impl Reading {
    /// Whether the same document was read elsewhere.
    fn has(&self, sheet: &Sheet) -> bool {
        let mut others = self.sheets.iter();
        others.any(|other| other.stream == sheet.stream && other.document == sheet.document)
    }
}

/// One document.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The stream that it belongs to: by what it holds, or the name of its file without
    /// what follows the first dot.
    pub stream: String,
    /// Where it lies.
    pub file: String,
    /// When it was made, RFC 3339; empty where it does not say.
    pub date: String,
    /// The commit that made it.
    pub commit: Option<String>,
    /// The machine.
    pub machine: Option<String>,
    /// The class of machines that it belongs to, where that is known.
    pub(super) class: Option<String>,
    /// What was measured, where a stream may be of several things.
    pub(super) experiment: Experiment,
    /// What is judged in it.
    pub(super) rows: Vec<Row>,
    /// The document.
    pub(super) document: Value,
}

impl Sheet {
    /// What could not be read, as a stream of its own: it may be the newest of any other.
    fn of_unread(directories: &[PathBuf], rows: Vec<Row>) -> Self {
        Self {
            stream: UNREAD.to_owned(),
            file: listed(directories),
            date: String::new(),
            commit: None,
            machine: None,
            class: None,
            experiment: Experiment::default(),
            rows,
            document: Value::Null,
        }
    }

    pub(super) fn row(&self, name: &str, measure: &str) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.name == name && row.measure == measure)
    }
}

/// A day, from its beginning in UTC, or a time of RFC 3339.
///
/// # Errors
/// It is neither.
pub fn day(text: &str) -> Result<Timestamp, String> {
    let day = text
        .parse::<Date>()
        .and_then(|day| day.to_zoned(TimeZone::UTC));
    day.map(|day| day.timestamp())
        .or_else(|_| text.parse::<Timestamp>())
        .map_err(|_| "a day such as 2026-11-14 is wanted".to_owned())
}

/// Every result below these directories that was made after `since`.
///
/// # Errors
/// There is none, or a directory is none.
pub fn read(directories: &[PathBuf], since: Option<Timestamp>) -> Result<Reading, Obstacle> {
    let mut reading = Reading::default();
    let (mut foreign, mut old, mut copies) = (0, 0, 0);
    let mut unread = Vec::new();
    // An undated result may be of any age.
    let is_old = |sheet: &Sheet| {
        since.is_some_and(|since| {
            sheet
                .date
                .parse::<Timestamp>()
                .map_or(true, |at| at < since)
        })
    };
    for directory in directories {
        if !directory.is_dir() {
            return Err(Obstacle::new(
                format!("{} is no directory", directory.display()),
                "name one in which results lie, as --out left them",
            ));
        }
        for (path, document) in documents(directory) {
            match document.map(|document| sheet(&path, document)) {
                Ok(Some(sheet)) if is_old(&sheet) => old += 1,
                Ok(Some(sheet)) if reading.has(&sheet) => copies += 1,
                Ok(Some(sheet)) => reading.sheets.push(sheet),
                Ok(None) => foreign += 1,
                Err(cause) => unread.push(unreadable(&path, &cause)),
            }
        }
    }
    if !unread.is_empty() {
        reading.sheets.push(Sheet::of_unread(directories, unread));
    }
    if foreign > 0 {
        let note = format!("{foreign} JSON files that judge nothing are left out");
        reading.notes.push(note);
    }
    if copies > 0 {
        let note = format!("{copies} copies of results that lie elsewhere are left out");
        reading.notes.push(note);
    }
    if let Some(since) = since.filter(|_| old > 0) {
        let note = format!("{old} results without a date or from before {since} are left out");
        reading.notes.push(note);
    }
    if reading.sheets.is_empty() {
        return Err(Obstacle::new(
            format!("no result lies in {}", listed(directories)),
            "make one: probecost overhead --out DIR",
        ));
    }
    Ok(reading)
}

fn listed(directories: &[PathBuf]) -> String {
    let places = directories.iter().map(|place| place.display().to_string());
    places.collect::<Vec<_>>().join(", ")
}

/// JSON documents below a directory, in the order of their names, or why they cannot be read.
fn documents(directory: &Path) -> impl Iterator<Item = (PathBuf, Result<Value, String>)> {
    WalkDir::new(directory)
        .sort_by_file_name()
        .into_iter()
        .filter(|found| {
            found.as_ref().map_or(true, |entry| {
                let kind = entry.path().extension();
                entry.file_type().is_file() && kind.is_some_and(|kind| kind == "json")
            })
        })
        .map(move |found| match found {
            Ok(entry) => {
                let read = document(entry.path());
                (entry.into_path(), read)
            }
            Err(error) => {
                let path = error.path().unwrap_or(directory);
                (path.to_owned(), Err(error.to_string()))
            }
        })
}

/// What a file holds.
fn document(path: &Path) -> Result<Value, String> {
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    if about.len() > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("it is no whole JSON: {error}"))
}

fn unreadable(path: &Path, cause: &str) -> Row {
    let reason = format!("{cause}; make it anew, or move it away");
    Row::broken(path.display().to_string(), String::new(), reason)
}

/// The result that is a document, if it judges anything.
fn sheet(path: &Path, document: Value) -> Option<Sheet> {
    // In ours it is a number.
    document.get("schema")?.as_u64()?;
    let rows = rows(&document);
    if rows.is_empty() {
        return None;
    }
    let text = |path: &str| Some(document.pointer(path)?.as_str()?.to_owned());
    let name = path.file_name()?.to_string_lossy();
    let stream = stream(&document, name.split('.').next().unwrap_or_default()).to_owned();
    let host = host(&document, path);
    Some(Sheet {
        file: path.display().to_string(),
        date: text("/provenance/date").unwrap_or_default(),
        commit: text("/provenance/commit").map(|commit| commit.chars().take(9).collect()),
        machine: host.as_ref().map(|host| host.cpu_model.clone()),
        class: host.map(|host| host.class()).or_else(|| text("/host")),
        experiment: Experiment::of(&stream, &document),
        stream,
        rows,
        document,
    })
}

/// What a document belongs to: verdicts and courses of the gate lie in files of any name.
fn stream<'a>(document: &Value, name: &'a str) -> &'a str {
    if document
        .get("policy")
        .and(document.get("baseline"))
        .is_some()
    {
        "verdict"
    } else if document.get("refreshes").is_some() {
        "history"
    } else if name == "perf-slo-summary" {
        "slo"
    } else {
        name
    }
}

/// The machine of a document: in it, or in the file that each run leaves beside it.
fn host(document: &Value, path: &Path) -> Option<Host> {
    let within = document.get("host").cloned();
    within
        .and_then(|host| serde_json::from_value(host).ok())
        .or_else(|| {
            let beside = fs::read(path.with_file_name("host.json")).ok()?;
            serde_json::from_slice(&beside).ok()
        })
}

/// Everything in a document that has a verdict, or is a figure of a kind without any.
fn rows(document: &Value) -> Vec<Row> {
    if let Some(rows) = kinds::rows(document) {
        return rows;
    }
    let lists = ["rows", "checks", "budgets"].iter();
    let lists = lists.filter_map(|list| document.get(*list)?.as_array());
    lists
        .flatten()
        .flat_map(|value| {
            // A row may hold budgets of its own, which say more than it does.
            let mut own: Vec<Row> = ["budgets", "checks"]
                .iter()
                .filter_map(|list| value.get(*list)?.as_array())
                .flatten()
                .filter_map(|budget| row(budget, &name(value)))
                .collect();
            if own.is_empty() {
                return row(value, "").into_iter().collect();
            }
            if let Some(verdict) = distrust(value, &own) {
                for budget in &mut own {
                    budget.verdict = verdict;
                    budget.reason = reason(value).to_owned();
                }
            }
            own
        })
        .collect()
}

/// The verdict of a row of whose controls its budgets know nothing.
fn distrust(value: &Value, budgets: &[Row]) -> Option<Outcome> {
    let own = outcome(value.get("verdict")?)?;
    let is_doubt = matches!(own, Outcome::Broken | Outcome::Inconclusive);
    let theirs = Exit::of(budgets.iter().map(|budget| budget.verdict));
    (is_doubt && Exit::of([own]) != theirs).then_some(own)
}

fn reason(value: &Value) -> &str {
    let reason = value.get("reason").and_then(Value::as_str);
    reason.unwrap_or_default()
}

fn row(value: &Value, within: &str) -> Option<Row> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let own = name(value);
    let name = [within, &own].into_iter().filter(|s| !s.is_empty());
    let name = name.collect::<Vec<_>>().join(" ");
    let measure = text("measure").to_owned();
    let word = value.get("verdict").or_else(|| value.get("status"))?;
    let Some(verdict) = outcome(word) else {
        let word = word.as_str()?;
        let reason = format!(
            "its verdict is {word:?}, which this version does not know; take the version that \
             wrote it"
        );
        return Some(Row::broken(name, measure, reason));
    };
    let impact = impact(value);
    let measured = ["value", "measured", "ratio", "change", "share"];
    let interval = match &impact {
        Some(row) => row.judged(),
        None => measured.iter().find_map(|key| number(value.get(*key)?)),
    };
    let limit = ["limit", "budget"]
        .iter()
        .find_map(|key| value.get(*key)?.as_f64());
    let seen = interval.or_else(|| change_of(value));
    // An arm that nothing is asked of: no number passed.
    if verdict == Outcome::Pass && seen.is_none() && limit.is_none() {
        return None;
    }
    Some(Row {
        name,
        value: seen,
        limit,
        at_least: ["at_least", "rate"].contains(&text("bound"))
            || measure == "rate"
            || value.get("is_least") == Some(&Value::Bool(true))
            || impact.is_some_and(|row| row.measure == ImpactMeasure::CapturedPct),
        measure,
        verdict,
        reason: reason(value).to_owned(),
    })
}

/// What a row is called: by its name or id, or by what it is of.
fn name(value: &Value) -> String {
    let parts = [
        "name", "id", "program", "scenario", "workload", "arm", "command",
    ];
    let parts = parts.iter().filter_map(|key| value.get(*key)?.as_str());
    parts.collect::<Vec<_>>().join(" ")
}

/// A row of `impact.json`, which has several values, only one of which is judged.
fn impact(value: &Value) -> Option<ImpactRow> {
    value.get("program").and(value.get("arm"))?;
    serde_json::from_value(value.clone()).ok()
}

/// An interval, or a number that is exact.
fn number(value: &Value) -> Option<Interval> {
    match value.as_f64() {
        Some(number) => Some(Interval::exact(number)),
        None => serde_json::from_value(value.clone()).ok(),
    }
}

/// The change that the gate saw, in percent.
fn change_of(value: &Value) -> Option<Interval> {
    let est = value.get("change_pct")?.as_f64()?;
    let ends = value.get("ci_pct").and_then(Value::as_array);
    let end = |index: usize| ends.and_then(|ends| ends.get(index)?.as_f64());
    Some(Interval {
        est,
        lo: end(0).unwrap_or(est),
        hi: end(1).unwrap_or(est),
    })
}

/// What a word comes to: that of every command, or a status of the gate.
fn outcome(word: &Value) -> Option<Outcome> {
    let of_gate = || serde_json::from_value(word.clone()).map(Status::outcome);
    serde_json::from_value(word.clone())
        .or_else(|_| of_gate())
        .ok()
}
