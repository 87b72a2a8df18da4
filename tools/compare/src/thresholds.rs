//! Which times are judged, and beyond which change: the same for `check` and for its
//! self-test.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use probecost::gate::Gate;
use probecost::schema::GatePolicy;
use regex::Regex;

use crate::failure::Failure;

/// What gate.toml says of each benchmark under a policy.
pub struct Thresholds<'a> {
    /// The numbers of gate.toml.
    pub gate: &'a Gate,
    /// Which of its thresholds.
    pub policy: GatePolicy,
    focus: Vec<Regex>,
}

impl<'a> Thresholds<'a> {
    /// The thresholds of this gate.
    ///
    /// # Errors
    /// gate.toml has a focus pattern that is none.
    pub fn of(gate: &'a Gate, policy: GatePolicy) -> Result<Self, Failure> {
        let pattern = |p: &String| {
            Regex::new(p).map_err(|e| Failure::new(format!("gate.toml: focus pattern `{p}`: {e}")))
        };
        Ok(Self {
            gate,
            policy,
            focus: gate
                .focus
                .patterns
                .iter()
                .map(pattern)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Why a benchmark of this name is never alarmed on, where that is so.
    pub fn out_of_focus(&self, id: &str) -> Option<&'static str> {
        let inside = self.focus.is_empty() || self.focus.iter().any(|p| p.is_match(id));
        (!inside).then_some("matches none of the focus patterns of gate.toml")
    }

    /// Why a benchmark of these medians, in nanoseconds, is never alarmed on, where that
    /// is so: it is too short on both sides.
    pub fn too_short(&self, old: f64, new: f64) -> Option<String> {
        let shortest = self.gate.times.shortest_ns;
        (old.max(new) < shortest)
            .then(|| format!("shorter than {shortest} ns: shown, never alarmed on"))
    }

    /// The smallest change of this benchmark that is called, in percent.
    pub fn threshold_pct(&self, id: &str) -> f64 {
        match self.gate.benchmark.get(id) {
            Some(own) => own.change_pct,
            None => self.usual_threshold_pct(),
        }
    }

    /// A change beyond this is called, of a benchmark without a threshold of its own,
    /// in percent.
    pub fn usual_threshold_pct(&self) -> f64 {
        match self.policy {
            GatePolicy::Strict => self.gate.policy.strict.change_pct,
            GatePolicy::Advisory => self.gate.policy.advisory.change_pct,
        }
    }
}

/// Reads a policy from the command line.
pub fn policy() -> impl TypedValueParser<Value = GatePolicy> {
    let words = [
        PossibleValue::new("strict").help("For a machine of one's own"),
        PossibleValue::new("advisory")
            .help("For a machine that others share: a finding never fails"),
    ];
    PossibleValuesParser::new(words).map(|word| match word.as_str() {
        "advisory" => GatePolicy::Advisory,
        _ => GatePolicy::Strict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_of_its_own_comes_before_that_of_the_policy() {
        let mut gate = Gate::shipped();
        let mut own = gate.policy.strict;
        own.change_pct = 8.0;
        gate.benchmark.insert("a/b".into(), own);
        let strict = Thresholds::of(&gate, GatePolicy::Strict).unwrap();
        assert_eq!(strict.threshold_pct("a/b"), 8.0);
        assert_eq!(strict.threshold_pct("a/c"), gate.policy.strict.change_pct);
        let advisory = Thresholds::of(&gate, GatePolicy::Advisory).unwrap();
        assert_eq!(
            advisory.usual_threshold_pct(),
            gate.policy.advisory.change_pct
        );
    }

    #[test]
    fn what_is_never_alarmed_on_says_why() {
        let mut gate = Gate::shipped();
        gate.focus.patterns = vec!["^a/".into()];
        let thresholds = Thresholds::of(&gate, GatePolicy::Strict).unwrap();
        assert_eq!(thresholds.out_of_focus("a/b"), None);
        assert!(
            thresholds
                .out_of_focus("b/a")
                .is_some_and(|why| why.contains("focus"))
        );
        assert_eq!(thresholds.too_short(50.0, 49.0), None);
        assert_eq!(thresholds.too_short(49.0, 4900.0), None);
        assert!(
            thresholds
                .too_short(40.0, 49.0)
                .is_some_and(|why| why.contains("50 ns"))
        );
        gate.focus.patterns = vec!["(".into()];
        assert!(Thresholds::of(&gate, GatePolicy::Strict).is_err());
    }
}
