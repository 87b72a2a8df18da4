//! The rows of `overhead.json`: what many processes measured, put together.

use std::collections::BTreeMap;

use super::judging::OverheadBudget;
use crate::agent::{Agent, Counters};
use crate::experiment::{Block, Hooked, Latencies, Latency, Measured, Round, compare};
use crate::host::Obstacle;
use crate::schema::overhead::{
    AgentReport, Observation, OffAgainstOff, OverheadRow, Pair, PairedComparison,
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
        |r| Some((off(r), Pair::of(&r.again, &r.off))),
        |l| &l.off,
    )];
    if !processes
        .iter()
        .flat_map(|p| &p.rounds)
        .all(|round| round.hooked.is_some())
    {
        return rows;
    }

    let against_off = |arm: fn(&Hooked) -> &[Block; 2]| {
        move |round: &Round| {
            let blocks = arm(round.hooked.as_ref()?);
            Some((blocks.to_vec(), Pair::of(blocks, &off(round))))
        }
    };
    let blocks = against_off(|hooked| &hooked.hook);
    let mut hook = OverheadRow::new(name, OverheadArm::Hook, processes, blocks, |l| &l.hook);
    hook.vs_off = hook.compared();
    rows.push(hook);

    let blocks = against_off(|hooked| &hooked.event);
    let mut event = OverheadRow::new(name, OverheadArm::Event, processes, blocks, |l| &l.event);
    event.vs_off = event.compared();
    event.vs_hook = over_processes(processes, |round| {
        let hooked = round.hooked.as_ref()?;
        Some(Pair::of(&hooked.event, &hooked.hook))
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
            observations: Vec::new(),
            budget: None,
            budgets: Vec::new(),
            verdict: Outcome::Pass,
            reason: String::new(),
        }
    }

    /// What the processes say together: this arm against `off`, or `off` against itself.
    /// None where they are too few.
    pub fn compared(&self) -> Option<PairedComparison> {
        let pairs: Vec<Pair> = self.observations.iter().map(|o| o.pair).collect();
        compare(&pairs)
    }

    /// `blocks` gives those of a round, and how they stand against `off`.
    fn new(
        name: Name,
        arm: OverheadArm,
        processes: &[Measured],
        blocks: impl Fn(&Round) -> Option<(Vec<Block>, Pair)>,
        latency: impl Fn(&Latencies) -> &Latency,
    ) -> Self {
        let mut row = Self::empty(name, arm);
        let mut latencies = Latency::default();
        for process in processes {
            let (blocks, pairs): (Vec<Vec<Block>>, Vec<Pair>) =
                process.rounds.iter().filter_map(&blocks).unzip();
            let blocks = blocks.concat();
            let within: Vec<f64> = blocks.iter().map(|block| block.ns_per_op).collect();
            let said = median(&within).zip(Pair::median(&pairs));
            row.observations
                .extend(said.map(|(ns_per_op, pair)| Observation { ns_per_op, pair }));
            row.ops += blocks.iter().map(|block| block.ops).sum::<u64>();
            latencies.add(latency(&process.latencies));
        }
        let times: Vec<f64> = row.observations.iter().map(|o| o.ns_per_op).collect();
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
