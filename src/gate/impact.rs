//! What an agent may cost a real program.

use serde::Deserialize;

use super::Limit;
use crate::schema::impact::ImpactMeasure;

/// Limits of `probecost impact`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImpactLimits {
    /// What a job may take longer, in percent.
    pub seconds_pct: Steps,
    /// What throughput may be lost, in percent.
    pub throughput_pct: Steps,
    /// What the 95th percentile of latency may grow by, in percent.
    pub p95_pct: Steps,
    /// What the 99th may.
    pub p99_pct: Steps,
    /// CPU time beyond that without the agent, in percent of all CPUs' time.
    pub cpu_points: f64,
    /// Memory of the agent, resident and of its maps, in megabytes (10^6 bytes).
    pub memory_mb: f64,
    /// The least share of events that must arrive, in percent.
    pub captured_pct: f64,
}

/// A limit of two steps.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// The most that passes.
    pub pass: f64,
    /// The most that is marginal; more fails.
    pub fail: f64,
}

impl ImpactLimits {
    /// The limit of a measure, none where it is only shown.
    pub fn of(&self, measure: ImpactMeasure) -> Option<Limit> {
        let steps = |Steps { pass, fail }| Limit::Steps { pass, fail };
        Some(match measure {
            ImpactMeasure::Seconds => steps(self.seconds_pct),
            ImpactMeasure::Throughput => steps(self.throughput_pct),
            ImpactMeasure::P95 => steps(self.p95_pct),
            ImpactMeasure::P99 => steps(self.p99_pct),
            ImpactMeasure::CpuPoints => Limit::AtMost(self.cpu_points),
            ImpactMeasure::MemoryMb => Limit::AtMost(self.memory_mb),
            ImpactMeasure::CapturedPct => Limit::AtLeast(self.captured_pct),
            ImpactMeasure::P50
            | ImpactMeasure::Max
            | ImpactMeasure::AgentCpuPoints
            | ImpactMeasure::Errors
            | ImpactMeasure::MapsMb
            | ImpactMeasure::Switches
            | ImpactMeasure::Dropped => return None,
        })
    }

    /// The first limit whose steps do not rise.
    pub(super) fn falling(&self) -> Option<&'static str> {
        let steps = [
            ("seconds_pct", self.seconds_pct),
            ("throughput_pct", self.throughput_pct),
            ("p95_pct", self.p95_pct),
            ("p99_pct", self.p99_pct),
        ];
        let falling = steps.iter().find(|(_, steps)| steps.fail < steps.pass);
        falling.map(|(key, _)| *key)
    }

    /// Every number by its key.
    pub(super) fn numbers(&self) -> Vec<(String, f64)> {
        let steps = [
            ("seconds_pct", self.seconds_pct),
            ("throughput_pct", self.throughput_pct),
            ("p95_pct", self.p95_pct),
            ("p99_pct", self.p99_pct),
        ];
        let both = steps.iter().flat_map(|(key, Steps { pass, fail })| {
            [
                (format!("impact.{key}.pass"), *pass),
                (format!("impact.{key}.fail"), *fail),
            ]
        });
        let single = [
            ("impact.cpu_points", self.cpu_points),
            ("impact.memory_mb", self.memory_mb),
            ("impact.captured_pct", self.captured_pct),
        ];
        both.chain(single.map(|(key, value)| (key.to_owned(), value)))
            .collect()
    }
}
