//! What the table and the page say in the same words.

use jiff::Timestamp;
use probecost::stats::median;

use super::series::short;
use super::timeline::{BenchmarkCourse, Level, Place, Timeline};
use crate::report::{percent, quantity};

/// The columns of the overview.
pub const HEAD: [&str; 8] = [
    "benchmark",
    "course",
    "refreshes",
    "first level",
    "level",
    "change",
    "last refresh",
    "newest change point",
];

/// A sparkline spans this share of its middle at least, lest noise look like a change.
const SPAN: f64 = 0.25;

/// `200 refreshes from 2026-01-01 to 2026-11-20, 18 benchmarks, 3 change points`.
pub fn summary(timeline: &Timeline) -> String {
    let count = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    };
    let days: Vec<String> = [timeline.refreshes.first(), timeline.refreshes.last()]
        .into_iter()
        .flatten()
        .map(|refresh| day(refresh.date))
        .collect();
    let days = match &days[..] {
        [first, last] if first != last => format!("from {first} to {last}"),
        days => format!("on {}", days.first().map_or("", String::as_str)),
    };
    let changes = timeline.benchmarks.iter().map(|b| b.change_points.len());
    format!(
        "{} {days}, {}, {}",
        count(timeline.refreshes.len(), "refresh", "refreshes"),
        count(timeline.benchmarks.len(), "benchmark", "benchmarks"),
        count(changes.sum(), "change point", "change points"),
    )
}

/// The day of a time, in UTC.
pub fn day(time: Timestamp) -> String {
    time.strftime("%F").to_string()
}

/// A change in percent with its sign, or in words where there is no percentage. Counts change
/// by very little.
pub fn change(percentage: Option<f64>) -> String {
    match percentage {
        None => "from none".to_owned(),
        Some(small) if small.abs() < 0.1 => format!("{small:+.3} %"),
        Some(percentage) => percent(percentage),
    }
}

/// A text on one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `2026-05-03 abc1234`.
pub fn stamp(place: &Place) -> String {
    format!("{} {}", day(place.date), short(&place.commit))
}

/// The figures of a benchmark: how many refreshes measured it, its first level and the present
/// one, the change between them, and how far from the present one the last refresh lies.
pub fn figures(benchmark: &BenchmarkCourse) -> [String; 5] {
    let level =
        |level: Option<&Level>| level.map_or(String::new(), |l| quantity(l.value, benchmark.unit));
    let (first, change) = match &benchmark.levels[..] {
        [first, _, ..] => (Some(first), change(benchmark.change_pct())),
        _ => (None, String::new()),
    };
    [
        benchmark.points.len().to_string(),
        level(first),
        level(benchmark.levels.last()),
        change,
        benchmark.last_pct().map_or(String::new(), percent),
    ]
}

/// The newest change point, or that the benchmark is no more.
pub fn newest(benchmark: &BenchmarkCourse) -> String {
    match (&benchmark.ended, benchmark.newest_change()) {
        (Some(ended), _) => format!("ended {}", stamp(ended)),
        (None, Some(at)) => format!("{} {}", change(at.change_pct), stamp(&at.at)),
        (None, None) => String::new(),
    }
}

/// The points as a line of blocks, each the median of the refreshes that it stands for, a dot
/// where those have none. All series of a file share the same axis.
pub fn sparkline(benchmark: &BenchmarkCourse, refreshes: usize, width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let width = width.min(refreshes);
    let mut columns = vec![Vec::new(); width];
    for point in &benchmark.points {
        columns[point.refresh * width / refreshes].push(point.value);
    }
    let medians: Vec<Option<f64>> = columns.iter().map(|c| median(c)).collect();
    let known = || medians.iter().flatten().copied();
    let (low, high) = (
        known().fold(f64::INFINITY, f64::min),
        known().fold(f64::NEG_INFINITY, f64::max),
    );
    let middle = f64::midpoint(low, high);
    let span = (high - low).max(benchmark.noise(SPAN) * middle);
    let floor = middle - span / 2.0;
    let block = |value: f64| {
        // Of counts that never change, the lowest: a cast of what is no number gives 0.
        let height = ((value - floor) / span * 7.0).round();
        BLOCKS[(height as usize).min(7)]
    };
    medians.iter().map(|m| m.map_or('·', block)).collect()
}
