//! `pressure.json`: what watching memory pressure costs, and what acting on it saves.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Finding, Host, Provenance};
use crate::stats::Interval;

/// The version of this layout.
pub const SCHEMA: u32 = 1;

/// The file's name.
pub const FILE: &str = "pressure.json";

/// Two groups that share too little memory, with and without a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PressureReport {
    /// The version of this layout: 1.
    pub schema: u32,
    /// Where this document comes from.
    pub provenance: Provenance,
    /// The machine.
    pub host: Host,
    /// How it was measured.
    pub settings: PressureSettings,
    /// The arms.
    pub arms: Vec<PressureArm>,
    /// Every block, in the order in which they ran.
    pub blocks: Vec<PressureBlock>,
    /// Every limit and what became of it.
    pub rows: Vec<Finding>,
    /// What a reader should know of the run.
    pub notes: Vec<String>,
}

/// How it was measured; the same settings and seed give the same order of arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PressureSettings {
    /// Rounds; each holds a block of every arm.
    pub rounds: usize,
    /// Seconds of a block that count.
    pub seconds: f64,
    /// Megabytes (10^6 bytes) that both groups may have together.
    pub limit_mb: u64,
    /// Megabytes that each of them touches.
    pub touched_mb: u64,
    /// The stall that wakes the monitor, in milliseconds by window.
    pub threshold_ms: u64,
    /// The window, in milliseconds.
    pub window_ms: u64,
    /// How long the low group is held at a time, in milliseconds.
    pub slice_ms: u64,
    /// The hierarchy that limits the memory: 1 or 2.
    pub cgroup: u32,
    /// By what a group is held: `cgroup.freeze` or `SIGSTOP`.
    pub held_by: String,
    /// By what memory is taken back: `memory.reclaim` or `a cache that shrinks`.
    pub reclaimed_by: String,
    /// The seed of the order.
    pub seed: u64,
}

/// What is done about pressure.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PressurePolicy {
    /// There is no monitor.
    Off,
    /// It is seen, and nothing is done.
    Observe,
    /// The group of lower priority is held for a while.
    Throttle,
    /// The group of lower priority gives memory back.
    Reclaim,
}

impl fmt::Display for PressurePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Throttle => "throttle",
            Self::Reclaim => "reclaim",
        })
    }
}

/// One policy over all of its blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PressureArm {
    /// The policy.
    pub policy: PressurePolicy,
    /// Microseconds a second in which some process of the two groups stalled.
    pub some_us_s: Option<Interval>,
    /// In which all of them did.
    pub full_us_s: Option<Interval>,
    /// In which the group of higher priority stalled.
    pub high_some_us_s: Option<Interval>,
    /// Pages a second that the group of higher priority touched.
    pub high_pages_s: Option<Interval>,
    /// That the group of lower priority touched.
    pub low_pages_s: Option<Interval>,
    /// Pages a second that the machine swapped in and out.
    pub swapped_pages_s: Option<Interval>,
    /// Reactions in all blocks.
    pub reactions: u64,
    /// The monitor's share of one CPU, in percent.
    pub monitor_cpu_pct: Option<Interval>,
    /// Its resident memory, in megabytes.
    pub monitor_mb: Option<Interval>,
    /// From the moment at which the stall passed the threshold to the reaction, in
    /// milliseconds.
    pub delay_ms: Option<Interval>,
    /// Stall in percent less than `off` in the same round.
    pub less_pct: Option<Interval>,
}

/// One block of one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PressureBlock {
    /// The round.
    pub round: usize,
    /// The policy.
    pub policy: PressurePolicy,
    /// Microseconds a second in which some process of the two groups stalled.
    pub some_us_s: f64,
    /// The same of the first and of the second half of the block.
    pub halves_us_s: [f64; 2],
    /// In which all of them did.
    pub full_us_s: f64,
    /// In which some process of the whole machine stalled.
    pub machine_some_us_s: f64,
    /// In which the group of higher priority stalled.
    pub high_some_us_s: f64,
    /// Pages a second that the group of higher priority touched.
    pub high_pages_s: f64,
    /// That the group of lower priority touched.
    pub low_pages_s: f64,
    /// Pages a second that the machine swapped in and out.
    pub swapped_pages_s: f64,
    /// What the monitor did; none without one.
    pub monitor: Option<MonitorBlock>,
}

/// What the monitor did in a block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorBlock {
    /// How often it was woken, and did what it is there for.
    pub reactions: u64,
    /// Its share of one CPU, in percent.
    pub cpu_pct: f64,
    /// Its resident memory, in megabytes.
    pub memory_mb: f64,
    /// From the moment at which the stall passed the threshold to the reaction, the median
    /// of its reactions, in milliseconds.
    pub delay_ms: Option<f64>,
}
