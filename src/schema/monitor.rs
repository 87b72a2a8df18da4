//! `monitor.json`: what processes took, second by second.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Provenance;

/// The version of this layout.
pub const SCHEMA: u32 = 1;

/// The file's name.
pub const FILE: &str = "monitor.json";

/// What a process and its children took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorReport {
    /// The version of this layout: 1.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// The process.
    pub pid: i32,
    /// Its command line, as far as it can be seen.
    pub command: Vec<String>,
    /// How it ended; none where it was left running, or was no child of the monitor.
    pub ending: Option<MonitorEnding>,
    /// The whole run.
    pub totals: MonitorTotals,
    /// Each second.
    pub samples: Vec<MonitorSample>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MonitorEnding {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// What it took in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorTotals {
    /// How long it was watched.
    pub seconds: f64,
    /// CPU time in user mode, in seconds.
    pub user_s: f64,
    /// CPU time in the kernel, in seconds.
    pub system_s: f64,
    /// The most resident memory of one process, in bytes: the most that was seen, or the
    /// kernel's own count where the monitor started it and it is more than that and than the
    /// monitor's own peak, which the kernel counts as well.
    pub peak_resident: u64,
    /// The most descriptors that were seen.
    pub peak_descriptors: u64,
    /// Context switches that its threads asked for, by waiting.
    pub voluntary_switches: u64,
    /// Context switches that it was made to do.
    pub involuntary_switches: u64,
    /// CPU time of the monitor itself, in seconds.
    pub own_cpu_s: f64,
}

/// What a process and its children took between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorSample {
    /// When, in seconds from the start, by the monotonic clock.
    pub at_s: f64,
    /// Processes.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// CPU time in user mode since the last look, in percent of one CPU.
    pub user_pct: f64,
    /// CPU time in the kernel since the last look, in percent of one CPU.
    pub system_pct: f64,
    /// Resident memory of all, in bytes; what they share counts for each.
    pub resident: u64,
    /// Virtual memory of all, in bytes.
    pub virtual_memory: u64,
    /// Open descriptors; 0 where they may not be seen.
    pub descriptors: u64,
    /// Context switches by waiting, since the last look.
    pub voluntary_switches: u64,
    /// Context switches by force, since the last look.
    pub involuntary_switches: u64,
    /// Time since the last look in which tasks of the machine stood still, in percent;
    /// none where the kernel does not count it.
    pub pressure: Option<PressureSample>,
}

/// Pressure stall information of the whole machine, in percent of the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PressureSample {
    /// Some task waited for a CPU.
    pub cpu_some: f64,
    /// Some task waited for memory.
    pub memory_some: f64,
    /// All tasks waited for memory.
    pub memory_full: f64,
    /// Some task waited for input or output.
    pub io_some: f64,
    /// All tasks waited for input or output.
    pub io_full: f64,
}
