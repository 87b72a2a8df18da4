//! What the rows come to: budgets, and what the controls say of them.

use std::str::FromStr;

use crate::gate::{self, Gate, Limit};
use crate::host::Obstacle;
use crate::schema::overhead::{Controls, OverheadRow};
use crate::schema::{Check, Exit, Outcome, OverheadArm};
use crate::stats::Interval;
use crate::workload::{Calls, Name};

/// What a workload may cost under the agent; a ratio to `off`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverheadBudget {
    /// The most for the 95th percentile.
    pub p95_ratio: Option<f64>,
    /// The most for the mean.
    pub ratio: Option<f64>,
    /// The most events lost, as a share of those wanted.
    pub drops: f64,
}

/// The budgets of gate.toml; one for a workload that does not exist is an error.
pub(super) fn budgets() -> Result<impl Fn(Name) -> OverheadBudget, Obstacle> {
    let broken = |why: String| Obstacle::new(why, "correct baselines/gate.toml");
    let gate = Gate::here().map_err(|error| broken(error.to_string()))?;
    for name in gate
        .overhead
        .p95_ratio
        .keys()
        .chain(gate.overhead.ratio.keys())
    {
        Name::from_str(name).map_err(|why| broken(format!("a budget for {name}: {why}")))?;
    }
    Ok(move |name: Name| OverheadBudget {
        p95_ratio: gate.overhead.p95_ratio.get(name.as_str()).copied(),
        ratio: gate.overhead.ratio.get(name.as_str()).copied(),
        drops: gate.agent.drops_pct / 100.0,
    })
}

impl OverheadRow {
    /// Whether more events were lost than may be.
    pub fn lost_too_many(&self) -> bool {
        let lost = |judged: &Check| judged.measure == "drops" && judged.verdict == Outcome::Fail;
        self.budgets.iter().any(lost)
    }

    /// Sets the verdict of an `event` row.
    pub(super) fn judge(&mut self, calls: Calls, budget: OverheadBudget) {
        let Some(versus) = self.vs_off else {
            self.verdict = Outcome::Inconclusive;
            self.reason = "too few rounds for an interval; give it more --seconds".into();
            return;
        };
        if versus.ratio.hi < 1.0 {
            self.verdict = Outcome::Broken;
            self.reason = format!(
                "the operation came out faster with the agent ({}): the arms were not what they say",
                show(versus.ratio)
            );
            return;
        }
        let wanted = self.ops * (calls.opens + calls.connects);
        let lost = self.drops as f64 / wanted as f64;
        self.budget = budget.p95_ratio.or(budget.ratio);
        self.budgets = [
            ("p95_ratio", budget.p95_ratio, versus.p95_ratio),
            ("ratio", budget.ratio, versus.ratio),
            ("drops", Some(budget.drops), Interval::exact(lost)),
        ]
        .into_iter()
        .filter_map(|(measure, limit, measured)| Some(gate::check(measure, limit?, measured)))
        .collect();
        for wanted in [Outcome::Fail, Outcome::Inconclusive] {
            if let Some(judged) = self.budgets.iter().find(|judged| judged.verdict == wanted) {
                self.verdict = wanted;
                self.reason = reason(judged);
                return;
            }
        }
    }
}

/// What rows come to. `off` and `hook` have no budget: they pass nothing, unless nobody asked
/// for an agent.
pub fn exit(rows: &[OverheadRow]) -> Exit {
    let is_bare = rows.iter().all(|row| row.arm == OverheadArm::Off);
    let counts = |row: &&OverheadRow| {
        is_bare || row.arm == OverheadArm::Event || row.verdict != Outcome::Pass
    };
    Exit::of(rows.iter().filter(counts).map(|row| row.verdict))
}

/// Why a budget is not kept.
fn reason(check: &Check) -> String {
    let name = match check.measure.as_str() {
        "p95_ratio" => "p95 with the agent over p95 without it",
        "ratio" => "time with the agent over time without it",
        _ => "share of events lost",
    };
    let stands = match check.verdict {
        Outcome::Fail => "over its budget of",
        _ => "on both sides of its budget of",
    };
    format!(
        "{name} is {}, {stands} {}",
        show(check.measured),
        check.limit
    )
}

