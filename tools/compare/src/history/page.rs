//! One page with a chart for each benchmark, which needs nothing beside itself.

use askama::Template;

use super::chart::{Chart, direction};
use super::series::{Refresh, short};
use super::timeline::{BenchmarkCourse, ChangePoint, Timeline};
use super::words::{HEAD, change, day, figures, newest, one_line, sparkline, stamp, summary};
use crate::report::quantity;

/// How many columns the sparklines of the overview have.
const SPARKLINE: usize = 24;

const STYLE: &str = include_str!("page.css");

const HOW_TO_READ: &str = "\
A point is the median over the runs of a refresh, its bar the middle half of them. A line is a \
level; a change point is where it becomes another one, for three refreshes at least (Fearnhead \
and Rigaill 2019, biweight loss). The last refresh is given as its distance from the present \
level. A triangle below the axis is another toolchain or machine. Hold the pointer over any of \
them for the reason.";

/// The page of a file's history.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    timeline: &'a Timeline,
}

/// The page.
pub fn render(timeline: &Timeline) -> String {
    let page = Page { timeline };
    page.render().expect("a string takes any text")
}

impl Page<'_> {
    fn course(&self, benchmark: &BenchmarkCourse) -> String {
        sparkline(benchmark, self.timeline.refreshes.len(), SPARKLINE)
    }

    /// The direction of the newest change point of a benchmark that is still measured.
    fn newest_direction(&self, benchmark: &BenchmarkCourse) -> &'static str {
        let change = benchmark.newest_change();
        let change = change.filter(|_| benchmark.ended.is_none());
        change.map_or("", direction)
    }

    fn newest_reason(&self, benchmark: &BenchmarkCourse) -> String {
        let change = benchmark.newest_change();
        change.map_or_else(String::new, |change| one_line(&change.at.why))
    }

    fn chart<'a>(&'a self, benchmark: &'a BenchmarkCourse) -> Chart<'a> {
        Chart::new(benchmark, &self.timeline.refreshes)
    }

    /// Why it changed, and what else had.
    fn reasons(&self, at: &ChangePoint) -> String {
        let mut reasons = vec![at.at.why.as_str()];
        let changed = &self.timeline.refreshes[at.at.refresh].changed;
        reasons.extend(changed.iter().map(String::as_str));
        reasons.join("; ")
    }

    /// The commit that was measured.
    fn measured(&self, refresh: &Refresh) -> String {
        let measured = refresh.measured.as_deref().map_or("", short);
        let dirty = if refresh.dirty { ", dirty" } else { "" };
        format!("{measured}{dirty}")
    }
}
