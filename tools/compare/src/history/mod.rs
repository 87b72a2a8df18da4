//! `compare history`: the baselines in git as a series for each benchmark.
//!
//! versions of the file → series → change points → table, JSON or page.

mod change_point;
mod chart;
mod machine;
mod page;
mod series;
mod table;
mod timeline;
mod words;

use std::cmp::Reverse;
use std::path::PathBuf;

use clap::Args;
use probecost::schema::{Host, Unit};
use probecost::stats::median;
use regex::Regex;

use crate::baselines;
use crate::failure::Failure;
use crate::report::json;
use crate::repository;

use change_point::{FEWEST, change_points};
use series::{BenchmarkSeries, Point, Refresh};
use timeline::{BenchmarkCourse, ChangePoint, Level, Place, Timeline, change_pct};

/// `cargo compare history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The baseline [default: baselines/<host class>.json]
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Only benchmarks that match
    #[arg(long, value_name = "REGEX")]
    pub only: Option<Regex>,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    pub format: HistoryFormat,
    /// Write to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HistoryFormat {
    /// A table for a terminal.
    Text,
    /// All of it.
    Json,
    /// One page with a chart for each benchmark.
    Html,
}

/// The history of a baseline, in the format that is asked for.
///
/// # Errors
/// No baseline, no repository around it, no version in it that can be read, or nothing that
/// matches.
pub fn history(args: &HistoryArgs) -> Result<String, Failure> {
    render(&timeline(args)?, args.format)
}

/// versions → series → change points.
///
/// # Errors
/// No baseline, no repository around it, no version in it that can be read, or nothing that
/// matches.
fn timeline(args: &HistoryArgs) -> Result<Timeline, Failure> {
    let path = match &args.baseline {
        Some(path) => path.clone(),
        None => {
            let host = Host::read().map_err(|e| Failure::new(e.to_string()))?;
            baselines::nearest(&host)?
        }
    };
    let versions = repository::versions(&path)?;
    let (refreshes, series, mut remarks) = series::gather(&versions.all);
    if refreshes.is_empty() {
        let cause = match remarks.first() {
            Some(remark) => format!("none of its versions can be read: {remark}"),
            None => "no commit up to HEAD has it".to_owned(),
        };
        return Err(Failure::at(&path, cause).remedy(format!(
            "git log --oneline -- {0}; cargo compare refresh --run DIR --out {0} && git commit {0}",
            path.display()
        )));
    }
    let wanted = |s: &BenchmarkSeries| args.only.as_ref().is_none_or(|only| only.is_match(&s.id));
    let series = series.into_iter().filter(wanted);
    let mut benchmarks: Vec<BenchmarkCourse> = series.map(|s| benchmark(s, &refreshes)).collect();
    if benchmarks.is_empty() {
        return Err(
            Failure::at(&path, "no benchmark in its history matches").remedy("leave out --only")
        );
    }
    benchmarks.sort_by(|a, b| {
        let newest = |b: &BenchmarkCourse| b.newest_change().map(|change| change.at.refresh);
        let order = |b: &BenchmarkCourse| (b.ended.is_some(), Reverse(newest(b)));
        order(a).cmp(&order(b)).then(b.size().total_cmp(&a.size()))
    });
    if versions.shallow {
        remarks.push(
            "This clone is shallow, older refreshes may be missing: git fetch --unshallow.".into(),
        );
    }
    if refreshes.len() < FEWEST {
        remarks.push(format!(
            "A change point takes three refreshes on either side: fewer than {FEWEST} show none."
        ));
    }
    Ok(Timeline {
        schema: 1,
        file: path.display().to_string(),
        refreshes,
        benchmarks,
        remarks,
    })
}

/// The timeline in this format.
///
/// # Errors
/// It cannot be written as JSON.
fn render(timeline: &Timeline, format: HistoryFormat) -> Result<String, Failure> {
    match format {
        HistoryFormat::Text => Ok(table::render(timeline)),
        HistoryFormat::Json => json(timeline),
        HistoryFormat::Html => Ok(page::render(timeline)),
    }
}

