//! `overhead.json`: what our agent costs the calls of a program. Times are in
//! nanoseconds, and intervals hold with 99 % confidence.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, Host, Outcome, OverheadArm, Provenance, SystemLoad};
use crate::stats::Interval;

/// The version of this layout. Schema 1, which is still read, said `harness_error` for
/// `broken`, and had no provenance.
pub const SCHEMA: u32 = 2;

/// The file's name.
pub const FILE: &str = "overhead.json";

/// Where it lies unless told otherwise.
pub const DIRECTORY: &str = "target/overhead";

/// An overhead measurement (`overhead.json`). Times are in nanoseconds, and
/// intervals hold with 99 % confidence.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OverheadReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What made it; none in schema 1.
    pub provenance: Option<Provenance>,
    /// The machine.
    pub host: Host,
    /// How it was measured.
    pub settings: OverheadSettings,
    /// The agent, or why there was none.
    pub agent: AgentReport,
    /// One row for each workload and arm.
    pub rows: Vec<OverheadRow>,
    /// What shows that the rows can be believed.
    pub controls: Controls,
    /// What else went on meanwhile; none where the measurement was cut off.
    #[serde(rename = "surroundings")]
    pub system_load: Option<SystemLoad>,
    /// What a reader should know before believing a number.
    pub warnings: Vec<String>,
}

impl OverheadReport {
    /// Whether a row contradicts itself.
    pub fn broken(&self) -> bool {
        self.rows.iter().any(|row| row.verdict == Outcome::Broken)
    }
}

/// How it was measured; the same settings and seed give the same order of blocks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OverheadSettings {
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
    /// Where workloads work on files; none in documents made before it was kept.
    #[serde(default)]
    pub places: Vec<WorkloadPlace>,
    /// What one reading of the clock costs; it is taken off every time.
    pub clock_ns: Option<f64>,
}

/// Where a workload works on files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadPlace {
    /// The workload.
    pub workload: String,
    /// The file, or the directory of its files.
    pub path: PathBuf,
    /// The type of the file system there.
    pub file_system: String,
}

/// The agent as it ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookReport {
    /// Its name; none where all failed.
    pub rung: Option<String>,
    /// Those that failed before it.
    pub tried: Vec<TriedRung>,
}

/// A rung that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriedRung {
    /// Its name.
    pub rung: String,
    /// Why.
    pub error: String,
}

/// One workload under one arm.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OverheadRow {
    /// The workload.
    pub workload: String,
    /// The arm.
    pub arm: OverheadArm,
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
    pub vs_off: Option<PairedComparison>,
    /// `event` against `hook`: what emitting alone costs.
    pub vs_hook: Option<PairedComparison>,
    /// What the kernel counted of the agent's programs, in a pass of its own.
    pub kernel: Option<KernelTime>,
    /// What each process said, of which the figures above are medians: `off` against
    /// `off`, or this arm against `off`; none in documents made before it was kept.
    #[serde(default)]
    pub observations: Vec<Observation>,
    /// The budget that decides: of the p95 ratio where there is one, else of the ratio.
    pub budget: Option<f64>,
    /// Every budget of this row.
    pub budgets: Vec<Check>,
    /// What it comes to.
    pub verdict: Outcome,
    /// Why, in one sentence; empty for a plain pass.
    pub reason: String,
}

/// One process's word on a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// The time of an operation, in nanoseconds.
    pub ns_per_op: f64,
    /// Against `off`, measured in turn.
    pub pair: Pair,
}

/// One arm against another in one round, or in one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// The difference of the mean times, in nanoseconds.
    pub delta_ns: f64,
    /// Their ratio.
    pub ratio: f64,
    /// The ratio of the 95th percentiles.
    pub p95_ratio: f64,
}

/// What shows that the rows can be believed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Controls {
    /// `off` against `off`.
    pub a_a: Option<OffAgainstOff>,
    /// 2n operations against n: must be 2 within 5 %.
    pub proportionality: Option<Proportionality>,
    /// A program of known cost: must come back with slope 1.00 ± 0.03.
    pub calibration: Option<Calibration>,
    /// A call that the agent does not watch.
    pub unhooked: Option<Unhooked>,
    /// What each part of an `open_close` event costs.
    pub parts: Option<EventParts>,
}

/// `off` against `off`, which must contain 1.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OffAgainstOff {
    /// The one farthest from 1.
    pub ratio: Interval,
    /// Each workload's.
    pub workloads: BTreeMap<String, Interval>,
}

/// Twice the operations against once.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct Proportionality {
    /// The ratio of their times.
    pub ratio: Interval,
    /// Whether it is 2 within 5 %; none in schema 1.
    pub verdict: Option<Outcome>,
}

/// What the agent's hooks cost a call that they do not watch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Unhooked {
    /// The call.
    pub call: String,
    /// Its time without the agent.
    pub off_ns: f64,
    /// Its cost with the agent attached.
    pub vs_off: PairedComparison,
}

/// One arm against another: medians over observations, with their intervals.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct PairedComparison {
    /// The difference of the mean times of an operation, in nanoseconds.
    pub delta_ns: Interval,
    /// The ratio of the mean times of an operation.
    pub ratio: Interval,
    /// The ratio of the 95th percentiles of single operations.
    pub p95_ratio: Interval,
}

/// What the kernel says the programs cost one operation. The rest of an
/// operation's overhead is entering the hooks, and waking the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelTime {
    /// Nanoseconds that programs ran for.
    pub program_ns: f64,
    /// How often a program ran.
    pub runs: f64,
}

/// Known costs against measured ones.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Measured nanoseconds for each nanosecond spun: 1 on a sound instrument.
    pub slope: Interval,
    /// Each spin in nanoseconds, and the latency it added over spinning for no
    /// time, with its interval.
    pub points: Vec<(u32, Interval)>,
    /// Whether the slope is 1.00 ± 0.03; none in schema 1.
    pub verdict: Option<Outcome>,
}

/// The cost of an event, taken apart: nanoseconds over the arm without it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct EventParts {
    /// A bare event over `hook`: room in the ring, process, thread and user, and submitting it.
    pub ring: Interval,
    /// The time of the call, over a bare event.
    pub time: Interval,
    /// The command name, over a bare event.
    pub comm: Interval,
    /// The cgroup, over a bare event.
    pub cgroup: Interval,
    /// The path, over a bare event.
    pub path: Interval,
    /// The full event over `hook`.
    pub full: Interval,
}

/// What a process that runs only the agent takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Footprint {
    /// Resident memory of the process (`VmRSS`).
    pub resident: u64,
    /// Kernel memory of its eBPF maps (`memlock` in fdinfo).
    pub maps: u64,
}
