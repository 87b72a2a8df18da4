//! All results on one page: Markdown, HTML, and the JSON that both are rendered from.

mod chart;
mod experiment;
mod kinds;
mod read;
mod row;
mod status;
mod words;

use std::collections::BTreeMap;

use askama::Template;

use experiment::Experiment;
pub use read::{Reading, Sheet, day, read};
use words::meaning;

use super::findings::digits;
use crate::gate;
use crate::schema::page::{Page, PageRow, Stream};
use crate::stats::Interval;

/// What each stream asks, by the name of its file.
const QUESTIONS: [(&str, &str); 15] = [
    // First: any stream may have a newer result than it shows.
    (read::UNREAD, "What could not be read?"),
    (
        "overhead",
        "What do the calls of a program cost under our agent?",
    ),
    ("impact", "What do agents cost real programs?"),
    ("verdict", "Did this change make anything slower?"),
    (
        "history",
        "Which benchmarks changed their level since the first baseline?",
    ),
    ("soak", "Held for long: what is lost, and what grows?"),
    ("load", "Does a server keep up, and how long does it take?"),
    (
        "tracing",
        "What does tracing HTTP cost a server, and is every request seen?",
    ),
    ("monitor", "What do processes take of the machine?"),
    ("coverage", "How much of what is called is seen?"),
    (
        "seccomp",
        "How small is a profile that is learnt, and does it refuse anything needed?",
    ),
    (
        "image",
        "How long does an image take to a tree that can be read?",
    ),
    (
        "pressure",
        "What does watching memory pressure cost, and what does acting save?",
    ),
    ("slo", "Does every stage keep its promises?"),
    ("figures", "What do the parts take?"),
];

/// The place of a stream on the page, its name, the experiment, and the class of machines.
type SeriesKey<'a> = (usize, &'a str, &'a Experiment, Option<&'a str>);

/// The page of these results: the newest of each stream, experiment and class of machines,
/// held against those before it.
pub fn page(reading: &Reading, rules: &gate::Report) -> Page {
    let mut series: BTreeMap<SeriesKey, Vec<&Sheet>> = BTreeMap::new();
    for sheet in &reading.sheets {
        let place = QUESTIONS.iter().position(|(name, _)| *name == sheet.stream);
        let place = place.unwrap_or(usize::MAX);
        let (stream, class) = (sheet.stream.as_str(), sheet.class.as_deref());
        let key = (place, stream, &sheet.experiment, class);
        series.entry(key).or_default().push(sheet);
    }
    let keys: Vec<SeriesKey> = series.keys().copied().collect();
    let names = headings(&keys);
    let mut streams = Vec::new();
    for (sheets, name) in series.values().zip(names) {
        let mut sheets = sheets.clone();
        sheets.sort_by(|a, b| a.date.cmp(&b.date));
        streams.extend(stream(&sheets, rules).map(|stream| Stream { name, ..stream }));
    }
    Page {
        schema: crate::schema::page::SCHEMA,
        provenance: crate::host::provenance(),
        rules: format!(
            "FAILED: a row of the newest result fails or is broken. AT RISK: a row is marginal \
             or cannot be decided, or it passes and the line through its last {} results or \
             more would cross its limit within {} more. ON TRACK: anything else that was \
             measured and has a limit.",
            rules.results, rules.ahead
        ),
        streams,
        notes: reading.notes.clone(),
    }
}

/// A name for each series, fit for a link: the stream's, and what tells it from others of
/// that stream.
fn headings(keys: &[SeriesKey]) -> Vec<String> {
    let names = keys.iter().map(|key| {
        let (_, stream, experiment, class) = key;
        let mut others = keys
            .iter()
            .filter(|other| other.1 == *stream && *other != key);
        let differs = others.clone().any(|other| other.2 != *experiment);
        let elsewhere = others.any(|other| other.3 != *class);
        let experiment = Some(experiment.short.as_str()).filter(|_| differs);
        let class = class.filter(|_| elsewhere);
        let words = [Some(*stream), experiment, class].into_iter().flatten();
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let plain = |c: char| {
            if c.is_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        words.join("-").chars().map(plain).collect::<String>()
    });
    let names: Vec<String> = names.collect();
    let numbered = names.iter().enumerate().map(|(place, name)| {
        let same = names[..place].iter().filter(|other| *other == name);
        match same.count() {
            0 => name.clone(),
            more => format!("{name}-{}", more + 1),
        }
    });
    numbered.collect()
}

/// One stream from its results, the oldest first.
fn stream(sheets: &[&Sheet], rules: &gate::Report) -> Option<Stream> {
    let newest = sheets.last()?;
    let before = sheets.len().checked_sub(2).map(|index| sheets[index]);
    let mut rows: Vec<PageRow> = newest
        .rows
        .iter()
        .map(|row| {
            let kept: Vec<f64> = sheets
                .iter()
                .filter_map(|sheet| sheet.row(&row.name, &row.measure)?.value)
                .map(|value| value.est)
                .collect();
            let status = status::of(row, &kept, rules);
            let last = before.and_then(|sheet| sheet.row(&row.name, &row.measure)?.value);
            PageRow {
                name: row.name.clone(),
                measure: row.measure.clone(),
                value: row.value.map(|value| digits(value.est)),
                interval: row.value.and_then(interval),
                limit: row
                    .limit
                    .map(|limit| format!("{} {}", side(row), digits(limit))),
                change: row
                    .value
                    .zip(last)
                    .and_then(|(now, then)| change(now, then.est)),
                verdict: row.verdict,
                status,
                reason: row.reason.clone(),
                chart: chart::row(row, &kept),
            }
        })
        .collect();
    rows.sort_by_key(|row| row.status);
    Some(Stream {
        name: newest.stream.clone(),
        question: QUESTIONS
            .iter()
            .find(|(name, _)| *name == newest.stream)
            .map_or_else(String::new, |(_, question)| (*question).to_owned()),
        status: status::worst(rows.iter().map(|row| row.status)),
        date: newest.date.clone(),
        commit: newest.commit.clone(),
        machine: newest.machine.clone(),
        file: newest.file.clone(),
        results: sheets.len(),
        rows,
        pictures: chart::pictures(newest),
    })
}

fn interval(value: Interval) -> Option<String> {
    (value.lo < value.hi).then(|| format!("{} – {}", digits(value.lo), digits(value.hi)))
}

fn side(row: &row::Row) -> &'static str {
    if row.at_least { "≥" } else { "≤" }
}

/// By how much a value changed, in percent of what it was; none where it may be nothing at
/// all, of which percents say nothing.
fn change(now: Interval, then: f64) -> Option<String> {
    let may_be_nothing = now.lo <= 0.0 && now.hi >= 0.0;
    let percent = (now.est / then - 1.0) * 100.0;
    (!may_be_nothing && percent.is_finite()).then(|| format!("{percent:+.1} %"))
}

#[derive(Template)]
#[template(path = "page.html")]
struct Html<'a> {
    page: &'a Page,
    css: &'static str,
}

#[derive(Template)]
#[template(path = "page.md", escape = "none")]
struct Markdown<'a> {
    page: &'a Page,
}

/// The page for a browser: one file, no scripts, nothing from elsewhere.
pub fn html(page: &Page) -> String {
    let css = include_str!("page.css");
    Html { page, css }
        .render()
        .expect("a string takes any text")
}

/// The page as Markdown.
pub fn markdown(page: &Page) -> String {
    Markdown { page }.render().expect("a string takes any text")
}

/// Text that stays in its cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests;