/// What `off` against `off` says of a workload weighs on every arm whose time is
/// compared to it. Lost events are counted, not timed, and what is broken stays so.
pub(super) fn distrust_unsteady(rows: &mut [OverheadRow], workload: &str) {
    let rows = rows
        .iter_mut()
        .filter(|row| row.workload == workload && row.arm != OverheadArm::Off);
    for row in rows.filter(|row| row.ops > 0 && !row.lost_too_many()) {
        if row.verdict != Outcome::Broken {
            row.verdict = Outcome::Inconclusive;
            row.reason = "off against off does not hold 1: the machine was not steady; measure \
                          again, with more --seconds"
                .into();
        }
    }
}

/// An instrument that could not be shown to be sound passes nothing.
pub(super) fn distrust_unproven(rows: &mut [OverheadRow], why: &str) {
    let passed = |row: &&mut OverheadRow| row.ops > 0 && row.verdict == Outcome::Pass;
    for row in rows.iter_mut().filter(passed) {
        row.verdict = Outcome::Inconclusive;
        row.reason = why.into();
    }
}

/// Judges what shows that the instrument itself is sound. Where it is not, no row has a
/// number. Gives what a reader should know where a control could not decide.
pub(super) fn judge_controls(controls: &mut Controls, rows: &mut [OverheadRow]) -> Vec<String> {
    let mut open = Vec::new();
    let mut judge_control = |name: &str, measured: Interval, centre: f64, tolerance: f64| {
        let limit = Limit::Within {
            least: centre * (1.0 - tolerance),
            most: centre * (1.0 + tolerance),
        };
        let verdict = gate::judge(measured, limit);
        let what = format!("{name} {}, not {centre}", show(measured));
        match verdict {
            Outcome::Fail => {
                for row in rows.iter_mut().filter(|row| row.ops > 0) {
                    row.verdict = Outcome::Broken;
                    row.reason = format!("{what}: the instrument times something else");
                }
            }
            Outcome::Inconclusive => open.push(format!(
                "{what} within {:.0} %: it cannot be decided; give it more --seconds",
                100.0 * tolerance
            )),
            _ => {}
        }
        verdict
    };
    if let Some(found) = &mut controls.proportionality {
        let verdict = judge_control("twice the operations took", found.ratio, 2.0, 0.05);
        found.verdict = Some(verdict);
    }
    if let Some(found) = &mut controls.calibration {
        let verdict = judge_control("a known cost came back with slope", found.slope, 1.0, 0.03);
        found.verdict = Some(verdict);
    }
    open
}

