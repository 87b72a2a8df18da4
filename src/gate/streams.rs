//! What the mechanisms of the streams have to reach.

use serde::Deserialize;

/// Memory pressure, watched and acted on.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PressureBudgets {
    /// The least by which acting on pressure makes it less, in percent.
    pub less_pct: f64,
    /// The monitor's share of one CPU, in percent.
    pub cpu_pct: f64,
    /// The monitor's resident memory, in megabytes.
    pub memory_mb: f64,
    /// How far a baseline may move over three runs before it is said to, in percent.
    pub steady_pct: f64,
}

/// When the report calls a row at risk although it passes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The fewest results through which a line is laid.
    pub results: usize,
    /// How many results ahead that line must stay within the limit.
    pub ahead: usize,
}

/// Images from a store to a tree that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The most time a pull may take by EROFS, as a share of what unpacking takes.
    pub vs_tar: f64,
    /// The same, of what composefs takes.
    pub vs_composefs: f64,
}
