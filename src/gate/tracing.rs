//! What tracing HTTP may cost, and has to see.

use serde::Deserialize;

/// Requirements of the HTTP tracer.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracingLimits {
    /// CPU time of the tracer's user half, in percent of one CPU.
    pub cpu_pct: f64,
    /// CPU time of the whole machine beyond that without the tracer, in percent of all
    /// CPUs' time.
    pub machine_cpu_points: f64,
    /// Memory, resident and of maps, in megabytes (10^6 bytes).
    pub memory_mb: f64,
    /// Its growth, in megabytes an hour.
    pub growth_mb_per_hour: f64,
    /// The least rate of events that is taken without loss.
    pub events_per_s: f64,
    /// Latency beyond that without the tracer, at any percentile, in milliseconds.
    pub added_ms: f64,
    /// The least share of requests that become spans, in percent.
    pub seen_pct: f64,
    /// From the end of a response to its span, the 99th percentile, in milliseconds.
    pub span_p99_ms: f64,
    /// The least share of the time without loss, error or stall, in percent.
    pub availability_pct: f64,
}

impl TracingLimits {
    /// Every number by its key.
    pub(super) fn numbers(&self) -> Vec<(String, f64)> {
        [
            ("cpu_pct", self.cpu_pct),
            ("machine_cpu_points", self.machine_cpu_points),
            ("memory_mb", self.memory_mb),
            ("growth_mb_per_hour", self.growth_mb_per_hour),
            ("events_per_s", self.events_per_s),
            ("added_ms", self.added_ms),
            ("seen_pct", self.seen_pct),
            ("span_p99_ms", self.span_p99_ms),
            ("availability_pct", self.availability_pct),
        ]
        .map(|(key, value)| (format!("tracing.{key}"), value))
        .to_vec()
    }
}
