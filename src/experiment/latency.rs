//! Latencies of single operations, counted.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A histogram of nanoseconds, to three digits, up to a minute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latency(Histogram<u64>);

impl Latency {
    /// Counts one operation; a longer one than a minute counts as a minute.
    pub fn record(&mut self, ns: f64) {
        self.0.saturating_record(ns as u64);
    }

    /// Adds the operations of `other`.
    pub fn add(&mut self, other: &Self) {
        for (ns, count) in Vec::from(other.clone()) {
            self.0.saturating_record_n(ns, count);
        }
    }

    /// The `q`-quantile in nanoseconds, `q` in 0..=1; 0 where nothing was counted.
    pub fn quantile(&self, q: f64) -> f64 {
        self.0.value_at_quantile(q) as f64
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"))
    }
}

impl From<Vec<(u64, u64)>> for Latency {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut latency = Self::default();
        for (ns, count) in counts {
            latency.0.saturating_record_n(ns, count);
        }
        latency
    }
}

impl From<Latency> for Vec<(u64, u64)> {
    fn from(latency: Latency) -> Self {
        let recorded = latency.0.iter_recorded();
        recorded
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_survive_the_way_to_json_and_back() {
        let mut latency = Latency::default();
        (1..=10_000).for_each(|ns| latency.record(f64::from(ns)));
        let text = serde_json::to_string(&latency).unwrap();
        let mut back: Latency = serde_json::from_str(&text).unwrap();
        for q in [0.5, 0.95, 0.99, 1.0] {
            assert_eq!(back.quantile(q), latency.quantile(q));
            assert!((back.quantile(q) / (10_000.0 * q) - 1.0).abs() < 0.002);
        }
        back.add(&latency);
        assert_eq!(back.quantile(0.5), latency.quantile(0.5));
    }

    #[test]
    fn an_hour_counts_as_a_minute() {
        let mut latency = Latency::default();
        latency.record(3.6e12);
        assert!((latency.quantile(1.0) / 60e9 - 1.0).abs() < 0.2);
    }
}
