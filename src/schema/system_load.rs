//! What else went on while something was measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A share of the machine above which a measurement counts as disturbed, in percent.
const DISTURBED_PCT: f64 = 2.0;

/// What else went on between two looks. A figure that this machine does not give is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemLoad {
    /// Time that the hypervisor took away, in percent of all processors' time.
    pub steal_pct: Option<f64>,
    /// Processor time of everyone but this process and the children that it waited
    /// for, in percent of all processors' time.
    pub others_pct: Option<f64>,
    /// Time in which some task waited for a processor, in percent (pressure stall).
    pub cpu_pressure_pct: Option<f64>,
    /// The load average of the last minute before the first look.
    pub load_before: Option<f64>,
    /// The clock of the slowest and the fastest processor at the second look, in MHz.
    pub frequency_mhz: Option<(f64, f64)>,
}

impl SystemLoad {
    /// What others and the hypervisor took, in percent of all processors' time; `None` where
    /// this machine does not say.
    pub fn taken_pct(&self) -> Option<f64> {
        Some(self.others_pct? + self.steal_pct.unwrap_or(0.0))
    }

    /// Why a measurement under this load is in doubt, a reason each; empty where it is not.
    pub fn disturbances(&self) -> Vec<String> {
        [
            (
                self.steal_pct,
                "of its processor time was stolen by the hypervisor",
            ),
            (self.others_pct, "of the machine was used by other programs"),
        ]
        .into_iter()
        .filter_map(|(share, words)| {
            let share = share.filter(|s| *s >= DISTURBED_PCT)?;
            Some(format!("{share:.0} % {words}"))
        })
        .collect()
    }
}
