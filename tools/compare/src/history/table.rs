//! A table for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::{Cell, Table};

use super::timeline::{BenchmarkCourse, ChangePoint, Timeline};
use super::words::{HEAD, change, figures, newest, one_line, sparkline, stamp, summary};
use crate::report::{self, named};

/// Benchmarks of which nothing needs saying are listed up to this many.
const PLAIN_ROWS: usize = 40;

/// Refreshes with change points that are listed.
const CHANGES: usize = 10;

/// How wide a sparkline is where no terminal says how wide it may be.
const WIDTH: usize = 24;

/// How narrow and how wide a terminal can make it.
const WIDTHS: (usize, usize) = (8, 40);

/// The timeline as text: what changed last first.
pub fn render(timeline: &Timeline) -> String {
    let (ended, running): (Vec<&BenchmarkCourse>, Vec<&BenchmarkCourse>) =
        timeline.benchmarks.iter().partition(|b| b.ended.is_some());
    let (changed, plain): (Vec<&BenchmarkCourse>, Vec<&BenchmarkCourse>) = running
        .into_iter()
        .partition(|b| b.newest_change().is_some());
    let listed = &plain[..plain.len().min(PLAIN_ROWS)];
    let shown = [&changed, listed, &ended].concat();
    let refreshes = timeline.refreshes.len();
    let (summary, table) = (summary(timeline), fitting(&shown, refreshes));
    let mut text = format!("{}: {summary}\n\n{table}\n", timeline.file);
    // Writing to a String cannot fail.
    if plain.len() > PLAIN_ROWS {
        let more = plain.len() - PLAIN_ROWS;
        let _ = writeln!(
            text,
            "… and {more} more without a change point: --format json lists all"
        );
    }
    text += "\nlevel: the median of the refreshes since the newest change point; \
             last refresh: how far it lies from there\n";
    text += &changes(timeline);
    for remark in &timeline.remarks {
        let _ = writeln!(text, "\n{remark}");
    }
    text
}

/// The rows, with sparklines as wide as the terminal leaves room for.
fn fitting(shown: &[&BenchmarkCourse], refreshes: usize) -> String {
    let (least, most) = WIDTHS;
    let width = match Table::new().width() {
        None => WIDTH,
        Some(terminal) => {
            let narrow = rows(shown, refreshes, least);
            let taken = narrow.lines().map(|line| line.chars().count()).max();
            let room = usize::from(terminal).saturating_sub(taken.unwrap_or(0));
            (least + room).min(most)
        }
    };
    rows(shown, refreshes, width)
}

fn rows(shown: &[&BenchmarkCourse], refreshes: usize, width: usize) -> String {
    let body = shown.iter().map(|benchmark| {
        let mut cells = vec![
            Cell::new(&benchmark.id),
            Cell::new(sparkline(benchmark, refreshes, width)),
        ];
        cells.extend(figures(benchmark).map(Cell::new));
        cells.push(Cell::new(newest(benchmark)));
        cells
    });
    report::table(&HEAD, body, false)
}

/// The change points, refresh by refresh, newest first.
fn changes(timeline: &Timeline) -> String {
    let mut by_refresh: BTreeMap<usize, Vec<(&BenchmarkCourse, &ChangePoint)>> = BTreeMap::new();
    for benchmark in &timeline.benchmarks {
        for change in &benchmark.change_points {
            let changes = by_refresh.entry(change.at.refresh).or_default();
            changes.push((benchmark, change));
        }
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (refresh, changes) in by_refresh.iter_mut().rev().take(CHANGES) {
        changes.sort_by(|a, b| b.1.size().total_cmp(&a.1.size()));
        let at = &changes[0].1.at;
        let _ = writeln!(text, "\n{}: {}", stamp(at), one_line(&at.why));
        let words = changes
            .iter()
            .map(|(benchmark, at)| format!("{} {}", benchmark.id, change(at.change_pct)));
        let words: Vec<String> = words.collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _ = writeln!(text, "    {}", named(&words));
        for changed in &timeline.refreshes[*refresh].changed {
            let _ = writeln!(text, "    {changed}");
        }
    }
    if by_refresh.len() > CHANGES {
        let more = by_refresh.len() - CHANGES;
        let _ = writeln!(
            text,
            "\n… and {more} more refreshes with change points: --format json lists all"
        );
    }
    text
}
