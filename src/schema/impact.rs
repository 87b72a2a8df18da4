//! `impact.json`: what agents cost real programs.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::overhead::HookReport;
use super::{Host, MergedShard, Outcome, Provenance, ShardPart};
use crate::stats::Interval;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// The version of this layout: 1.
    pub schema: u32,
    /// The machine.
    pub host: Host,
    /// What made it.
    pub provenance: Provenance,
    /// The seed of the order of arms.
    pub seed: u64,
    /// The programs, in the order in which they were measured.
    pub programs: Vec<ProgramReport>,
    /// The agents, one entry for each program it was measured under.
    pub arms: Vec<ArmReport>,
    /// A row for each program, arm and measure.
    pub rows: Vec<ImpactRow>,
    /// Where this is a part of a suite: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardPart>,
    /// The parts that this was merged of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedShard>,
}

/// The version that is written.
pub const SCHEMA: u32 = 1;

/// A program that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramReport {
    /// Its name.
    pub program: String,
    /// What is to be known about its measurement: rates, and what was left out.
    pub note: Option<String>,
}

/// What an arm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArmKind {
    /// Nothing is attached.
    Off,
    /// Our own agent.
    Own,
    /// The kernel's count of runs, and no agent.
    Stats,
    /// A command.
    Command,
}

/// What the claim rests on that an agent was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// New eBPF programs, and that they ran.
    Bpf,
    /// The program's processes were traced by it.
    Ptrace,
    /// The kernel audited by rules, for its daemon.
    Audit,
    /// Nothing.
    None,
}

impl Proof {
    /// The word for it, as JSON has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::Ptrace => "ptrace",
            Self::Audit => "audit",
            Self::None => "none",
        }
    }
}

/// An agent under a program: that it was there, and what switching it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmReport {
    /// The program that ran meanwhile.
    pub program: String,
    /// Its name.
    pub arm: String,
    /// What it is.
    pub kind: ArmKind,
    /// Its command line, where it is one.
    pub command: Option<String>,
    /// What the proof rests on.
    pub proof: Proof,
    /// Whether that was seen in every block, and its programs, if any, ran; of our own agent
    /// also whether each of its hooks holds.
    pub proven: bool,
    /// Of our own agent: what it hooks, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<OwnHooks>,
    /// The fewest eBPF programs that a block had.
    pub bpf_programs: usize,
    /// How often its programs ran in all, while that was counted between blocks.
    pub run_count: u64,
    /// How long turning it on takes, and turning it off: the medians, in milliseconds.
    pub switch_ms: Option<[f64; 2]>,
    /// How many blocks it had.
    pub blocks: usize,
    /// Requests at the fixed rate that were answered after their block, in which they count as
    /// having taken until its end; none of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across: Option<u64>,
    /// What it printed, begin and end, where it printed anything.
    pub printed: Option<String>,
    /// What is to be known about it.
    pub reason: Option<String>,
}

/// The hooks of our own agent: by which rung each holds, and which did not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnHooks {
    /// How opens are hooked.
    pub open: HookReport,
    /// How connects are.
    pub connect: HookReport,
    /// How programs that run are.
    pub exec: HookReport,
}

impl OwnHooks {
    /// What it does not see for want of a hook, and why, where there is such a thing.
    pub fn lacking(&self) -> Option<String> {
        let lacking = [
            ("opens", &self.open),
            ("connects", &self.connect),
            ("programs that run", &self.exec),
        ]
        .into_iter()
        .filter(|(_, hook)| hook.rung.is_none())
        .map(|(what, hook)| {
            let tried = hook.tried.iter();
            let why: Vec<_> = tried.map(|t| format!("{}: {}", t.rung, t.error)).collect();
            format!("no hook for {what} holds here ({})", why.join("; "))
        });
        Some(lacking.collect::<Vec<_>>().join(", ")).filter(|lacking| !lacking.is_empty())
    }
}

/// What is compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ImpactMeasure {
    /// The duration of a job.
    Seconds,
    /// Requests answered a second, at saturation.
    Throughput,
    /// The median latency at a fixed rate.
    P50,
    /// Its 95th percentile.
    P95,
    /// Its 99th percentile.
    P99,
    /// The longest.
    Max,
    /// CPU time beyond that without the agent, in percent of all CPUs' time.
    CpuPoints,
    /// What the agent itself uses of it.
    AgentCpuPoints,
    /// Memory of the agent: resident, and of its maps.
    MemoryMb,
    /// What of it its maps take in the kernel.
    MapsMb,
    /// Context switches of the program, wanted and not.
    Switches,
    /// Failed requests or jobs.
    Errors,
    /// Events that arrived, of those that there were to see.
    CapturedPct,
    /// Events lost.
    Dropped,
}

