//! `gate.toml`: every number that decides a verdict, and every budget, in one place.

mod budget;
mod error;
mod impact;
mod rule;
mod streams;
mod tracing;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

pub use budget::Budget;
use error::{Cause, suggest};
pub use error::{GateError, nearest};
pub use impact::{ImpactLimits, Steps};
pub use rule::{Limit, check, judge};
pub use streams::{Image, PressureBudgets, Report};
pub use tracing::TracingLimits;

use crate::schema::{Severity, fingerprint};
use crate::stats::{CONFIDENCE, runs_for_median_interval};

/// The file that this project ships. It holds the defaults: there is no other copy of them.
const SHIPPED: &str = include_str!("../../baselines/gate.toml");

/// The table that is no default: what one project's benchmarks may cost says nothing of
/// another's.
const BUDGETS: &str = "budgets";

/// The numbers of `gate.toml`. The shipped file documents each key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    schema: u32,
    /// Thresholds by policy.
    pub policy: Policies,
    /// How times are judged.
    pub times: Times,
    /// How head and base are judged where they are measured together.
    pub duet: Duet,
    /// Names for sizes.
    pub severity: Severities,
    /// How counts are judged.
    pub counts: CountThresholds,
    /// Which benchmarks raise alarms.
    pub focus: Focus,
    /// Which arms are judged as ratios where times cannot be.
    pub ratios: Ratios,
    /// Benchmarks with a threshold of their own, by id.
    pub benchmark: BTreeMap<String, Threshold>,
    /// Budgets by the benchmark's id, in which `*` stands for anything; of the file that
    /// is read alone.
    #[serde(deserialize_with = "budget::read")]
    pub budgets: BTreeMap<String, Budget>,
    /// Budgets of the overhead instrument.
    pub overhead: Overhead,
    /// What an agent may cost a real program.
    pub impact: ImpactLimits,
    /// Budgets of the agent itself.
    pub agent: AgentBudgets,
    /// How the report finds a status.
    pub report: Report,
    /// What watching memory pressure may cost, and has to save.
    pub pressure: PressureBudgets,
    /// What pulls of images have to reach.
    pub image: Image,
    /// What tracing HTTP may cost, and has to see.
    pub tracing: TracingLimits,
    /// What learnt seccomp profiles have to reach.
    pub seccomp: SeccompLimits,
}

/// One threshold for each policy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// For a machine of one's own.
    pub strict: Threshold,
    /// For a machine that others share.
    pub advisory: Threshold,
}

/// A change beyond this is called.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// In percent of the baseline.
    pub change_pct: f64,
}

/// How times are judged.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// The chance that a suite without change raises any alarm, 0..1.
    pub family_error: f64,
    /// The lowest noise floor of any benchmark, in percent.
    pub noise_floor_min_pct: f64,
    /// The drift between two sessions that is assumed before any was seen, in percent.
    pub session_drift_pct: f64,
    /// Shorter benchmarks raise no alarm, in nanoseconds.
    pub shortest_ns: f64,
}

/// How head and base are judged where they are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duet {
    /// A change beyond this is called, in percent of base.
    pub change_pct: f64,
    /// The chance that a suite without change raises any alarm, 0..1.
    pub family_error: f64,
    /// Rounds of the screen; a round is a process of either side.
    pub screen_rounds: usize,
    /// The most fresh rounds of a benchmark that the screen left open.
    pub rounds: usize,
}

/// Above which size, in percent, a regression has which name; up to the first: acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Severities {
    /// Above this: `minor`.
    pub minor_pct: f64,
    /// Above this: `warning`.
    pub warning_pct: f64,
    /// Above this: `critical`.
    pub critical_pct: f64,
}

/// How counts of instructions and allocations are judged.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountThresholds {
    /// A change beyond this is called, in percent.
    pub change_pct: f64,
}

/// Which benchmarks raise alarms.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Focus {
    /// Regular expressions over ids; empty means all.
    pub patterns: Vec<String>,
}

/// Which arms of a workload make a ratio within one run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratios {
    /// The last parts of the ids that are divided.
    pub of: Vec<String>,
    /// The last part of the id that they are divided by.
    pub over: String,
}

