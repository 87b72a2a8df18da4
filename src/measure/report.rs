//! The result of an overhead measurement: the JSON that every table is rendered from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Block, Calibration, Footprint, KernelTime, Latencies, Latency, Measured, Pair};
use super::{Parts, Round, Versus, versus};
use crate::agent::{Agent, Counters, Hook};
use crate::gate::{self, Limit};
use crate::host::Obstacle;
use crate::schema::{Arm, Host, Outcome, SystemLoad};
use crate::stats::{Interval, median};
use crate::workload::{Calls, Name};

/// The version of this layout.
pub const SCHEMA: u32 = 2;

/// The file's name.
pub const FILE: &str = "overhead.json";

/// Where it lies unless told otherwise.
pub const DIRECTORY: &str = "target/overhead";

/// An overhead measurement (`overhead.json`). Times are in nanoseconds, and
/// intervals hold with 99 % confidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The machine.
    pub host: Host,
    /// How it was measured.
    pub settings: Settings,
    /// The agent, or why there was none.
    pub agent: AgentReport,
    /// One row for each workload and arm.
    pub rows: Vec<Row>,
    /// What shows that the rows can be believed.
    pub controls: Controls,
    /// What else went on meanwhile; none where the measurement was cut off.
    pub surroundings: Option<SystemLoad>,
    /// What a reader should know before believing a number.
    pub warnings: Vec<String>,
}

/// How it was measured; the same settings and seed give the same order of blocks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds for each workload.
    pub seconds: f64,
    /// The length of a block in milliseconds.
    pub block_ms: f64,
    /// The seed of the order of arms.
    pub seed: u64,
    /// The CPU of the workload.
    pub cpu: usize,
    /// The CPU of the agent's consumer.
    pub consumer_cpu: Option<usize>,
    /// The size of the ring in bytes.
    pub ring_bytes: u32,
    /// When the kernel wakes the consumer: `never`, `default` or a number of bytes.
    pub wakeup: String,
    /// The consumer's pause between two looks at the ring, in milliseconds.
    pub drain_ms: f64,
    /// Path rules in the policy that match nothing.
    pub rules: usize,
    /// The file of `open_close`.
    pub file: PathBuf,
    /// What one reading of the clock costs; it is taken off every time.
    pub clock_ns: Option<f64>,
}

/// The agent as it ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AgentReport {
    /// How opens were hooked.
    pub open: HookReport,
    /// How connects were hooked.
    pub connect: HookReport,
    /// Why there was no agent at all.
    pub missing: Option<String>,
    /// The memory of a process that runs only the agent.
    pub footprint: Option<Footprint>,
    /// The share of one CPU that the consumer used while events came.
    pub consumer_cpu_share: Option<f64>,
}

/// The rung taken for one operation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HookReport {
    /// Its name; none where all failed.
    pub rung: Option<String>,
    /// Those that failed before it.
    pub tried: Vec<TriedReport>,
}

/// A rung that did not hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TriedReport {
    /// Its name.
    pub rung: String,
    /// Why.
    pub error: String,
}

/// One workload under one arm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The workload.
    pub workload: String,
    /// The arm.
    pub arm: Arm,
    /// Operations done.
    pub ops: u64,
    /// The time of an operation: the median over processes.
    pub ns_per_op: f64,
    /// The median of operations timed one by one.
    pub p50_ns: f64,
    /// Their 95th percentile.
    pub p95_ns: f64,
    /// Their 99th percentile.
    pub p99_ns: f64,
    /// Events that the agent handed over, for each operation.
    pub events_per_op: f64,
    /// Events lost for want of room in the ring.
    pub drops: u64,
    /// This arm against `off`.
    pub vs_off: Option<Versus>,
    /// `event` against `hook`: what emitting alone costs.
    pub vs_hook: Option<Versus>,
    /// What the kernel counted of the agent's programs, in a pass of its own.
    pub kernel: Option<KernelTime>,
    /// The budget that decides: of the p95 ratio where there is one, else of the ratio.
    pub budget: Option<f64>,
    /// Every budget of this row.
    pub budgets: Vec<Judged>,
    /// What it comes to.
    pub verdict: Outcome,
    /// Why, in one sentence; empty for a plain pass.
    pub reason: String,
}

/// A budget and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Judged {
    /// What is limited: `p95_ratio`, `ratio` or `drops`.
    pub measure: String,
    /// The most that is allowed.
    pub limit: f64,
    /// What was measured.
    pub measured: Interval,
    /// Whether the interval lies within the budget.
    pub verdict: Outcome,
}

