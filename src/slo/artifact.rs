//! The files of a strict run, in the one list that writer and validator use.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::Obstacle;
use crate::schema::soak::SoakKind;
use crate::schema::{Check, Host, Provenance};
use crate::schema::{overhead, soak};
use crate::stats::Interval;

/// The version of every artifact in JSON.
pub const SCHEMA: u32 = 1;

/// A file of a strict run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artifact {
    /// Opens with and without the agent.
    OpenCompare,
    /// Opens without the agent.
    OpenBaseline,
    /// Opens with it.
    OpenWithAgent,
    /// Connects without the agent.
    ConnectBaseline,
    /// Connects with it.
    ConnectWithAgent,
    /// Every workload, and what the agent takes.
    WorkloadSuite,
    /// The SLO table for people.
    SloReport,
    /// The SLO table for machines.
    SloSummary,
    /// The one page of evidence.
    EvidenceReport,
    /// The kernel.
    KernelInfo,
    /// The distribution.
    OsRelease,
    /// The processor.
    CpuInfo,
    /// The file systems of the files that are opened, read and walked.
    FsType,
}

impl Artifact {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::OpenCompare,
        Self::OpenBaseline,
        Self::OpenWithAgent,
        Self::ConnectBaseline,
        Self::ConnectWithAgent,
        Self::WorkloadSuite,
        Self::SloReport,
        Self::SloSummary,
        Self::EvidenceReport,
        Self::KernelInfo,
        Self::OsRelease,
        Self::CpuInfo,
        Self::FsType,
    ];

    /// Those that say what the machine is, and follow from no measurement.
    pub const OF_THE_MACHINE: [Self; 2] = [Self::KernelInfo, Self::OsRelease];

    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenCompare => "open_compare.json",
            Self::OpenBaseline => "open_baseline.json",
            Self::OpenWithAgent => "open_with_agent.json",
            Self::ConnectBaseline => "connect_baseline.json",
            Self::ConnectWithAgent => "connect_with_agent.json",
            Self::WorkloadSuite => "workload_suite.json",
            Self::SloReport => "perf-slo-report.md",
            Self::SloSummary => "perf-slo-summary.json",
            Self::EvidenceReport => "perf-evidence-report.md",
            Self::KernelInfo => "kernel-info.txt",
            Self::OsRelease => "os-release.txt",
            Self::CpuInfo => "cpu-info.txt",
            Self::FsType => "fs-type.txt",
        }
    }
}

/// The measurements that lie beside the artifacts: of the overhead, and of the soak if one
/// belongs to the run.
pub const MEASUREMENTS: [&str; 2] = [overhead::FILE, soak::FILE];

/// What `artifact` holds in `place`.
pub fn text(place: &Path, artifact: Artifact) -> Result<String, Obstacle> {
    let path = place.join(artifact.name());
    fs::read_to_string(&path).map_err(|cause| {
        let again = format!(
            "probecost slo --overhead FILE --artifacts {}",
            place.display()
        );
        Obstacle::new(format!("{}: {cause}", path.display()), again)
    })
}

/// Under which condition a profile was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// No agent attached.
    Baseline,
    /// The agent attached, an event for every operation.
    WithAgent,
}

/// The names of the workloads in the artifacts, with the fewest operations of each that a
/// strict run takes: those of the source's harness. A walk is 400 files.
pub const WORKLOADS: [(&str, u64); 4] = [
    ("open_close", 200_000),
    ("connect_loopback", 50_000),
    ("full_read", 50_000),
    ("stat_walk", 50),
];

/// `{open,connect}_{baseline,with_agent}.json`: one workload under one condition. Times are
/// in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmProfile {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The workload.
    pub workload: String,
    /// Its condition.
    pub label: Label,
    /// What measured it.
    pub provenance: Option<Provenance>,
    /// The machine.
    pub host: Host,
    /// How the agent was hooked; none without it.
    pub rung: Option<String>,
    /// Operations measured.
    pub iterations: u64,
    /// The time of an operation.
    pub us_per_op: f64,
    /// The median of single operations.
    pub p50_us: f64,
    /// Their 95th percentile.
    pub p95_us: f64,
    /// Their 99th percentile.
    pub p99_us: f64,
    /// Events that the agent handed over, for each operation.
    pub events_per_op: f64,
}

/// `open_compare.json`: opens with the agent against opens without it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What measured it.
    pub provenance: Option<Provenance>,
    /// The machine.
    pub host: Host,
    /// The comparison.
    pub open_close: WorkloadRow,
}

/// `workload_suite.json`: every workload, and what the agent takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What measured it.
    pub provenance: Option<Provenance>,
    /// The SHA-256 digest, by its file, of each measurement that this was made from and of
    /// what was read off the machine beside it.
    pub sources: BTreeMap<String, String>,
    /// The machine.
    pub host: Host,
    /// The file that was opened.
    pub file: String,
    /// The CPU of the workload.
    pub cpu: usize,
    /// The CPU of the agent's consumer.
    pub consumer_cpu: Option<usize>,
    /// A row for each of [`WORKLOADS`], in their order.
    pub rows: Vec<WorkloadRow>,
    /// What the agent takes meanwhile, which only decodes.
    pub agent: AgentUsage,
    /// What made the events of the soak, if one belongs to the run.
    pub soak_load: Option<SoakKind>,
    /// What it came to.
    pub soak: Option<Vec<Check>>,
    /// What a reader should know of the run.
    pub notes: Vec<String>,
}

/// One workload with and without the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadRow {
    /// The workload.
    pub workload: String,
    /// Operations under the agent.
    pub iterations: u64,
    /// The time of an operation without the agent, in microseconds.
    pub baseline_us_per_op: f64,
    /// The same with it.
    pub with_agent_us_per_op: f64,
    /// What the agent costs, in percent.
    pub overhead_pct: Interval,
    /// The 95th percentile with the agent over that without.
    pub p95_ratio: Interval,
    /// What this machine showed between no agent and no agent: how far from 1 the interval
    /// of their ratio reached, in percent.
    pub unsteady_pct: f64,
    /// Events that the agent handed over, for each operation.
    pub events_per_op: f64,
    /// Events lost.
    pub drops: u64,
}

impl Suite {
    /// The checks of the soak, if it was a storm: of the hooks and the whole user half.
    pub fn storm(&self) -> Option<&[Check]> {
        let is_storm = self.soak_load == Some(SoakKind::Storm);
        self.soak.as_deref().filter(|_| is_storm)
    }
}

/// What an agent takes that only decodes, while the workloads run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentUsage {
    /// How opens are hooked.
    pub open_rung: String,
    /// How connects are hooked.
    pub connect_rung: String,
    /// Resident memory of a process that runs only the agent, in bytes.
    pub resident_bytes: u64,
    /// Kernel memory of its maps, in bytes.
    pub map_bytes: u64,
    /// The consumer's share of one CPU while events came, in percent.
    pub cpu_pct: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of the source's document, word for word.
    #[test]
    fn there_are_thirteen() {
        let names = Artifact::ALL.map(Artifact::name).join(" ");
        assert_eq!(
            names,
            "open_compare.json open_baseline.json open_with_agent.json connect_baseline.json \
             connect_with_agent.json workload_suite.json perf-slo-report.md \
             perf-slo-summary.json perf-evidence-report.md kernel-info.txt os-release.txt \
             cpu-info.txt fs-type.txt"
        );
    }
}