/// Budgets of the overhead instrument, by workload, as ratios to the arm without the agent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overhead {
    /// Of the 95th percentile.
    pub p95_ratio: BTreeMap<String, f64>,
    /// Of the mean.
    pub ratio: BTreeMap<String, f64>,
}

/// What the agent itself may lose, take and grow by.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentBudgets {
    /// Events lost, in percent of those made.
    pub drops_pct: f64,
    /// The fewest events of which losing none says anything.
    pub least_events: u64,
    /// Resident memory and maps together, in megabytes (10^6 bytes).
    pub memory_mb: f64,
    /// Growth of resident memory under load, in megabytes an hour.
    pub growth_mb_per_hour: f64,
    /// The consumer's share of one CPU, in percent.
    pub cpu_pct: f64,
    /// The share of the time in which events were lost or none came, in percent.
    pub unavailable_pct: f64,
}

/// What learnt seccomp profiles have to reach, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeccompLimits {
    /// How many calls and bytes fewer than containers' default profile.
    pub smaller_pct: f64,
    /// The most CPU time that learning may add to a command.
    pub cost_pct: f64,
}

impl Ratios {
    /// What of an id the arms of one workload share: they stay in one run, so that one can
    /// be divided by the other.
    pub fn together<'a>(&self, id: &'a str) -> &'a str {
        match id.rsplit_once('/') {
            Some((workload, arm)) if arm == self.over || self.of.iter().any(|of| of == arm) => {
                workload
            }
            _ => id,
        }
    }
}

impl Severities {
    /// The name for a regression of this size, in percent.
    pub fn of(&self, change_pct: f64) -> Severity {
        match change_pct {
            size if size > self.critical_pct => Severity::Critical,
            size if size > self.warning_pct => Severity::Warning,
            size if size > self.minor_pct => Severity::Minor,
            _ => Severity::Acceptable,
        }
    }
}

impl Gate {
    /// A digest of all the numbers.
    pub fn digest(&self) -> String {
        format!("{:016x}", fingerprint(format!("{self:?}").as_bytes()))
    }

    /// The shipped numbers, without budgets.
    pub fn shipped() -> Self {
        Self::parse("").expect("the tests read the shipped gate.toml")
    }

