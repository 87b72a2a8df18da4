//! What the self-test finds: the one object that both its formats are rendered from.

use probecost::schema::GatePolicy;
use probecost::stats::Interval;
use serde::Serialize;

use super::sides::SideRuns;

/// How often every rule errs.
#[derive(Debug, Serialize)]
pub struct StudyReport {
    /// The format of this object.
    pub schema: u32,
    /// Where the resampling started.
    pub seed: u64,
    /// The confidence of all intervals, 0..1.
    pub confidence: f64,
    /// The gate.toml that counted; null for the shipped one.
    pub gate: Option<String>,
    /// How strictly it was judged.
    pub policy: GatePolicy,
    /// A change beyond this is called, of a benchmark without a threshold of its own,
    /// in percent.
    pub threshold_pct: f64,
    /// Runs of the unchanged program.
    pub unchanged_runs: usize,
    /// Runs of a slower one.
    pub planted_runs: Vec<PlantedRuns>,
    /// Runs on either side of a suite.
    pub sides: SideRuns,
    /// Suites that were drawn.
    pub suites: usize,
    /// Suites whose runs follow each other in time.
    pub suites_in_order: usize,
    /// This gate, then its other_tools.
    pub rules: Vec<ByRule>,
    /// Suites without change in which this gate raised no alarm, but could not decide about
    /// some benchmark.
    pub undecided: Option<Interval>,
    /// This gate by benchmark, what costs most first.
    pub benchmarks: Vec<ByBench>,
    /// Benchmarks that raise no alarm whatever they take, or that not all runs measured.
    pub aside: Vec<Aside>,
    /// What would be without the benchmarks that cost most, where there are others.
    pub without: Option<Without>,
    /// This gate with other numbers of runs.
    pub by_sides: Vec<BySides>,
    /// Numbers of runs that the unchanged runs are too few for.
    pub too_few_runs_for: Vec<SideRuns>,
}

/// Runs with a planted slowdown.
#[derive(Debug, Serialize)]
pub struct PlantedRuns {
    /// Its size in percent.
    pub percent: f64,
    /// How many runs.
    pub runs: usize,
}

/// The rates of one rule. A rate is a share, 0..=1.
#[derive(Debug, Serialize)]
pub struct ByRule {
    /// Its name.
    pub name: &'static str,
    /// Suites in which it raised an alarm though nothing had changed.
    pub false_alarms: Option<Interval>,
    /// The same, where the runs follow each other in time.
    pub false_alarms_in_order: Option<Interval>,
    /// Slowed benchmarks that it found, by size.
    pub found: Vec<FoundRate>,
}

/// The rates of this gate for one benchmark.
#[derive(Debug, Serialize)]
pub struct ByBench {
    /// Its id.
    pub id: String,
    /// A change beyond this is called, in percent.
    pub threshold_pct: f64,
    /// Robust relative standard deviation of the unchanged runs, in percent.
    pub spread_pct: f64,
    /// Suites in which it raised an alarm though nothing had changed.
    pub false_alarms: Option<Interval>,
    /// Suites in which it was found when slowed, by size.
    pub found: Vec<FoundRate>,
}

/// How often a slowdown is found.
#[derive(Debug, Serialize)]
pub struct FoundRate {
    /// Its size in percent.
    pub percent: f64,
    /// Whether it was really made, and not multiplied into unchanged runs.
    pub planted: bool,
    /// The share that is found.
    pub rate: Option<Interval>,
}

/// A benchmark that has no part in the rates.
#[derive(Debug, Serialize)]
pub struct Aside {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// The suite with and without the benchmarks that cost most.
#[derive(Debug, Serialize)]
pub struct Without {
    /// Their ids.
    pub ids: Vec<String>,
    /// False alarms with them, and without.
    pub false_alarms: [Option<Interval>; 2],
    /// The size of the slowdown that was tried, in percent.
    pub percent: f64,
    /// How often it is found in the other benchmarks, judged with them and without.
    pub found_in_others: [Option<Interval>; 2],
}

/// This gate with so many runs on either side.
#[derive(Debug, Serialize)]
pub struct BySides {
    /// How many.
    pub sides: SideRuns,
    /// Suites that were drawn.
    pub suites: usize,
    /// Suites in which it raised an alarm though nothing had changed.
    pub false_alarms: Option<Interval>,
    /// Slowed benchmarks that it found, by size.
    pub found: Vec<FoundRate>,
}

impl ByBench {
    /// How often a multiplied slowdown of so many percent is found.
    pub fn found(&self, percent: f64) -> Option<Interval> {
        let multiplied = |f: &&FoundRate| f.percent == percent && !f.planted;
        self.found.iter().find(multiplied)?.rate
    }
}
