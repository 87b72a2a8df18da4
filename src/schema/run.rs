//! `host.json`: what `cargo compare run` notes beside the results of a run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Host, Portion, ProbeTimes, Provenance, SystemLoad};

/// Where, when and of what a run was made, and what else went on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The format of this object.
    #[serde(default = "first")]
    pub schema: u32,
    /// What noted it; none in the first ones.
    #[serde(default)]
    pub provenance: Option<Provenance>,
    /// The machine.
    pub host: Host,
    /// When the run began.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was run.
    pub command: Vec<String>,
    /// The commit of the work tree, where there is one.
    pub commit: Option<String>,
    /// Whether files that git follows differed from that commit.
    pub dirty: bool,
    /// A digest of what those of them hold that cargo does not write itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<String>,
    /// What `rustc --version` says.
    pub toolchain: Option<String>,
    /// What else went on.
    pub surroundings: SystemLoad,
    /// What the frozen probes took around it, by name; none in the first ones.
    #[serde(default)]
    pub probes: BTreeMap<String, ProbeTimes>,
    /// The share of a benchmark's time that was the kernel's, in percent, by id, where it
    /// ran long enough for one.
    #[serde(default)]
    pub system_pct: BTreeMap<String, f64>,
    /// Which benchmarks it ran, where it is a part of a suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portion: Option<Portion>,
}

impl RunRecord {
    /// The format that this program writes.
    pub const SCHEMA: u32 = 1;
}

/// The first records did not name their format.
fn first() -> u32 {
    1
}