    /// The numbers that hold in this directory: those of `baselines/gate.toml` where there
    /// is one, else the shipped ones with the shipped budgets.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn here() -> Result<Self, GateError> {
        let path = Path::new("baselines/gate.toml");
        if path.exists() {
            return Self::load(path);
        }
        Ok(Self::parse(SHIPPED).expect("the tests read the shipped gate.toml"))
    }

    /// The numbers in the file at `path`, laid over the shipped ones.
    ///
    /// # Errors
    /// The file cannot be read, has an unknown key (the nearest known one is
    /// suggested), or a number outside its range.
    pub fn load(path: &Path) -> Result<Self, GateError> {
        let at = |cause| GateError {
            path: path.to_owned(),
            cause,
        };
        let text = fs::read_to_string(path).map_err(|e| at(Cause::Unreadable(e)))?;
        Self::parse(&text).map_err(|cause| at(Cause::Invalid(cause)))
    }

    /// The numbers in `text`, laid over the shipped ones; an error is the cause in words.
    fn parse(text: &str) -> Result<Self, String> {
        let own: Table = text
            .parse()
            .map_err(|e: toml::de::Error| e.to_string().trim_end().to_owned())?;
        let mut table: Table = SHIPPED.parse().map_err(|e| format!("{e}"))?;
        table.insert(BUDGETS.into(), Table::new().into());
        overlay(&mut table, own);
        let gate: Gate = table.try_into().map_err(|e: toml::de::Error| {
            suggest(e.message()).unwrap_or_else(|| e.message().to_owned())
        })?;
        gate.check_ranges()?;
        Ok(gate)
    }

    fn check_ranges(&self) -> Result<(), String> {
        if self.schema != 1 {
            return Err(format!("schema is {}, this program reads 1", self.schema));
        }
        let mut positive: Vec<(String, f64)> = vec![
            (
                "policy.strict.change_pct".into(),
                self.policy.strict.change_pct,
            ),
            (
                "policy.advisory.change_pct".into(),
                self.policy.advisory.change_pct,
            ),
            (
                "times.noise_floor_min_pct".into(),
                self.times.noise_floor_min_pct,
            ),
            (
                "times.session_drift_pct".into(),
                self.times.session_drift_pct,
            ),
            ("duet.change_pct".into(), self.duet.change_pct),
            ("duet.screen_rounds".into(), self.duet.screen_rounds as f64),
            ("severity.minor_pct".into(), self.severity.minor_pct),
            ("counts.change_pct".into(), self.counts.change_pct),
            ("agent.drops_pct".into(), self.agent.drops_pct),
            ("agent.least_events".into(), self.agent.least_events as f64),
            ("agent.memory_mb".into(), self.agent.memory_mb),
            (
                "agent.growth_mb_per_hour".into(),
                self.agent.growth_mb_per_hour,
            ),
            ("agent.cpu_pct".into(), self.agent.cpu_pct),
            ("agent.unavailable_pct".into(), self.agent.unavailable_pct),
            ("report.results".into(), self.report.results as f64),
            ("report.ahead".into(), self.report.ahead as f64),
            ("pressure.less_pct".into(), self.pressure.less_pct),
            ("pressure.cpu_pct".into(), self.pressure.cpu_pct),
            ("pressure.memory_mb".into(), self.pressure.memory_mb),
            ("pressure.steady_pct".into(), self.pressure.steady_pct),
            ("seccomp.smaller_pct".into(), self.seccomp.smaller_pct),
            ("seccomp.cost_pct".into(), self.seccomp.cost_pct),
            ("image.vs_tar".into(), self.image.vs_tar),
            ("image.vs_composefs".into(), self.image.vs_composefs),
        ];
        positive.extend(
            self.benchmark
                .iter()
                .map(|(id, own)| (format!("benchmark.\"{id}\".change_pct"), own.change_pct)),
        );
        for (table, budgets) in [
            ("p95_ratio", &self.overhead.p95_ratio),
            ("ratio", &self.overhead.ratio),
        ] {
            positive.extend(
                budgets
                    .iter()
                    .map(|(workload, ratio)| (format!("overhead.{table}.{workload}"), *ratio)),
            );
        }
        positive.extend(self.impact.numbers());
        positive.extend(self.tracing.numbers());
        if let Some(key) = self.impact.falling() {
            return Err(format!("impact.{key} must rise: pass <= fail"));
        }
        for (key, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("{key} is {value}, and must be above 0"));
            }
        }
        for (key, error) in [
            ("times.family_error", self.times.family_error),
            ("duet.family_error", self.duet.family_error),
        ] {
            if !(error > 0.0 && error < 1.0) {
                return Err(format!("{key} is {error}, and must lie between 0 and 1"));
            }
        }
        let fewest = runs_for_median_interval(CONFIDENCE);
        if self.duet.rounds < fewest {
            let rounds = self.duet.rounds;
            return Err(format!(
                "duet.rounds is {rounds}, and must be {fewest} or more"
            ));
        }
        if !(self.times.shortest_ns.is_finite() && self.times.shortest_ns >= 0.0) {
            let shortest = self.times.shortest_ns;
            return Err(format!(
                "times.shortest_ns is {shortest}, and must be 0 or more"
            ));
        }
        let Severities {
            minor_pct,
            warning_pct,
            critical_pct,
        } = self.severity;
        if !(minor_pct < warning_pct && warning_pct < critical_pct && critical_pct.is_finite()) {
            return Err("severity must rise: minor_pct < warning_pct < critical_pct".into());
        }
        Ok(())
    }
}

