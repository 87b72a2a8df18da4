//! The arms of a measurement.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The condition under which a workload runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverheadArm {
    /// No agent is attached.
    Off,
    /// The agent is attached, no rule matches, nothing is emitted.
    Hook,
    /// The agent is attached, and every operation emits an audit event.
    Event,
}

impl fmt::Display for OverheadArm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Hook => "hook",
            Self::Event => "event",
        })
    }
}
