//! Frozen probes: what the machine itself takes for work that no project changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a probe took around a run, in nanoseconds for one operation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeTimes {
    /// Before it.
    pub before_ns: f64,
    /// After it.
    pub after_ns: f64,
}

/// Where a probe spends its time, and a benchmark that resembles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// In the program's own code.
    User,
    /// In the kernel.
    Kernel,
}

/// A probe of now against the same one of the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeRow {
    /// Its name.
    pub name: String,
    /// Where it spends its time.
    pub kind: ProbeKind,
    /// Median over the baseline's runs.
    pub baseline_ns: f64,
    /// Median over the current runs.
    pub current_ns: f64,
    /// The change in percent of the baseline.
    pub change_pct: f64,
    /// The interval around it, where the runs give one.
    pub ci_pct: Option<[f64; 2]>,
    /// The smallest change that its own spread allows to be seen.
    pub noise_floor_pct: Option<f64>,
    /// Whether it moved by more than that, and by more than chance moves any of the probes.
    pub moved: bool,
}