/// Lays `own` over `table`, table by table.
fn overlay(table: &mut Table, own: Table) {
    for (key, value) in own {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Measure;

    #[test]
    fn the_shipped_file_is_whole() {
        let gate = Gate::shipped();
        assert_eq!(gate.policy.strict.change_pct, 5.0);
        assert_eq!(gate.overhead.p95_ratio["open_close"], 1.05);
    }

    #[test]
    fn a_file_need_only_hold_what_differs() {
        let gate = Gate::parse("[policy.strict]\nchange_pct = 7\n").unwrap();
        assert_eq!(gate.policy.strict.change_pct, 7.0);
        assert_eq!(gate.policy.advisory.change_pct, 20.0);
    }

    #[test]
    fn an_unknown_key_suggests_the_nearest() {
        for (text, key) in [
            ("[times]\nshortest = 40", "shortest_ns"),
            ("[time]\n", "times"),
            ("[policy.strct]\nchange_pct = 3", "strict"),
            ("[overhead]\np95_ratios = {}", "p95_ratio"),
        ] {
            let error = Gate::parse(text).unwrap_err();
            assert!(error.contains(&format!("did you mean `{key}`?")), "{error}");
        }
        let error = Gate::parse("[times]\nzzz = 1").unwrap_err();
        assert!(error.contains("unknown key `zzz`"), "{error}");
    }

    #[test]
    fn budgets_are_those_of_the_file_alone() {
        assert_eq!(Gate::shipped().budgets, BTreeMap::new());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines/gate.toml");
        let ours = Gate::load(&path).unwrap().budgets;
        let create = ours["create/1000"];
        assert_eq!(
            (create.measure(), create.limit(), create.critical()),
            (Measure::Time, 200_000.0, Some(500_000.0))
        );
        let theirs = Gate::parse("[budgets]\n\"a/b\" = { at_least_per_s = 1e6 }\n").unwrap();
        assert_eq!(theirs.budgets.len(), 1);
        assert_eq!(theirs.budgets["a/b"].measure(), Measure::Rate);
    }

    #[test]
    fn a_budget_that_makes_no_sense_is_named() {
        for (budget, cause) in [
            ("{}", "needs one limit"),
            ("{ critical_ns = 5 }", "needs one limit"),
            ("{ at_most_ns = 5, at_most = 5 }", "needs one limit"),
            ("{ at_most_ns = 5, critical = 9 }", "needs one limit"),
            ("{ at_most_ns = -1 }", "at_most_ns = -1"),
            ("{ at_most = nan }", "at_most = NaN"),
            (
                "{ at_most_pct = 1, critical_pct = inf }",
                "critical_pct = inf",
            ),
            (
                "{ at_most_ns = 5, critical_ns = 5 }",
                "beyond at_most_ns = 5",
            ),
            (
                "{ at_least_per_s = 5, critical_per_s = 9 }",
                "beyond at_least_per_s = 5",
            ),
        ] {
            let error = Gate::parse(&format!("[budgets]\n\"a/b\" = {budget}")).unwrap_err();
            assert!(
                error.starts_with("budgets.\"a/b\" ") && error.contains(cause),
                "{error}"
            );
        }
        let error = Gate::parse("[budgets]\na = { at_most_n = 5 }").unwrap_err();
        assert!(error.contains("did you mean `at_most_ns`?"), "{error}");
    }

    #[test]
    fn a_size_has_the_name_of_the_largest_limit_below_it() {
        let names = Gate::shipped().severity;
        let of = [-50.0, 5.0, 5.1, 15.0, 15.1, 30.0, 30.1].map(|pct| names.of(pct));
        use Severity::{Acceptable, Critical, Minor, Warning};
        assert_eq!(
            of,
            [
                Acceptable, Acceptable, Minor, Minor, Warning, Warning, Critical
            ]
        );
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        for (text, key) in [
            (
                "[policy.strict]\nchange_pct = -5",
                "policy.strict.change_pct",
            ),
            (
                "[policy.strict]\nchange_pct = nan",
                "policy.strict.change_pct",
            ),
            ("[times]\nfamily_error = 1.5", "times.family_error"),
            ("[times]\nshortest_ns = -1", "times.shortest_ns"),
            ("[severity]\nminor_pct = 20", "severity"),
            (
                "[benchmark]\n\"a/b\" = { change_pct = 0 }",
                "benchmark.\"a/b\".change_pct",
            ),
            (
                "[overhead]\nratio = { open_close = 0 }",
                "overhead.ratio.open_close",
            ),
            ("schema = 2", "schema"),
        ] {
            let error = Gate::parse(text).unwrap_err();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn an_error_names_the_file() {
        let error = Gate::load(Path::new("/nowhere/gate.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/nowhere/gate.toml: No such file"),
            "{error}"
        );
        let wrong = Gate::parse("[times").unwrap_err();
        assert!(wrong.contains("line 1"), "{wrong}");
    }
}
