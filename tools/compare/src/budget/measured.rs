//! What the runs say of whatever has a budget: times, counts, and figures of benches.

use std::collections::BTreeMap;

use probecost::schema::{FigureRow, Measure};
use probecost::stats::{CONFIDENCE, Interval, median, median_interval};

use crate::input::{Reading, Run};

/// What one run says of one id.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredValue {
    /// What it is.
    pub measure: Measure,
    /// In which unit.
    pub unit: String,
    /// Its middle.
    pub est: f64,
    /// `None` where the run's samples are too few for one.
    pub interval: Option<Interval>,
}

/// What all runs say, by id: a value or why there is none.
pub type MeasuredById<'a> = BTreeMap<&'a str, Vec<Result<MeasuredValue, &'a str>>>;

/// Every time, count and figure of the runs.
pub fn by_id(runs: &[Run]) -> MeasuredById<'_> {
    let mut measured = MeasuredById::new();
    for run in runs {
        for (id, reading) in &run.readings {
            if let Some(value) = of_reading(reading) {
                measured.entry(id).or_default().push(value);
            }
        }
        for (id, figure) in &run.figures {
            measured.entry(id).or_default().push(Ok(of_figure(figure)));
        }
    }
    measured
}

/// What an earlier run left behind says nothing.
fn of_reading(reading: &Reading) -> Option<Result<MeasuredValue, &str>> {
    match reading {
        Reading::Time(time) => Some(Ok(MeasuredValue {
            measure: Measure::Time,
            unit: "ns".into(),
            est: time.median,
            interval: time.interval,
        })),
        Reading::Count(count, unit) => Some(Ok(MeasuredValue {
            measure: Measure::Count,
            unit: unit.name().into(),
            est: *count,
            interval: Some(Interval::exact(*count)),
        })),
        Reading::Broken(cause) => Some(Err(cause)),
        Reading::Stale(_) => None,
    }
}

fn of_figure(figure: &FigureRow) -> MeasuredValue {
    let (measure, unit, factor) = match figure.unit.as_str() {
        "ns" => (Measure::Time, "ns", 1.0),
        "us" => (Measure::Time, "ns", 1e3),
        "percent" => (Measure::Share, "percent", 1.0),
        unit if unit.ends_with("/s") => (Measure::Rate, unit, 1.0),
        unit => (Measure::Count, unit, 1.0),
    };
    let value = figure.value.map(|v| v * factor);
    MeasuredValue {
        measure,
        unit: unit.to_owned(),
        est: value.est,
        interval: Some(value),
    }
}

/// The interval of the median over the runs. Where they are too few for one, and of
/// counts, which must keep to the limit in every run: all that the runs' own intervals
/// cover.
pub fn estimate(measure: Measure, values: &[&MeasuredValue]) -> Option<Interval> {
    let points: Vec<f64> = values.iter().map(|v| v.est).collect();
    let over_runs = match measure {
        Measure::Count => None,
        _ => median_interval(&points, CONFIDENCE),
    };
    over_runs.or_else(|| {
        let own: Vec<Interval> = values.iter().map(|v| v.interval).collect::<Option<_>>()?;
        Some(Interval {
            est: median(&points)?,
            lo: own.iter().map(|i| i.lo).fold(f64::INFINITY, f64::min),
            hi: own.iter().map(|i| i.hi).fold(f64::NEG_INFINITY, f64::max),
        })
    })
}
