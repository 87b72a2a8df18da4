//! A line of the page, as a document gives it.

use crate::schema::Outcome;
use crate::stats::Interval;

/// Something that was judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) measure: String,
    pub(super) value: Option<Interval>,
    pub(super) limit: Option<f64>,
    pub(super) at_least: bool,
    pub(super) verdict: Outcome,
    pub(super) reason: String,
}

impl Row {
    /// One that says nothing but why there is no verdict.
    pub(super) fn broken(name: String, measure: String, reason: String) -> Self {
        Self {
            name,
            measure,
            value: None,
            limit: None,
            at_least: false,
            verdict: Outcome::Broken,
            reason,
        }
    }
}