fn benchmark(series: BenchmarkSeries, refreshes: &[Refresh]) -> BenchmarkCourse {
    // Noise grows with what is measured, so its logarithm has the same noise everywhere.
    let scale = match series.unit {
        Unit::Ns | Unit::Ratio | Unit::Other => f64::ln,
        // Of which there may be none.
        Unit::Instructions | Unit::Bytes | Unit::Allocations => f64::ln_1p,
    };
    let values: Vec<f64> = series.points.iter().map(|p| scale(p.value)).collect();
    let cuts = change_points(&values);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([values.len()]);
    let levels: Vec<Level> = starts
        .zip(ends)
        .filter_map(|(start, end)| level(&series.points[start..end]))
        .collect();
    let change_points = levels.windows(2).map(|sides| {
        let (before, after) = (sides[0].value, sides[1].value);
        ChangePoint {
            at: place(sides[1].from, refreshes),
            change_pct: change_pct(before, after),
            before,
            after,
        }
    });
    BenchmarkCourse {
        change_points: change_points.collect(),
        levels,
        ended: series.ended.map(|refresh| place(refresh, refreshes)),
        id: series.id,
        unit: series.unit,
        points: series.points,
    }
}

/// The level that these points lie on.
fn level(points: &[Point]) -> Option<Level> {
    let values: Vec<f64> = points.iter().map(|p| p.value).collect();
    Some(Level {
        from: points.first()?.refresh,
        to: points.last()?.refresh,
        value: median(&values)?,
    })
}

fn place(refresh: usize, refreshes: &[Refresh]) -> Place {
    let Refresh {
        commit, date, why, ..
    } = &refreshes[refresh];
    Place {
        refresh,
        commit: commit.clone(),
        date: *date,
        why: why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use askama::Template;
    use jiff::Timestamp;
    use words::sparkline;

    fn drawn(benchmark: &BenchmarkCourse, refreshes: &[Refresh]) -> String {
        chart::Chart::new(benchmark, refreshes).render().unwrap()
    }

    /// A benchmark of which each refresh saw one value, or none.
    fn seen(unit: Unit, values: &[Option<f64>]) -> (BenchmarkCourse, Vec<Refresh>) {
        let refresh = |k: usize| Refresh {
            commit: format!("{k:040}"),
            date: Timestamp::UNIX_EPOCH,
            why: "x".into(),
            runs: 5,
            measured: None,
            dirty: false,
            toolchain: None,
            changed: Vec::new(),
        };
        let refreshes: Vec<Refresh> = (0..values.len()).map(refresh).collect();
        let point = |(refresh, value): (usize, &Option<f64>)| {
            value.map(|value| Point {
                refresh,
                value,
                lo: 0.9 * value,
                hi: 1.1 * value,
            })
        };
        let series = BenchmarkSeries {
            id: "a".into(),
            unit,
            points: values.iter().enumerate().filter_map(point).collect(),
            ended: None,
        };
        (benchmark(series, &refreshes), refreshes)
    }

    #[test]
    fn a_sparkline_shows_steps_and_not_noise() {
        let line = |values: &[Option<f64>], width| {
            sparkline(&seen(Unit::Ns, values).0, values.len(), width)
        };
        let calm = [100.0, 101.0, 99.0, 100.0].map(Some);
        assert_eq!(line(&calm, 10), "▅▅▄▅");
        let step = [100.0, 101.0, 149.0, 150.0].map(Some);
        assert_eq!(line(&step, 10), "▁▁██");
        assert_eq!(line(&step, 2), "▁█");
        assert_eq!(line(&[None, Some(1.0), None, Some(2.0)], 10), "·▁·█");
        let counts = seen(Unit::Instructions, &[100.0, 100.0, 101.0].map(Some)).0;
        assert_eq!(sparkline(&counts, 3, 10), "▁▁█");
        assert_eq!(
            sparkline(&seen(Unit::Bytes, &[Some(0.0); 3]).0, 3, 10),
            "▁▁▁"
        );
    }

    #[test]
    fn nothing_becomes_something_without_a_percentage() {
        let counts = [0.0, 0.0, 0.0, 0.0, 7.0, 7.0, 7.0, 7.0].map(Some);
        let (benchmark, refreshes) = seen(Unit::Allocations, &counts);
        let [at] = &benchmark.change_points[..] else {
            panic!("{benchmark:?}");
        };
        assert_eq!((at.at.refresh, at.before, at.after), (4, 0.0, 7.0));
        assert_eq!(at.change_pct, None);
        assert!(drawn(&benchmark, &refreshes).contains("from none"));
    }

    #[test]
    fn every_chart_can_be_drawn() {
        let mut many = Vec::new();
        for level in 0..30 {
            many.extend([Some(100.0 * 1.5f64.powi(level)); 5]);
        }
        let series = [
            vec![Some(0.0)],
            vec![Some(0.0); 9],
            vec![Some(1e15)],
            vec![Some(1e-3), None, Some(1e15)],
            many,
        ];
        for values in series {
            let (benchmark, refreshes) = seen(Unit::Allocations, &values);
            let svg = drawn(&benchmark, &refreshes);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
