//! The budgets of a strict run and what became of them.

use serde::Serialize;

use super::artifact::{Suite, WorkloadRow};
use super::contract::StrictEvidence;
use crate::gate::{self, AgentBudgets, Gate, Limit};
use crate::schema::{Check, Exit, Outcome};
use crate::stats::Interval;

/// The one SLO table.
pub struct SloTable {
    /// Its rows.
    pub rows: Vec<SloRow>,
}

/// One budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SloRow {
    /// What happened while it was measured.
    pub scenario: String,
    /// What is limited, with its unit.
    pub measure: String,
    /// What was measured.
    pub measured: Interval,
    /// The most that is allowed.
    pub budget: f64,
    /// What became of it.
    pub status: Outcome,
    /// Why, in one sentence; empty for a plain pass.
    pub reason: String,
}

impl SloTable {
    /// What the process ends with: one budget exceeded outweighs one undecided.
    pub fn exit(&self) -> Exit {
        Exit::of(self.rows.iter().map(|row| row.status))
    }
}

/// Judges the evidence by the budgets of `gate`.
pub fn judge(evidence: &StrictEvidence, gate: &Gate) -> SloTable {
    let suite = &evidence.suite;
    let mut rows = Vec::new();
    for (scenario, workload) in [
        ("audit_mode_open", "open_close"),
        ("audit_mode_connect", "connect_loopback"),
    ] {
        let budget = gate.overhead.p95_ratio.get(key(workload));
        let row = suite.rows.iter().find(|row| row.workload == workload);
        if let (Some(row), Some(&budget)) = (row, budget) {
            let least = row.unsteady_pct / 100.0;
            rows.push(SloRow::timed(
                scenario,
                "p95_ratio",
                row.p95_ratio,
                budget,
                budget - 1.0,
                least,
            ));
        }
    }
    for row in &suite.rows {
        if let Some(ratio) = gate.overhead.ratio.get(key(&row.workload)) {
            let (scenario, measured) = (row.workload.as_str(), row.overhead_pct);
            // To the decimals that a person wrote.
            let budget = ((ratio - 1.0) * 1e4).round() / 100.0;
            let least = row.unsteady_pct;
            rows.push(SloRow::timed(
                scenario,
                "overhead_pct",
                measured,
                budget,
                budget,
                least,
            ));
        }
    }
    rows.push(drops(&suite.rows, gate));
    rows.extend(agent(suite, &gate.agent));
    // What a storm says of the agent stands there already.
    let of_agent =
        |check: &&Check| suite.storm().is_some() && OF_AGENT.contains(&check.measure.as_str());
    let soak = suite.soak.iter().flatten();
    rows.extend(
        soak.filter(|c| !of_agent(c))
            .map(|c| SloRow::soaked("soak", c)),
    );
    SloTable { rows }
}

/// What of a storm is said of the agent.
const OF_AGENT: [&str; 2] = ["memory_mb", "cpu_pct"];

/// What the agent takes, of the hooks and the whole user half under a storm. One that only
/// decodes takes less, so that it can exceed a budget and not keep one.
fn agent(suite: &Suite, budgets: &AgentBudgets) -> Vec<SloRow> {
    if let Some(storm) = suite.storm() {
        let checks = storm
            .iter()
            .filter(|c| OF_AGENT.contains(&c.measure.as_str()));
        return checks.map(|check| SloRow::soaked("agent", check)).collect();
    }
    let usage = &suite.agent;
    let memory = (usage.resident_bytes + usage.map_bytes) as f64 / 1e6;
    let decoding = [
        (memory, budgets.memory_mb),
        (usage.cpu_pct, budgets.cpu_pct),
    ];
    let rows = OF_AGENT
        .iter()
        .zip(decoding)
        .map(|(measure, (taken, budget))| {
            let mut row = SloRow::counted("agent", measure, Interval::exact(taken), budget);
            if row.status == Outcome::Pass {
                row.status = Outcome::Inconclusive;
                row.reason = "this is of an agent that only decodes, and no storm belongs to the \
                          run: tools/strict-run"
                    .into();
            }
            row
        });
    rows.collect()
}

