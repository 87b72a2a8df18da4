//! A chart of one benchmark: SVG for the inside of a page, which gives it its colours, with
//! words under the pointer. (A drawing library gives neither titles nor classes.)

use std::fmt::{self, Display, Formatter};

use askama::Template;

use super::series::{Refresh, short};
use super::timeline::{BenchmarkCourse, ChangePoint, Level};
use super::words::{change, day, one_line, stamp};
use crate::report::quantity;

/// The width of a chart, in units of its own.
const WIDTH: f64 = 760.0;

/// The height of the plot in it.
const HEIGHT: f64 = 150.0;

/// Room for the values' labels, left of the plot.
const LEFT: f64 = 76.0;

/// Room for the dates, below the plot.
const BELOW: f64 = 26.0;

/// The height of a line of labels, above the plot.
const LINE: f64 = 15.0;

/// The width of a change point's label.
const LABEL: f64 = 118.0;

/// The lines that labels may take: more change points than fit have none, and are listed.
const LINES: usize = 3;

/// A plot spans this share of its middle at least, lest noise look like a change.
const SPAN: f64 = 0.1;

/// Dates below the plot, at most.
const DATES: usize = 5;

/// A length in units of the chart.
struct Length(f64);

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.0)
    }
}

/// The chart of one benchmark, each part where it is drawn.
#[derive(Template)]
#[template(path = "chart.svg")]
pub struct Chart<'a> {
    id: &'a str,
    /// The upper edge: labels of change points stand above the plot.
    top: Length,
    height: Length,
    values: Vec<ValueLine>,
    dates: Vec<Date>,
    changed: Vec<OtherSetting>,
    levels: Vec<Plateau>,
    changes: Vec<Change>,
    points: Vec<Dot>,
}

/// A line at a round value.
struct ValueLine {
    y: Length,
    /// Where the foot of its words is.
    foot: Length,
    words: String,
}

/// A date below the plot.
struct Date {
    x: Length,
    /// Which of its ends stands there.
    anchor: &'static str,
    day: String,
}

/// A mark on the axis where the toolchain or the machine became another.
struct OtherSetting {
    x: Length,
    words: String,
}

/// The level of a stretch between two change points.
struct Plateau {
    from: Length,
    to: Length,
    y: Length,
}

/// A change point.
struct Change {
    direction: &'static str,
    x: Length,
    top: Length,
    title: String,
    label: Option<Label>,
}

/// What stands beside a change point.
struct Label {
    x: Length,
    foot: Length,
    /// `end` where it is left of its change point, for want of room.
    anchor: &'static str,
    words: String,
}

/// A refresh: its median, and the middle half of its runs.
struct Dot {
    x: Length,
    y: Length,
    lo: Length,
    hi: Length,
    title: String,
}

impl<'a> Chart<'a> {
    /// The chart of a benchmark whose file has these refreshes.
    pub fn new(benchmark: &'a BenchmarkCourse, refreshes: &'a [Refresh]) -> Self {
        let plot = Plot::new(benchmark, refreshes);
        let changes = plot.changes();
        let top = changes
            .iter()
            .map(|change| change.top.0)
            .fold(0.0, f64::min)
            - 4.0;
        Self {
            id: &benchmark.id,
            top: Length(top),
            height: Length(HEIGHT + BELOW - top),
            values: plot.values(),
            dates: plot.dates(),
            changed: plot.other_settings(),
            levels: plot.levels(),
            changes,
            points: plot.points(),
        }
    }
}

/// The scales of a chart.
struct Plot<'a> {
    benchmark: &'a BenchmarkCourse,
    refreshes: &'a [Refresh],
    /// The value at the bottom of the plot, and the one at its top.
    range: (f64, f64),
}

impl<'a> Plot<'a> {
    fn new(benchmark: &'a BenchmarkCourse, refreshes: &'a [Refresh]) -> Self {
        let values = || benchmark.points.iter().map(|p| p.value);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        let middle = f64::midpoint(low, high);
        let half = match (high - low).max(benchmark.noise(SPAN) * middle) {
            // Counts that never change.
            0.0 => middle.max(1.0),
            span => 0.55 * span,
        };
        Self {
            benchmark,
            refreshes,
            range: (middle - half, middle + half),
        }
    }

    fn values(&self) -> Vec<ValueLine> {
        // Counts are whole.
        let least = 1.0 - self.benchmark.noise(1.0);
        let ticks = ticks(self.range, least).into_iter();
        ticks
            .map(|value| ValueLine {
                y: self.y(value),
                foot: Length(self.y(value).0 + 4.0),
                words: quantity(value, self.benchmark.unit),
            })
            .collect()
    }

