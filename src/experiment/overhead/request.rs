//! What is asked of the whole instrument.

use std::time::Duration;

use crate::experiment::assignment::Assignment;
use crate::workload::Name;

/// What to measure, and how.
#[derive(Debug, Clone)]
pub struct OverheadRequest {
    /// The workloads, in the order of the rows.
    pub workloads: Vec<Name>,
    /// What one process measures; its workload, and the seed and length of its
    /// plan, are set for each.
    pub assignment: Assignment,
    /// How long each workload is measured.
    pub length: Duration,
    /// Whether to measure without an agent where none can run.
    pub agent_optional: bool,
}