/// What a workload may cost under the agent; a ratio to `off`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// The most for the 95th percentile.
    pub p95_ratio: Option<f64>,
    /// The most for the mean.
    pub ratio: Option<f64>,
    /// The most events lost, as a share of those wanted.
    pub drops: f64,
}

/// What shows that the rows can be believed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Controls {
    /// `off` against `off`.
    pub a_a: Option<AA>,
    /// 2n operations against n: must be 2 within 5 %.
    pub proportionality: Option<Ratio>,
    /// A program of known cost: must come back with slope 1.00 ± 0.03.
    pub calibration: Option<Calibration>,
    /// A call that the agent does not watch.
    pub unhooked: Option<Unhooked>,
    /// What each part of an `open_close` event costs.
    pub parts: Option<Parts>,
}

/// `off` against `off`, which must contain 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AA {
    /// The one farthest from 1.
    pub ratio: Interval,
    /// Each workload's.
    pub workloads: BTreeMap<String, Interval>,
}

/// A ratio.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Ratio {
    /// The ratio.
    pub ratio: Interval,
}

/// What the agent's hooks cost a call that they do not watch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unhooked {
    /// The call.
    pub call: String,
    /// Its time without the agent.
    pub off_ns: f64,
    /// Its cost with the agent attached.
    pub vs_off: Versus,
}

impl Report {
    /// The verdict of the whole: the worst of its rows.
    pub fn broken(&self) -> bool {
        self.rows.iter().any(|row| row.verdict == Outcome::Broken)
    }

    /// Reads back what [`Self::write`] wrote into `directory`.
    pub fn read(directory: &Path) -> Result<Self, Obstacle> {
        let path = directory.join(FILE);
        let again = "measure it with: cargo bench --bench overhead";
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Obstacle::new(format!("{}: {error}", path.display()), again))?;
        serde_json::from_str(&text)
            .map_err(|error| Obstacle::new(format!("{}: {error}", path.display()), again))
    }

    /// Writes the report into `directory`, whole or not at all.
    pub fn write(&self, directory: &Path) -> Result<(), Obstacle> {
        let json = serde_json::to_vec_pretty(self).expect("results are plain data");
        crate::file::replace(&directory.join(FILE), &json)
    }
}

impl AgentReport {
    /// An agent that runs.
    pub fn of(agent: &Agent) -> Self {
        let hooks = agent.hooks();
        Self {
            open: (&hooks.open).into(),
            connect: (&hooks.connect).into(),
            ..Self::default()
        }
    }

    /// No agent.
    pub fn missing(obstacle: &Obstacle) -> Self {
        Self {
            missing: Some(obstacle.to_string()),
            ..Self::default()
        }
    }
}

impl From<&Hook> for HookReport {
    fn from(hook: &Hook) -> Self {
        let tried = hook.tried.iter().map(|tried| TriedReport {
            rung: tried.rung.name().into(),
            error: tried.error.clone(),
        });
        Self {
            rung: hook.rung.map(|rung| rung.name().into()),
            tried: tried.collect(),
        }
    }
}

/// `off` against `off`: of each round the outer or inner blocks against the others.
pub fn off_against_off(processes: &[Measured]) -> Option<Versus> {
    over_processes(processes, |round| Some(Pair::of(&round.again, &round.off)))
}

/// What each process has to say, and what they say together.
fn over_processes(processes: &[Measured], pair: impl Fn(&Round) -> Option<Pair>) -> Option<Versus> {
    let observations: Option<Vec<Pair>> = processes
        .iter()
        .map(|process| {
            let pairs: Option<Vec<Pair>> = process.rounds.iter().map(&pair).collect();
            Pair::median(&pairs?)
        })
        .collect();
    versus(&observations?)
}

