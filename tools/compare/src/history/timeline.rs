//! What a history says: refreshes, and of each benchmark its levels and their changes.

use jiff::Timestamp;
use probecost::schema::Unit;
use serde::Serialize;

use super::series::{Point, Refresh};
use crate::verdict::thousandths;

/// All refreshes of a baseline, and what they say of each benchmark.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// The format of this object.
    pub schema: u32,
    /// The baseline.
    pub file: String,
    /// Its refreshes, oldest first; never empty.
    pub refreshes: Vec<Refresh>,
    /// What was measured: the newest change first, those without one by how far off their
    /// last refresh is, and what has ended last; never empty.
    pub benchmarks: Vec<BenchmarkCourse>,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// A benchmark over time.
#[derive(Debug, Serialize)]
pub struct BenchmarkCourse {
    /// Its name.
    pub id: String,
    /// What its values count.
    pub unit: Unit,
    /// What was measured, oldest first; never empty.
    pub points: Vec<Point>,
    /// The levels that they lie on, oldest first: one more than there are change points.
    pub levels: Vec<Level>,
    /// Where the level changed, oldest first.
    pub change_points: Vec<ChangePoint>,
    /// The refresh whose baseline has it no longer.
    pub ended: Option<Place>,
}

/// What a benchmark took over some refreshes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Level {
    /// The first refresh on it.
    pub from: usize,
    /// The last one.
    pub to: usize,
    /// The median of the points, in the benchmark's unit.
    pub value: f64,
}

/// A change of level.
#[derive(Debug, Serialize)]
pub struct ChangePoint {
    /// The first refresh on the new level.
    #[serde(flatten)]
    pub at: Place,
    /// The change in percent; none from a level of zero.
    pub change_pct: Option<f64>,
    /// The level before, in the benchmark's unit.
    pub before: f64,
    /// The new one.
    pub after: f64,
}

/// A refresh, in words.
#[derive(Debug, Serialize)]
pub struct Place {
    /// Which refresh it is.
    pub refresh: usize,
    /// The commit that brought it.
    pub commit: String,
    /// When the baseline took it in.
    pub date: Timestamp,
    /// The reason given.
    pub why: String,
}

/// From one level to another in percent; none from zero.
pub fn change_pct(before: f64, after: f64) -> Option<f64> {
    (before > 0.0).then(|| thousandths(100.0 * (after / before - 1.0)))
}

impl ChangePoint {
    /// How large it is either way, in percent.
    pub fn size(&self) -> f64 {
        self.change_pct.map_or(f64::INFINITY, f64::abs)
    }
}

impl BenchmarkCourse {
    /// This share, where it may be noise: counts have none.
    pub fn noise(&self, share: f64) -> f64 {
        match self.unit {
            Unit::Ns | Unit::Ratio | Unit::Other => share,
            Unit::Instructions | Unit::Bytes | Unit::Allocations => 0.0,
        }
    }

    pub fn newest_change(&self) -> Option<&ChangePoint> {
        self.change_points.last()
    }

    /// From the first level to the last, in percent; none where there is only one, or from
    /// zero.
    pub fn change_pct(&self) -> Option<f64> {
        match &self.levels[..] {
            [first, .., last] => change_pct(first.value, last.value),
            _ => None,
        }
    }

    /// How large the newest change is or, without one, how far off the last point is, which may
    /// become one, in percent.
    pub fn size(&self) -> f64 {
        match self.newest_change() {
            Some(change) => change.size(),
            None => self.last_pct().map_or(0.0, f64::abs),
        }
    }

    /// How far the last point lies from the last level, in percent; none from zero.
    pub fn last_pct(&self) -> Option<f64> {
        change_pct(self.levels.last()?.value, self.points.last()?.value)
    }
}
