//! A chart of one benchmark: SVG for the inside of a page, which gives it its colours.

use std::fmt::{self, Write};

use super::markup::Text;
use super::series::{Point, Refresh, short};
use super::words::{change, day, one_line, stamp};
use super::{BenchmarkCourse, ChangePoint, Level};
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

/// The chart of a benchmark whose file has these refreshes.
pub fn draw(benchmark: &BenchmarkCourse, refreshes: &[Refresh]) -> String {
    let mut svg = String::new();
    let chart = Chart::new(benchmark, refreshes);
    chart.draw(&mut svg).expect("a string takes any text");
    svg
}

struct Chart<'a> {
    benchmark: &'a BenchmarkCourse,
    refreshes: &'a [Refresh],
    /// The value at the bottom of the plot, and the one at its top.
    range: (f64, f64),
    /// For each change point.
    labels: Vec<Option<Label>>,
}

/// Where the label of a change point stands.
#[derive(Clone, Copy)]
struct Label {
    /// On which line, from below.
    line: usize,
    /// Whether it is left of its change point, for want of room.
    left: bool,
}

impl<'a> Chart<'a> {
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
        let mut chart = Self {
            benchmark,
            refreshes,
            range: (middle - half, middle + half),
            labels: Vec::new(),
        };
        chart.labels = chart.place_labels();
        chart
    }

    /// Each label on the lowest line that is free there.
    fn place_labels(&self) -> Vec<Option<Label>> {
        let mut taken = [f64::NEG_INFINITY; LINES];
        let changes = self.benchmark.change_points.iter();
        let places = changes.map(|change| {
            let cut = self.cut(change);
            let left = cut + LABEL > WIDTH;
            let start = if left { cut - LABEL } else { cut };
            let line = taken.iter().position(|end| *end <= start)?;
            taken[line] = start + LABEL;
            Some(Label { line, left })
        });
        places.collect()
    }

    fn draw(&self, svg: &mut String) -> fmt::Result {
        let lines = self.labels.iter().flatten().map(|label| label.line + 1);
        let above = LINE * lines.max().unwrap_or(0) as f64 + 4.0;
        writeln!(
            svg,
            r#"<svg viewBox="0 {:.0} {WIDTH} {:.0}" role="img" aria-label="{}">"#,
            -above,
            above + HEIGHT + BELOW,
            Text(&self.benchmark.id),
        )?;
        self.values(svg)?;
        self.dates(svg)?;
        self.surroundings(svg)?;
        self.levels(svg)?;
        self.changes(svg)?;
        self.points(svg)?;
        writeln!(svg, "</svg>")
    }

    /// Lines at round values, each with its label.
    fn values(&self, svg: &mut String) -> fmt::Result {
        // Counts are whole.
        let least = 1.0 - self.benchmark.noise(1.0);
        for value in ticks(self.range, least) {
            let (y, label) = (self.y(value), quantity(value, self.benchmark.unit));
            writeln!(
                svg,
                r#"<path class="grid" d="M{LEFT},{y:.1}H{WIDTH}"/><text class="value" x="{:.0}" y="{:.1}">{}</text>"#,
                LEFT - 8.0,
                y + 4.0,
                Text(label),
            )?;
        }
        Ok(())
    }

    fn dates(&self, svg: &mut String) -> fmt::Result {
        let last = self.refreshes.len() - 1;
        let labels = DATES.min(self.refreshes.len());
        for k in 0..labels {
            let refresh = if labels == 1 {
                0
            } else {
                k * last / (labels - 1)
            };
            let anchor = match k {
                _ if labels == 1 => "middle",
                0 => "start",
                _ if k == labels - 1 => "end",
                _ => "middle",
            };
            writeln!(
                svg,
                r#"<text class="date" x="{:.1}" y="{:.0}" text-anchor="{anchor}">{}</text>"#,
                self.x(refresh),
                HEIGHT + 18.0,
                day(self.refreshes[refresh].date),
            )?;
        }
        Ok(())
    }

    /// A mark on the axis where the toolchain or the machine became another.
    fn surroundings(&self, svg: &mut String) -> fmt::Result {
        for (k, refresh) in self.refreshes.iter().enumerate() {
            if !refresh.changed.is_empty() {
                writeln!(
                    svg,
                    r#"<path class="changed" d="M{:.1},{HEIGHT}l-4,7h8z"><title>{}</title></path>"#,
                    self.x(k),
                    Text(refresh.changed.join("\n")),
                )?;
            }
        }
        Ok(())
    }

    /// The level of each stretch between two change points.
    fn levels(&self, svg: &mut String) -> fmt::Result {
        for Level { from, to, value } in &self.benchmark.levels {
            writeln!(
                svg,
                r#"<path class="level" d="M{:.1},{:.1}H{:.1}"/>"#,
                self.x(*from),
                self.y(*value),
                self.x(*to),
            )?;
        }
        Ok(())
    }

    fn changes(&self, svg: &mut String) -> fmt::Result {
        for (at, label) in self.benchmark.change_points.iter().zip(&self.labels) {
            let x = self.cut(at);
            let top = -LINE * label.map_or(0, |label| label.line + 1) as f64;
            let size = change(at.change_pct);
            writeln!(
                svg,
                r#"<g class="{}"><title>{}</title><path d="M{x:.1},{top:.0}V{HEIGHT}"/>"#,
                direction(at),
                Text(format_args!("{size} {}\n{}", stamp(&at.at), at.at.why)),
            )?;
            if let Some(Label { left, .. }) = label {
                let (x, anchor) = if *left {
                    (x - 4.0, "end")
                } else {
                    (x + 4.0, "start")
                };
                writeln!(
                    svg,
                    r#"<text x="{x:.1}" y="{:.0}" text-anchor="{anchor}">{size} {}</text>"#,
                    top + LINE - 4.0,
                    short(&at.at.commit),
                )?;
            }
            writeln!(svg, "</g>")?;
        }
        Ok(())
    }

    fn points(&self, svg: &mut String) -> fmt::Result {
        svg.push_str(r#"<path class="bars" d=""#);
        for Point {
            refresh, lo, hi, ..
        } in &self.benchmark.points
        {
            write!(
                svg,
                "M{:.1},{:.1}V{:.1}",
                self.x(*refresh),
                self.y(*lo),
                self.y(*hi)
            )?;
        }
        svg.push_str("\"/>\n");
        let unit = self.benchmark.unit;
        for Point {
            refresh,
            value,
            lo,
            hi,
        } in &self.benchmark.points
        {
            let at = &self.refreshes[*refresh];
            writeln!(
                svg,
                r#"<circle cx="{:.1}" cy="{:.1}" r="2.5"><title>{}</title></circle>"#,
                self.x(*refresh),
                self.y(*value),
                Text(format_args!(
                    "{} ({} … {}), {} runs\n{} {}\n{}",
                    quantity(*value, unit),
                    quantity(*lo, unit),
                    quantity(*hi, unit),
                    at.runs,
                    day(at.date),
                    short(&at.commit),
                    one_line(&at.why),
                )),
            )?;
        }
        Ok(())
    }

    /// The middle of the column of a refresh.
    fn x(&self, refresh: usize) -> f64 {
        LEFT + (refresh as f64 + 0.5) * self.column()
    }

    /// Between the new level and the refresh before it.
    fn cut(&self, change: &ChangePoint) -> f64 {
        LEFT + change.at.refresh as f64 * self.column()
    }

    fn column(&self) -> f64 {
        (WIDTH - LEFT) / self.refreshes.len() as f64
    }

    /// The height of a value; what lies beyond the plot, at its edge.
    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        HEIGHT * (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0))
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