/// The rows of one workload: `off`, and with an agent `hook` and `event`.
pub fn rows(name: Name, calls: Calls, processes: &[Measured], budget: Budget) -> Vec<Row> {
    let off = |round: &Round| [round.off, round.again].concat();
    let mut rows = vec![Row::new(
        name,
        Arm::Off,
        processes,
        |r| Some(off(r)),
        |l| &l.off,
    )];
    let hooked = |round: &Round| round.hooked.clone();
    if !processes
        .iter()
        .flat_map(|p| &p.rounds)
        .all(|round| round.hooked.is_some())
    {
        return rows;
    }

    let blocks = |round: &Round| Some(hooked(round)?.hook.to_vec());
    let mut hook = Row::new(name, Arm::Hook, processes, blocks, |l| &l.hook);
    hook.vs_off = over_processes(processes, |r| Some(Pair::of(&hooked(r)?.hook, &off(r))));
    rows.push(hook);

    let blocks = |round: &Round| Some(hooked(round)?.event.to_vec());
    let mut event = Row::new(name, Arm::Event, processes, blocks, |l| &l.event);
    event.vs_off = over_processes(processes, |r| Some(Pair::of(&hooked(r)?.event, &off(r))));
    event.vs_hook = over_processes(processes, |r| {
        hooked(r).map(|h| Pair::of(&h.event, &h.hook))
    });
    let count =
        |of: fn(&Counters) -> u64| processes.iter().map(|p| of(&p.event_counts)).sum::<u64>();
    event.events_per_op = count(|c| c.submitted) as f64 / event.ops as f64;
    event.drops = count(|c| c.failed);
    event.judge(calls, budget);
    rows.push(event);
    rows
}

/// The rows of arms that could not be measured.
pub fn skipped(name: Name, why: &str) -> Vec<Row> {
    [Arm::Hook, Arm::Event]
        .map(|arm| Row {
            verdict: Outcome::Skipped,
            reason: why.into(),
            ..Row::empty(name, arm)
        })
        .into()
}

/// The row of a workload whose measurement failed.
pub fn failed(name: Name, why: &str) -> Vec<Row> {
    vec![Row {
        verdict: Outcome::Broken,
        reason: why.into(),
        ..Row::empty(name, Arm::Off)
    }]
}

impl Row {
    fn empty(name: Name, arm: Arm) -> Self {
        Self {
            workload: name.to_string(),
            arm,
            ops: 0,
            ns_per_op: 0.0,
            p50_ns: 0.0,
            p95_ns: 0.0,
            p99_ns: 0.0,
            events_per_op: 0.0,
            drops: 0,
            vs_off: None,
            vs_hook: None,
            kernel: None,
            budget: None,
            budgets: Vec::new(),
            verdict: Outcome::Pass,
            reason: String::new(),
        }
    }

    fn new(
        name: Name,
        arm: Arm,
        processes: &[Measured],
        blocks: impl Fn(&Round) -> Option<Vec<Block>>,
        latency: impl Fn(&Latencies) -> &Latency,
    ) -> Self {
        let mut row = Self::empty(name, arm);
        let mut times = Vec::new();
        let mut latencies = Latency::default();
        for process in processes {
            let blocks: Vec<Block> = process
                .rounds
                .iter()
                .filter_map(&blocks)
                .flatten()
                .collect();
            let within: Vec<f64> = blocks.iter().map(|block| block.ns_per_op).collect();
            times.extend(median(&within));
            row.ops += blocks.iter().map(|block| block.ops).sum::<u64>();
            latencies.add(latency(&process.latencies));
        }
        row.ns_per_op = median(&times).unwrap_or(0.0);
        row.p50_ns = latencies.quantile(0.50);
        row.p95_ns = latencies.quantile(0.95);
        row.p99_ns = latencies.quantile(0.99);
        row
    }

    /// Whether more events were lost than may be.
    pub fn lost_too_many(&self) -> bool {
        let lost = |judged: &Judged| judged.measure == "drops" && judged.verdict == Outcome::Fail;
        self.budgets.iter().any(lost)
    }

    /// Sets the verdict of an `event` row.
    fn judge(&mut self, calls: Calls, budget: Budget) {
        let Some(versus) = self.vs_off else {
            self.verdict = Outcome::Inconclusive;
            self.reason = "too few rounds for an interval; give it more --seconds".into();
            return;
        };
        if versus.ratio.hi < 1.0 {
            self.verdict = Outcome::Broken;
            self.reason = format!(
                "the operation came out faster with the agent ({}): the arms were not what they say",
                show(versus.ratio)
            );
            return;
        }
        let wanted = self.ops * (calls.opens + calls.connects);
        let lost = self.drops as f64 / wanted as f64;
        self.budget = budget.p95_ratio.or(budget.ratio);
        self.budgets = [
            ("p95_ratio", budget.p95_ratio, versus.p95_ratio),
            ("ratio", budget.ratio, versus.ratio),
            ("drops", Some(budget.drops), Interval::exact(lost)),
        ]
        .into_iter()
        .filter_map(|(measure, limit, measured)| Some(Judged::new(measure, limit?, measured)))
        .collect();
        for wanted in [Outcome::Fail, Outcome::Inconclusive] {
            if let Some(judged) = self.budgets.iter().find(|judged| judged.verdict == wanted) {
                self.verdict = wanted;
                self.reason = judged.reason();
                return;
            }
        }
    }
}

