//! `load.json`: what came of requests at a rate.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Provenance};

/// Why a request has no answer that counts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RequestError {
    /// No connection was free for it in time, or this machine had none to give.
    Unsent,
    /// The connection was refused.
    Refused,
    /// The connection was reset, or closed before the answer was whole.
    Reset,
    /// No whole answer came in time.
    Timeout,
    /// The answer's status was 400 or more.
    Status,
    /// The answer was no HTTP.
    Malformed,
}

impl RequestError {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unsent,
        Self::Refused,
        Self::Reset,
        Self::Timeout,
        Self::Status,
        Self::Malformed,
    ];

    /// The word for it, as JSON has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Malformed => "malformed",
        }
    }
}

/// How many requests ended in which error; kinds that did not occur are left out.
pub type Errors = BTreeMap<RequestError, u64>;

/// What set the pace of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaceSource {
    /// A clock: latencies count from the intended start.
    Rate,
    /// The server: each connection asked again once it was answered.
    Saturation,
}

/// A load, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// The version of this document: 1.
    pub schema: u32,
    /// What wrote it.
    pub provenance: Provenance,
    /// Whom it asked.
    pub url: String,
    /// What set its pace.
    pub pace: PaceSource,
    /// Connections.
    pub connections: usize,
    /// For how long requests were due.
    pub seconds: f64,
    /// Requests a second.
    pub rate: Rates,
    /// How many.
    pub requests: Requests,
    /// From the intended start to the last byte of the answer; none without an answer.
    pub latency_us: Option<LatencyUs>,
    /// How late the generator itself came to its requests.
    pub generator_lag_us: GeneratorLag,
    /// Each second by itself, by the intended start.
    pub by_second: Vec<Second>,
    /// The steps of a ladder; empty without one.
    pub ladder: Vec<LoadStep>,
    /// The highest step that the server kept up with, in requests a second.
    pub knee: Option<f64>,
    /// Whether the load was made as asked, and answered.
    pub outcome: Outcome,
    /// What a reader of the figures must know.
    pub notes: Vec<String>,
}

/// Requests a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Asked for; none where the server sets the pace.
    pub asked: Option<f64>,
    /// Answered.
    pub reached: f64,
}

/// How many requests. Always due = answered + errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Due by the schedule.
    pub due: u64,
    /// Sent: all but the unsent and the refused.
    pub sent: u64,
    /// Answered with a status below 400.
    pub answered: u64,
    /// The others.
    pub errors: Errors,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyUs {
    /// Their mean.
    pub mean: f64,
    /// Their median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
}

/// How late the generator was, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorLag {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// What was due in one second of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Requests due.
    pub due: u64,
    /// Answered.
    pub answered: u64,
    /// The longest latency among the answered, in microseconds.
    pub max_us: f64,
}

/// A step of a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadStep {
    /// Requests a second.
    pub rate: Rates,
    /// Requests without an answer that counts.
    pub failed: u64,
    /// The median latency, in microseconds.
    pub p50_us: Option<f64>,
    /// Its 99th percentile.
    pub p99_us: Option<f64>,
    /// Whether the server kept up.
    pub kept_up: bool,
}
