//! A limit and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::stats::Interval;

/// A budget and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What is limited: with its unit where it has one: `p95_ratio`, `memory_mb`.
    pub measure: String,
    /// The most that is allowed.
    pub limit: f64,
    /// What was measured.
    pub measured: Interval,
    /// Whether the interval lies within the budget.
    pub verdict: Outcome,
}