    fn dates(&self) -> Vec<Date> {
        let last = self.refreshes.len() - 1;
        let labels = DATES.min(self.refreshes.len());
        let date = |k| Date {
            x: self.x(k * last / (labels - 1).max(1)),
            anchor: match k {
                _ if labels == 1 => "middle",
                0 => "start",
                _ if k == labels - 1 => "end",
                _ => "middle",
            },
            day: day(self.refreshes[k * last / (labels - 1).max(1)].date),
        };
        (0..labels).map(date).collect()
    }

    fn other_settings(&self) -> Vec<OtherSetting> {
        let refreshes = self.refreshes.iter().enumerate();
        refreshes
            .filter(|(_, refresh)| !refresh.changed.is_empty())
            .map(|(k, refresh)| OtherSetting {
                x: self.x(k),
                words: refresh.changed.join("\n"),
            })
            .collect()
    }

    fn levels(&self) -> Vec<Plateau> {
        let levels = self.benchmark.levels.iter();
        levels
            .map(|Level { from, to, value }| Plateau {
                from: self.x(*from),
                to: self.x(*to),
                y: self.y(*value),
            })
            .collect()
    }

    /// Each label on the lowest line that is free there.
    fn changes(&self) -> Vec<Change> {
        let mut taken = [f64::NEG_INFINITY; LINES];
        let changes = self.benchmark.change_points.iter();
        changes
            .map(|at| {
                let x = LEFT + at.at.refresh as f64 * self.column();
                let size = change(at.change_pct);
                let left = x + LABEL > WIDTH;
                let start = if left { x - LABEL } else { x };
                let line = taken.iter().position(|end| *end <= start);
                if let Some(line) = line {
                    taken[line] = start + LABEL;
                }
                let top = -LINE * line.map_or(0, |line| line + 1) as f64;
                Change {
                    direction: direction(at),
                    x: Length(x),
                    top: Length(top),
                    title: format!("{size} {}\n{}", stamp(&at.at), at.at.why),
                    label: line.map(|_| Label {
                        x: Length(if left { x - 4.0 } else { x + 4.0 }),
                        foot: Length(top + LINE - 4.0),
                        anchor: if left { "end" } else { "start" },
                        words: format!("{size} {}", short(&at.at.commit)),
                    }),
                }
            })
            .collect()
    }

    fn points(&self) -> Vec<Dot> {
        let words = |value| quantity(value, self.benchmark.unit);
        let points = self.benchmark.points.iter();
        points
            .map(|point| {
                let at = &self.refreshes[point.refresh];
                Dot {
                    x: self.x(point.refresh),
                    y: self.y(point.value),
                    lo: self.y(point.lo),
                    hi: self.y(point.hi),
                    title: format!(
                        "{} ({} … {}), {} runs\n{} {}\n{}",
                        words(point.value),
                        words(point.lo),
                        words(point.hi),
                        at.runs,
                        day(at.date),
                        short(&at.commit),
                        one_line(&at.why),
                    ),
                }
            })
            .collect()
    }

    /// The middle of the column of a refresh.
    fn x(&self, refresh: usize) -> Length {
        Length(LEFT + (refresh as f64 + 0.5) * self.column())
    }

    fn column(&self) -> f64 {
        (WIDTH - LEFT) / self.refreshes.len() as f64
    }

    /// The height of a value; what lies beyond the plot, at its edge.
    fn y(&self, value: f64) -> Length {
        let (low, high) = self.range;
        Length(HEIGHT * (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0)))
    }
}

/// `slower` or `quicker`: of all that is measured, more is worse.
pub fn direction(change: &ChangePoint) -> &'static str {
    if change.after > change.before {
        "slower"
    } else {
        "quicker"
    }
}

/// A few round values within the range, `least` apart or more.
fn ticks((low, high): (f64, f64), least: f64) -> Vec<f64> {
    let apart = (high - low) / 4.0;
    let power = 10f64.powf(apart.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps.into_iter().find(|step| *step >= apart);
    let step = step.unwrap_or(10.0 * power).max(least);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|k| k as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks((97.0, 112.0), 0.0), [100.0, 105.0, 110.0]);
        assert_eq!(ticks((-1.0, 1.0), 0.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(ticks((6.9, 8.1), 1.0), [7.0, 8.0]);
    }

    proptest! {
        #[test]
        fn ticks_are_few_and_within(low in 0.0..1e15f64, share in 1e-3..2.0f64) {
            let high = low + (share * low).max(1e-3);
            let ticks = ticks((low, high), 0.0);
            prop_assert!((1..=6).contains(&ticks.len()), "{ticks:?}");
            let slack = 1e-9 * high;
            prop_assert!(ticks.iter().all(|t| low - slack <= *t && *t <= high + slack), "{ticks:?}");
        }
    }
}
