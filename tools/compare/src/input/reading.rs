//! What one process left behind, as it was read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use probecost::schema::{FigureRow, RunRecord, Unit};
use probecost::stats::Interval;

/// A time per operation above which something is wrong, in nanoseconds: eleven days.
pub const LONGEST_NS: f64 = 1e15;

/// One process that ran the benchmarks once.
#[derive(Debug, Default)]
pub struct Run {
    /// Where it was read from.
    pub place: PathBuf,
    /// What `compare run` noted down, where it made the run.
    pub record: Option<RunRecord>,
    /// What was read, by benchmark.
    pub readings: BTreeMap<String, Reading>,
    /// When each result of Criterion was written, by id.
    pub written: BTreeMap<String, SystemTime>,
    /// Figures that the benches wrote beside and that are no counts, by id: for budgets alone.
    pub figures: BTreeMap<String, FigureRow>,
}

/// What one run says of one benchmark.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// A time.
    Time(Time),
    /// A count that is the same whenever the same program runs.
    Count(f64, Unit),
    /// A result that an earlier run left behind, and how that is known.
    Stale(String),
    /// A result that cannot be used: the file and the cause.
    Broken(String),
}

/// What one run's samples say, in nanoseconds for one operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Time {
    /// The median of the samples.
    pub median: f64,
    /// Their 10 % quantile: what the operation takes when it is left alone.
    pub p10: f64,
    /// Their mean.
    pub mean: f64,
    /// The standard error of the mean, as if samples were independent of each other.
    pub mean_error: f64,
    /// The interval of the median over the samples, where they are enough for one.
    pub interval: Option<Interval>,
}

impl Run {
    /// The time that it measured of a benchmark, where it did.
    pub fn time(&self, id: &str) -> Option<Time> {
        match self.readings.get(id) {
            Some(Reading::Time(time)) => Some(*time),
            _ => None,
        }
    }

    /// What a frozen probe took around it, in nanoseconds, where it was taken: the quicker
    /// of both times, when other programs left it alone for longer.
    pub fn probe(&self, name: &str) -> Option<f64> {
        let times = self.record.as_ref()?.probes.get(name)?;
        Some(times.before_ns.min(times.after_ns)).filter(|ns| *ns > 0.0)
    }
}