/// The name in gate.toml of a workload of the artifacts.
fn key(workload: &str) -> &str {
    match workload {
        "connect_loopback" => "udp_connect",
        same => same,
    }
}

fn drops(rows: &[WorkloadRow], gate: &Gate) -> SloRow {
    let lost: u64 = rows.iter().map(|row| row.drops).sum();
    let handed: f64 = rows
        .iter()
        .map(|row| row.events_per_op * row.iterations as f64)
        .sum();
    let events = handed + lost as f64;
    let share = lost as f64 / events * 100.0;
    let budget = gate.agent.drops_pct;
    let mut row = SloRow::counted(
        "audit_mode_events",
        "drops_pct",
        Interval::exact(share),
        budget,
    );
    if row.status == Outcome::Pass && events < gate.agent.least_events as f64 {
        row.status = Outcome::Inconclusive;
        row.reason = format!(
            "{events:.0} events are too few to say so; {} are wanted",
            gate.agent.least_events
        );
    }
    row
}

impl SloRow {
    /// A ratio of times: `room` is what the budget leaves above no cost at all, and `least`
    /// what the machine showed where nothing differed, in the same unit.
    fn timed(
        scenario: &str,
        measure: &str,
        measured: Interval,
        budget: f64,
        room: f64,
        least: f64,
    ) -> Self {
        let mut row = Self::counted(scenario, measure, measured, budget);
        let half = (measured.hi - measured.lo) / 2.0;
        let resolves = least.max(half);
        if row.status != Outcome::Fail && room < resolves {
            row.status = Outcome::Unenforceable;
            row.reason = format!(
                "the budget leaves {room:.3}, and this machine resolves {resolves:.3}; \
                 measure for longer, or on a quieter one"
            );
        }
        row
    }

    /// A check of a soak, which knows what an interval cannot say: too few events, another
    /// rate.
    fn soaked(scenario: &str, check: &Check) -> Self {
        let mut row = Self::counted(scenario, &check.measure, check.measured, check.limit);
        if row.status == Outcome::Pass && check.verdict == Outcome::Inconclusive {
            row.status = Outcome::Inconclusive;
            row.reason = "the soak was too short, or did not hold its rate".into();
        }
        row
    }

    fn counted(scenario: &str, measure: &str, measured: Interval, budget: f64) -> Self {
        let status = gate::judge(measured, Limit::AtMost(budget));
        let reason = match status {
            Outcome::Fail => "the whole interval lies over the budget",
            Outcome::Inconclusive => "the interval lies on both sides of the budget",
            _ => "",
        };
        Self {
            scenario: scenario.into(),
            measure: measure.into(),
            measured,
            budget,
            status,
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(est: f64, half: f64) -> Interval {
        Interval {
            est,
            lo: est - half,
            hi: est + half,
        }
    }

    #[test]
    fn a_budget_below_what_the_machine_resolves_is_not_enforced() {
        let status =
            |measured, least| SloRow::timed("x", "p95_ratio", measured, 1.05, 0.05, least).status;
        assert_eq!(status(around(1.02, 0.01), 0.01), Outcome::Pass);
        assert_eq!(status(around(1.02, 0.01), 0.06), Outcome::Unenforceable);
        assert_eq!(status(around(1.02, 0.06), 0.01), Outcome::Unenforceable);
        assert_eq!(status(around(1.05, 0.01), 0.01), Outcome::Inconclusive);
        // What lies over it as a whole does so on any machine.
        assert_eq!(status(around(1.30, 0.08), 0.06), Outcome::Fail);
    }

    #[test]
    fn one_exceeded_budget_outweighs_one_undecided() {
        let row = |status| SloRow {
            status,
            ..SloRow::counted("x", "y", Interval::exact(0.0), 1.0)
        };
        let exit = |all: &[Outcome]| {
            let rows = all.iter().map(|status| row(*status)).collect();
            u8::from(SloTable { rows }.exit())
        };
        assert_eq!(exit(&[Outcome::Pass, Outcome::Pass]), 0);
        assert_eq!(exit(&[Outcome::Unenforceable, Outcome::Pass]), 3);
        assert_eq!(exit(&[Outcome::Inconclusive, Outcome::Fail]), 1);
    }
}
