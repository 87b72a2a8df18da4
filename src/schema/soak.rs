//! `soak.json`: a load held for long. Intervals hold with 99 % confidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, Host, Provenance, SystemLoad};

/// The version of this layout.
pub const SCHEMA: u32 = 1;

/// The file's name.
pub const FILE: &str = "soak.json";

/// A soak. Intervals hold with 99 % confidence.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SoakReport {
    /// The version of this layout: 1.
    pub schema: u32,
    /// What made it; none in files made before there was any.
    pub provenance: Option<Provenance>,
    /// The machine.
    pub host: Host,
    /// What was asked for.
    pub settings: SoakSettings,
    /// The whole run.
    pub totals: SoakTotals,
    /// Every budget and what became of it.
    pub checks: Vec<Check>,
    /// What a reader should know of the run.
    pub warnings: Vec<String>,
    /// What else went on.
    #[serde(rename = "surroundings")]
    pub system_load: SystemLoad,
    /// The run, look by look.
    pub samples: Vec<SoakSample>,
}

/// What makes the events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SoakKind {
    /// The agent's own records, from a program on a call that costs next to nothing.
    #[default]
    Records,
    /// Opens and connects under the agent's audit hooks.
    Storm,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SoakSettings {
    /// What makes the events; records in documents made before there were others.
    #[serde(default)]
    pub load: SoakKind,
    /// Seconds.
    pub seconds: f64,
    /// Events a second.
    pub rate: f64,
    /// The size of the ring in bytes.
    pub ring_bytes: u32,
    /// The CPU that made the load.
    pub cpu: usize,
    /// The CPU of the consumer.
    pub consumer_cpu: Option<usize>,
    /// Whether the consumer was starved on purpose.
    pub canary: bool,
}

/// The whole run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct SoakTotals {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Events made.
    pub events: u64,
    /// Events lost for want of room in the ring.
    pub lost: u64,
    /// Events received.
    pub received: u64,
    /// Those of them that the policy named, so that they were looked up, added up and
    /// written out; none in documents made before it was kept.
    #[serde(default)]
    pub matched: Option<u64>,
    /// How long the load stood still, in seconds.
    pub held_up_s: f64,
    /// How long the machine was suspended, in seconds.
    pub asleep_s: f64,
}

impl SoakTotals {
    /// Events a second.
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }
}

/// What was seen between two looks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct SoakSample {
    /// When, in seconds from the start.
    pub at_s: f64,
    /// Events made, a second.
    pub rate: f64,
    /// Events made.
    pub events: u64,
    /// Events lost.
    pub lost: u64,
    /// Events received; none in documents made before it was kept.
    #[serde(default)]
    pub received: Option<u64>,
    /// Resident memory of the process, in bytes.
    pub resident: u64,
    /// Kernel memory of its maps, in bytes.
    pub maps: u64,
    /// The consumer's share of one CPU.
    pub cpu_share: f64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// Context switches of all threads.
    pub context_switches: u64,
    /// The median age of an event when it was read, in microseconds.
    pub age_p50_us: f64,
    /// Its 99th percentile.
    pub age_p99_us: f64,
}