impl ImpactMeasure {
    /// The word for it, as JSON has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::CpuPoints => "cpu_points",
            Self::AgentCpuPoints => "agent_cpu_points",
            Self::MemoryMb => "memory_mb",
            Self::MapsMb => "maps_mb",
            Self::Switches => "switches",
            Self::Errors => "errors",
            Self::CapturedPct => "captured_pct",
            Self::Dropped => "dropped",
        }
    }

    /// The unit of its values.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Throughput => "1/s",
            Self::P50 | Self::P95 | Self::P99 | Self::Max => "ms",
            Self::CpuPoints | Self::AgentCpuPoints | Self::CapturedPct => "%",
            Self::MemoryMb | Self::MapsMb => "MB",
            Self::Errors | Self::Dropped | Self::Switches => "",
        }
    }
}

impl ImpactMeasure {
    /// Whether it is how long requests took at a fixed rate.
    pub fn is_latency(self) -> bool {
        matches!(self, Self::P50 | Self::P95 | Self::P99 | Self::Max)
    }

    /// Whether its value with the agent says something only beside that without.
    fn is_compared(self) -> bool {
        match self {
            Self::Seconds | Self::Throughput | Self::P50 | Self::P95 | Self::P99 | Self::Max => {
                true
            }
            Self::CpuPoints | Self::Switches => true,
            Self::AgentCpuPoints | Self::MemoryMb | Self::MapsMb => false,
            Self::Errors | Self::CapturedPct | Self::Dropped => false,
        }
    }

    /// A ratio as what it costs, in percent: of a throughput what is lost, of anything else
    /// what is added.
    pub fn change_pct(self, ratio: Interval) -> Interval {
        match self {
            Self::Throughput => Interval {
                est: 100.0 * (1.0 - ratio.est),
                lo: 100.0 * (1.0 - ratio.hi),
                hi: 100.0 * (1.0 - ratio.lo),
            },
            _ => ratio.map(|ratio| 100.0 * (ratio - 1.0)),
        }
    }
}

impl fmt::Display for ImpactMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One measure of one arm under one program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImpactRow {
    /// The program.
    pub program: String,
    /// The arm.
    pub arm: String,
    /// What is compared.
    pub measure: ImpactMeasure,
    /// Its value without the agent, the median over observations.
    pub off: Option<f64>,
    /// And with it.
    pub with: Option<f64>,
    /// The unit of both, and of the difference.
    pub unit: String,
    /// With the agent over without, where that is what is judged.
    pub ratio: Option<Interval>,
    /// With the agent less without, where that is what is judged.
    pub difference: Option<Interval>,
    /// Pairs of blocks or of processes behind the interval.
    pub observations: usize,
    /// The limit, in percent for a ratio and in the row's unit otherwise.
    pub limit: Option<f64>,
    /// The limit beyond which it fails, where up to there it is marginal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_limit: Option<f64>,
    /// What it comes to.
    pub verdict: Outcome,
    /// Why, where it is not plain.
    pub reason: Option<String>,
    /// Of errors: how many of each kind, without the agent and with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, [u64; 2]>,
}

impl ImpactRow {
    /// What is held against the limit, in its unit: none where that is a comparison which
    /// has no interval.
    pub fn judged(&self) -> Option<Interval> {
        let change = self.ratio.map(|ratio| self.measure.change_pct(ratio));
        let alone = self.with.filter(|_| !self.measure.is_compared());
        change.or(self.difference).or(alone.map(Interval::exact))
    }

    /// The row of a program that was not measured under an arm.
    pub fn missing(program: &str, arm: &str, reason: String) -> Self {
        Self {
            program: program.to_owned(),
            arm: arm.to_owned(),
            measure: ImpactMeasure::Seconds,
            off: None,
            with: None,
            unit: String::new(),
            ratio: None,
            difference: None,
            observations: 0,
            limit: None,
            fail_limit: None,
            verdict: Outcome::Broken,
            reason: Some(reason),
            errors: BTreeMap::new(),
        }
    }

    /// The row of a program under an arm that this machine cannot have.
    pub fn skipped(program: &str, arm: &str, reason: String) -> Self {
        Self {
            verdict: Outcome::Skipped,
            ..Self::missing(program, arm, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_compared_is_nothing_without_its_interval() {
        for (measure, judged) in [
            (ImpactMeasure::CpuPoints, None),
            (ImpactMeasure::Seconds, None),
            (ImpactMeasure::Errors, Some(Interval::exact(7.0))),
            (ImpactMeasure::Dropped, Some(Interval::exact(7.0))),
        ] {
            let row = ImpactRow {
                measure,
                off: Some(5.0),
                with: Some(7.0),
                ..ImpactRow::missing("build", "event", String::new())
            };
            assert_eq!(row.judged(), judged, "{measure}");
        }
    }
}