/// `1.163 [1.161, 1.164]`.
fn show(ratio: Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", ratio.est, ratio.lo, ratio.hi)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::overhead::{Calibration, PairedComparison, Proportionality};

    const CALLS: Calls = Calls {
        opens: 1,
        connects: 0,
    };

    const ONLY_DROPS: OverheadBudget = OverheadBudget {
        p95_ratio: None,
        ratio: None,
        drops: 0.001,
    };

    fn interval(est: f64) -> Interval {
        Interval {
            est,
            lo: est - 0.01,
            hi: est + 0.01,
        }
    }

    /// An event row with these ratios, judged.
    fn judged(ratio: f64, p95_ratio: f64, drops: u64, budget: OverheadBudget) -> OverheadRow {
        let mut row = OverheadRow::empty(Name::OpenClose, OverheadArm::Event);
        row.ops = 10_000;
        row.drops = drops;
        row.vs_off = Some(PairedComparison {
            delta_ns: interval(100.0),
            ratio: interval(ratio),
            p95_ratio: interval(p95_ratio),
        });
        row.judge(CALLS, budget);
        row
    }

    #[test]
    fn a_budget_is_held_by_the_interval_not_by_the_point() {
        let budget = OverheadBudget {
            p95_ratio: Some(1.05),
            ratio: Some(1.10),
            ..ONLY_DROPS
        };
        let verdict = |ratio, p95| judged(ratio, p95, 0, budget).verdict;
        assert_eq!(verdict(1.08, 1.03), Outcome::Pass);
        assert_eq!(verdict(1.08, 1.045), Outcome::Inconclusive);
        assert_eq!(verdict(1.08, 1.07), Outcome::Fail);
        assert_eq!(verdict(1.12, 1.03), Outcome::Fail);
        let row = judged(1.2, 1.2, 0, budget);
        assert_eq!(
            row.budget,
            Some(1.05),
            "the p95 budget is the one that decides"
        );
        assert!(
            row.reason.contains("over its budget of 1.05"),
            "{}",
            row.reason
        );
    }

    #[test]
    fn lost_events_fail_without_any_other_budget() {
        assert_eq!(judged(1.2, 1.2, 9, ONLY_DROPS).verdict, Outcome::Pass);
        let row = judged(1.2, 1.2, 11, ONLY_DROPS);
        assert_eq!(row.verdict, Outcome::Fail);
        assert!(row.reason.contains("events lost"), "{}", row.reason);
    }

    #[test]
    fn an_agent_that_makes_things_faster_is_no_pass() {
        let row = judged(0.95, 0.95, 0, ONLY_DROPS);
        assert_eq!(row.verdict, Outcome::Broken);
        // But one whose interval reaches 1 may be free.
        assert_eq!(judged(0.995, 1.0, 0, ONLY_DROPS).verdict, Outcome::Pass);
    }

    #[test]
    fn only_the_row_with_budgets_passes() {
        use Outcome::{Broken, Fail, Inconclusive, Pass, Skipped};
        for (verdicts, wanted) in [
            (&[Pass, Pass, Pass][..], Exit::Passed),
            (&[Pass, Pass, Fail], Exit::Failed),
            (&[Pass, Inconclusive, Pass], Exit::Undecided),
            (&[Broken, Pass, Pass], Exit::Broken),
            // No agent could run, which is no pass; or none was asked for.
            (&[Pass, Skipped, Skipped], Exit::Broken),
            (&[Pass], Exit::Passed),
            (&[Inconclusive], Exit::Undecided),
        ] {
            let arms = [OverheadArm::Off, OverheadArm::Hook, OverheadArm::Event];
            let rows: Vec<OverheadRow> = std::iter::zip(arms, verdicts)
                .map(|(arm, verdict)| OverheadRow {
                    verdict: *verdict,
                    ..OverheadRow::empty(Name::OpenClose, arm)
                })
                .collect();
            assert_eq!(exit(&rows), wanted, "{verdicts:?}");
        }
    }

    #[test]
    fn too_few_processes_decide_nothing() {
        let mut row = OverheadRow::empty(Name::OpenClose, OverheadArm::Event);
        row.judge(CALLS, ONLY_DROPS);
        assert_eq!(row.verdict, Outcome::Inconclusive);
        assert!(row.reason.contains("--seconds"));
    }

    #[test]
    fn an_instrument_that_is_not_sound_has_no_numbers() {
        let found = |ratio: f64, slope: f64| {
            let mut controls = Controls {
                proportionality: Some(Proportionality {
                    ratio: interval(ratio),
                    verdict: None,
                }),
                calibration: Some(Calibration {
                    slope: interval(slope),
                    points: Vec::new(),
                    verdict: None,
                }),
                ..Controls::default()
            };
            let mut rows = [judged(1.2, 1.2, 0, ONLY_DROPS)];
            let open = judge_controls(&mut controls, &mut rows);
            let [row] = rows;
            (
                row.verdict,
                open.len(),
                controls.calibration.unwrap().verdict,
            )
        };
        assert_eq!(found(2.0, 1.0), (Outcome::Pass, 0, Some(Outcome::Pass)));
        assert_eq!(found(2.2, 1.0), (Outcome::Broken, 0, Some(Outcome::Pass)));
        assert_eq!(found(2.0, 0.9), (Outcome::Broken, 0, Some(Outcome::Fail)));
        let straddles = found(2.0, 1.025);
        assert_eq!(straddles, (Outcome::Pass, 1, Some(Outcome::Inconclusive)));
    }

    #[test]
    fn an_instrument_without_its_controls_passes_nothing() {
        let mut rows = [
            judged(1.2, 1.2, 0, ONLY_DROPS),
            judged(1.2, 1.2, 11, ONLY_DROPS),
        ];
        distrust_unproven(&mut rows, "no calibration");
        let verdicts = rows.map(|row| row.verdict);
        assert_eq!(verdicts, [Outcome::Inconclusive, Outcome::Fail]);
    }

    #[test]
    fn an_unsteady_machine_does_not_mend_what_is_broken() {
        let mut rows = [
            judged(0.9, 0.9, 0, ONLY_DROPS),
            judged(1.2, 1.2, 0, ONLY_DROPS),
        ];
        distrust_unsteady(&mut rows, "open_close");
        let verdicts = rows.map(|row| row.verdict);
        assert_eq!(verdicts, [Outcome::Broken, Outcome::Inconclusive]);
    }
}