impl Judged {
    pub(super) fn new(measure: &str, limit: f64, measured: Interval) -> Self {
        Self {
            measure: measure.into(),
            limit,
            measured,
            verdict: gate::judge(measured, Limit::AtMost(limit)),
        }
    }

    fn reason(&self) -> String {
        let name = match self.measure.as_str() {
            "p95_ratio" => "p95 with the agent over p95 without it",
            "ratio" => "time with the agent over time without it",
            _ => "share of events lost",
        };
        let stands = match self.verdict {
            Outcome::Fail => "over its budget of",
            _ => "on both sides of its budget of",
        };
        format!("{name} is {}, {stands} {}", show(self.measured), self.limit)
    }
}

impl AA {
    /// Of the workloads' ratios; none where there are none.
    pub fn of(workloads: BTreeMap<String, Interval>) -> Option<Self> {
        let distance = |ratio: &Interval| (ratio.est - 1.0).abs();
        let ratio = *workloads
            .values()
            .max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        Some(Self { ratio, workloads })
    }
}

/// `1.163 [1.161, 1.164]`.
fn show(ratio: Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", ratio.est, ratio.lo, ratio.hi)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: Calls = Calls {
        opens: 1,
        connects: 0,
    };

    const ONLY_DROPS: Budget = Budget {
        p95_ratio: None,
        ratio: None,
        drops: 0.001,
    };

    fn interval(est: f64) -> Interval {
        Interval {
            est,
            lo: est - 0.01,
            hi: est + 0.01,
        }
    }

    /// An event row with these ratios, judged.
    fn judged(ratio: f64, p95_ratio: f64, drops: u64, budget: Budget) -> Row {
        let mut row = Row::empty(Name::OpenClose, Arm::Event);
        row.ops = 10_000;
        row.drops = drops;
        row.vs_off = Some(Versus {
            delta_ns: interval(100.0),
            ratio: interval(ratio),
            p95_ratio: interval(p95_ratio),
        });
        row.judge(CALLS, budget);
        row
    }

    #[test]
    fn a_budget_is_held_by_the_interval_not_by_the_point() {
        let budget = Budget {
            p95_ratio: Some(1.05),
            ratio: Some(1.10),
            ..ONLY_DROPS
        };
        let verdict = |ratio, p95| judged(ratio, p95, 0, budget).verdict;
        assert_eq!(verdict(1.08, 1.03), Outcome::Pass);
        assert_eq!(verdict(1.08, 1.045), Outcome::Inconclusive);
        assert_eq!(verdict(1.08, 1.07), Outcome::Fail);
        assert_eq!(verdict(1.12, 1.03), Outcome::Fail);
        let row = judged(1.2, 1.2, 0, budget);
        assert_eq!(
            row.budget,
            Some(1.05),
            "the p95 budget is the one that decides"
        );
        assert!(
            row.reason.contains("over its budget of 1.05"),
            "{}",
            row.reason
        );
    }

    #[test]
    fn lost_events_fail_without_any_other_budget() {
        assert_eq!(judged(1.2, 1.2, 9, ONLY_DROPS).verdict, Outcome::Pass);
        let row = judged(1.2, 1.2, 11, ONLY_DROPS);
        assert_eq!(row.verdict, Outcome::Fail);
        assert!(row.reason.contains("events lost"), "{}", row.reason);
    }

    #[test]
    fn an_agent_that_makes_things_faster_is_no_pass() {
        let row = judged(0.95, 0.95, 0, ONLY_DROPS);
        assert_eq!(row.verdict, Outcome::Broken);
        // But one whose interval reaches 1 may be free.
        assert_eq!(judged(0.995, 1.0, 0, ONLY_DROPS).verdict, Outcome::Pass);
    }

    #[test]
    fn too_few_processes_decide_nothing() {
        let mut row = Row::empty(Name::OpenClose, Arm::Event);
        row.judge(CALLS, ONLY_DROPS);
        assert_eq!(row.verdict, Outcome::Inconclusive);
        assert!(row.reason.contains("--seconds"));
    }
}
