//! The rows of `overhead.json`: what many processes measured, put together.

use std::collections::BTreeMap;

use super::OverheadBudget;
use crate::agent::{Agent, Counters, Hook};
use crate::experiment::{Block, Latencies, Latency, Measured, Pair, Round, compare};
use crate::host::Obstacle;
use crate::schema::overhead::{
    AgentReport, HookReport, OffAgainstOff, OverheadRow, PairedComparison, TriedRung,
};
use crate::schema::{Outcome, OverheadArm};
use crate::stats::{Interval, median};
use crate::workload::{Calls, Name};

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
        let tried = hook.tried.iter().map(|tried| TriedRung {
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
pub fn off_against_off(processes: &[Measured]) -> Option<PairedComparison> {
    over_processes(processes, |round| Some(Pair::of(&round.again, &round.off)))
}

/// What each process has to say, and what they say together.
fn over_processes(
    processes: &[Measured],
    pair: impl Fn(&Round) -> Option<Pair>,
) -> Option<PairedComparison> {
    let observations: Option<Vec<Pair>> = processes
        .iter()
        .map(|process| {
            let pairs: Option<Vec<Pair>> = process.rounds.iter().map(&pair).collect();
            Pair::median(&pairs?)
        })
        .collect();
    compare(&observations?)
}

/// The rows of one workload: `off`, and with an agent `hook` and `event`.
pub fn rows(
    name: Name,
    calls: Calls,
    processes: &[Measured],
    budget: OverheadBudget,
) -> Vec<OverheadRow> {
    let off = |round: &Round| [round.off, round.again].concat();
    let mut rows = vec![OverheadRow::new(
        name,
        OverheadArm::Off,
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
    let mut hook = OverheadRow::new(name, OverheadArm::Hook, processes, blocks, |l| &l.hook);
    hook.vs_off = over_processes(processes, |r| Some(Pair::of(&hooked(r)?.hook, &off(r))));
    rows.push(hook);

    let blocks = |round: &Round| Some(hooked(round)?.event.to_vec());
    let mut event = OverheadRow::new(name, OverheadArm::Event, processes, blocks, |l| &l.event);
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
pub fn skipped(name: Name, why: &str) -> Vec<OverheadRow> {
    [OverheadArm::Hook, OverheadArm::Event]
        .map(|arm| OverheadRow {
            verdict: Outcome::Skipped,
            reason: why.into(),
            ..OverheadRow::empty(name, arm)
        })
        .into()
}

/// The row of a workload whose measurement failed.
pub fn failed(name: Name, why: &str) -> Vec<OverheadRow> {
    vec![OverheadRow {
        verdict: Outcome::Broken,
        reason: why.into(),
        ..OverheadRow::empty(name, OverheadArm::Off)
    }]
}

impl OverheadRow {
    pub(super) fn empty(name: Name, arm: OverheadArm) -> Self {
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
        arm: OverheadArm,
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
}

impl OffAgainstOff {
    /// Of the workloads' ratios; none where there are none.
    pub fn of(workloads: BTreeMap<String, Interval>) -> Option<Self> {
        let distance = |ratio: &Interval| (ratio.est - 1.0).abs();
        let ratio = *workloads
            .values()
            .max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        Some(Self { ratio, workloads })
    }
}
