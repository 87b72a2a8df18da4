//! What a benchmark may cost at most, or has to reach at least.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};

use super::rule::{Limit, judge};
use crate::schema::{Measure, Outcome, Severity};
use crate::stats::Interval;

/// A limit on one figure of a benchmark. Only [`read`] makes one, so that there is none
/// with two units, or with a critical limit inside the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    measure: Measure,
    limit: f64,
    critical: Option<f64>,
}

impl Budget {
    /// What is limited.
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// The limit; keeping to it exactly is within it.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// The limit beyond which an excess is critical, where there is one.
    pub fn critical(&self) -> Option<f64> {
        self.critical
    }

    /// What a measurement comes to, and how bad it is.
    pub fn judge(&self, measured: Interval) -> (Outcome, Severity) {
        let measured = match self.measure {
            // Counted, in every run: the largest decides.
            Measure::Count => Interval::exact(measured.hi),
            Measure::Time | Measure::Rate | Measure::Share => measured,
        };
        let outcome = |limit| judge(measured, self.measure.limit(limit));
        match outcome(self.limit) {
            Outcome::Fail if self.critical.map(outcome) == Some(Outcome::Fail) => {
                (Outcome::Fail, Severity::Critical)
            }
            Outcome::Fail => (Outcome::Fail, Severity::Warning),
            other => (other, Severity::Acceptable),
        }
    }
}

impl Measure {
    /// The keys of gate.toml: of the limit, and of the critical one.
    pub fn keys(self) -> [&'static str; 2] {
        match self {
            Measure::Time => ["at_most_ns", "critical_ns"],
            Measure::Count => ["at_most", "critical"],
            Measure::Rate => ["at_least_per_s", "critical_per_s"],
            Measure::Share => ["at_most_pct", "critical_pct"],
        }
    }

    /// The limit at `value`.
    fn limit(self, value: f64) -> Limit {
        match self {
            Measure::Rate => Limit::AtLeast(value),
            Measure::Time | Measure::Count | Measure::Share => Limit::AtMost(value),
        }
    }
}

/// A budget as gate.toml has it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    at_most_ns: Option<f64>,
    critical_ns: Option<f64>,
    at_most: Option<f64>,
    critical: Option<f64>,
    at_least_per_s: Option<f64>,
    critical_per_s: Option<f64>,
    at_most_pct: Option<f64>,
    critical_pct: Option<f64>,
}

/// The table of budgets, by the benchmark's id; an error names the budget.
pub(super) fn read<'de, D: Deserializer<'de>>(
    table: D,
) -> Result<BTreeMap<String, Budget>, D::Error> {
    BTreeMap::<String, Keys>::deserialize(table)?
        .into_iter()
        .map(|(id, keys)| match Budget::try_from(keys) {
            Ok(budget) => Ok((id, budget)),
            Err(cause) => Err(D::Error::custom(format_args!("budgets.\"{id}\" {cause}"))),
        })
        .collect()
}

impl TryFrom<Keys> for Budget {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let given: Vec<_> = [
            (Measure::Time, keys.at_most_ns, keys.critical_ns),
            (Measure::Count, keys.at_most, keys.critical),
            (Measure::Rate, keys.at_least_per_s, keys.critical_per_s),
            (Measure::Share, keys.at_most_pct, keys.critical_pct),
        ]
        .into_iter()
        .filter(|(_, limit, critical)| limit.or(*critical).is_some())
        .collect();
        let [(measure, Some(limit), critical)] = given[..] else {
            return Err(
                "needs one limit, and a critical one only of the same unit: at_most_ns, \
                 at_most, at_least_per_s or at_most_pct"
                    .into(),
            );
        };
        let [limit_key, critical_key] = measure.keys();
        for (key, value) in [(limit_key, Some(limit)), (critical_key, critical)] {
            if let Some(value) = value.filter(|v| !(v.is_finite() && *v >= 0.0)) {
                return Err(format!("has {key} = {value}, which must be 0 or more"));
            }
        }
        if let Some(critical) =
            critical.filter(|c| judge(Interval::exact(*c), measure.limit(limit)) == Outcome::Pass)
        {
            return Err(format!(
                "has {critical_key} = {critical}, which must lie beyond {limit_key} = {limit}"
            ));
        }
        Ok(Self {
            measure,
            limit,
            critical,
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Measure::Time => "a time",
            Measure::Count => "a count",
            Measure::Rate => "a rate",
            Measure::Share => "a share",
        })
    }
}
