//! `tracing.json`: what tracing HTTP costs a server, requirement by requirement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::load::GeneratorLag;
use super::{Host, Outcome, Provenance};
use crate::stats::Interval;

/// The version of this layout.
pub const SCHEMA: u32 = 1;

/// The file's name.
pub const FILE: &str = "tracing.json";

/// What the tracer does meanwhile.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TracingArm {
    /// Nothing is attached.
    Off,
    /// It is attached, and watches another process.
    Attached,
    /// It traces the server.
    Tracing,
}

/// The arms, alternating under one running load, and what the tracer had to keep to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TracingReport {
    /// The version of this layout: 1.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// The machine.
    pub host: Host,
    /// The server.
    pub server: String,
    /// Requests a second, as they were asked for.
    pub rate: f64,
    /// Answers a second.
    pub reached: f64,
    /// How late the generator itself came to the requests.
    pub generator_lag_us: GeneratorLag,
    /// Connections.
    pub connections: usize,
    /// The whole run.
    pub seconds: f64,
    /// Of the order of the arms.
    pub seed: u64,
    /// The arms.
    pub arms: Vec<TracingArmRow>,
    /// The requirements.
    pub rows: Vec<Requirement>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// One arm, all its blocks together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TracingArmRow {
    /// Which.
    pub arm: TracingArm,
    /// Its blocks.
    pub blocks: usize,
    /// Blocks besides, in which the load fell behind by itself: they count for nothing.
    pub left_out: usize,
    /// Requests due in one of them that were answered before its end, or failed.
    pub requests: u64,
    /// Of these, those without an answer that counts.
    pub failed: u64,
    /// Requests answered after the end of their block: their latencies belong to none.
    pub across: u64,
    /// The median latency, in microseconds.
    pub p50_us: Option<f64>,
    /// The 95th percentile.
    pub p95_us: Option<f64>,
    /// The 99th percentile.
    pub p99_us: Option<f64>,
}

/// What is required, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// Of what, with its unit: `cpu_pct`, `added_p95_ms`.
    pub measure: String,
    /// What was measured; none where nothing could be.
    pub measured: Option<Interval>,
    /// The limit.
    pub limit: f64,
    /// Whether it is the least, and not the most.
    pub is_least: bool,
    /// What became of it.
    pub verdict: Outcome,
    /// Why it is no more than that; empty where the interval says it.
    pub reason: String,
}
