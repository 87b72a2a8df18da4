//! A figure, what it may be, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::stats::Interval;

/// One row of a document that holds figures of many kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Of what, e.g. `erofs / tar, 50 MB`.
    pub name: String,
    /// What was measured, e.g. `pull_ratio`.
    pub measure: String,
    /// Its value, with its interval of 99 %; none where it was not measured.
    pub value: Option<Interval>,
    /// The unit of value and limit, e.g. `ratio`.
    pub unit: String,
    /// What it may be; none where it is only shown.
    pub limit: Option<f64>,
    /// Which side of the limit is the good one.
    pub bound: Bound,
    /// What it comes to.
    pub verdict: Outcome,
    /// Why, in one sentence; empty for a plain pass.
    pub reason: String,
}

impl Finding {
    /// Why a measurement ended before its end: what was measured until then is not all.
    pub fn cut_off(why: String) -> Self {
        Self {
            name: "everything".into(),
            measure: "cut_off".into(),
            value: None,
            unit: String::new(),
            limit: None,
            bound: Bound::AtMost,
            verdict: Outcome::Broken,
            reason: why,
        }
    }
}

/// Which side of a limit is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At most the limit.
    AtMost,
    /// At least the limit.
    AtLeast,
}
