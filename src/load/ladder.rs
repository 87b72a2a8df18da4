//! Rates that climb, to find the one up to which a server keeps up.

use std::time::Duration;

use super::report::{WholeLoad, whole};
use super::{LoadPlan, Regime};
use crate::host::Obstacle;
use crate::process::interrupted;
use crate::schema::Outcome;
use crate::schema::load::{Load, LoadStep};

/// The steps, as shares of what the server does at saturation.
const STEPS: [f64; 11] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1];
/// How many times the median of the lowest step still counts as keeping up. Not of the
/// p99: on a machine that others share it moves by more from step to step.
const LONGER: f64 = 10.0;

/// Finds what the server can do, and holds each step of it for `length`. The document is
/// that of the highest step that it kept up with, or of the lowest.
///
/// # Errors
/// As [`whole`].
pub fn climb(
    plan: &LoadPlan,
    length: Duration,
    mut progress: impl FnMut(f64),
) -> Result<Load, Obstacle> {
    let all = (STEPS.len() + 1) as f64;
    let saturated = LoadPlan {
        regime: Regime::Saturation,
        ..plan.clone()
    };
    let saturated = whole(&saturated, length, |share| progress(share / all))?;
    if interrupted() {
        return Ok(saturated.report());
    }
    let most = saturated.rates().reached;
    if most < 1.0 {
        return Err(Obstacle::new(
            format!("{} does not answer a single request a second", plan.target),
            "look at it with a low rate first: --rate 1",
        ));
    }
    let mut rungs: Vec<LoadStep> = Vec::new();
    let mut best: Option<WholeLoad> = None;
    let mut is_up = true;
    for (step, share) in STEPS.into_iter().enumerate() {
        let step_plan = LoadPlan {
            regime: Regime::Rate((most * share).ceil()),
            ..plan.clone()
        };
        let held = whole(&step_plan, length, |share| {
            progress((step as f64 + 1.0 + share) / all)
        })?;
        if interrupted() {
            // A step that was cut short is none, and without the others there is no knee.
            let note = format!("interrupted: {step} of {} steps", STEPS.len());
            let mut load = best.unwrap_or(held).report();
            load.notes.push(note);
            load.ladder = rungs;
            return Ok(load);
        }
        let p50 = held.tally().latency_us(0.5);
        let lowest = rungs.first().map_or(p50, |rung| rung.p50_us);
        let is_quick = p50
            .zip(lowest)
            .is_some_and(|(p50, lowest)| p50 <= LONGER * lowest);
        let kept_up = held.is_reached() && held.tally().failed() == 0 && is_quick;
        rungs.push(LoadStep {
            rate: held.rates(),
            failed: held.tally().failed(),
            p50_us: p50,
            p99_us: held.tally().latency_us(0.99),
            kept_up,
        });
        is_up &= kept_up;
        if is_up || best.is_none() {
            best = Some(held);
        }
    }
    let mut load = best.expect("there is a lowest step").report();
    let up = rungs.iter().take_while(|rung| rung.kept_up).last();
    load.knee = up.and_then(|rung| rung.rate.asked);
    if load.knee.is_none() {
        load.outcome = without_knee(load.outcome);
        load.notes
            .push("the server did not keep up with the lowest step: there is no knee".into());
    } else if is_up {
        load.notes
            .push("the server kept up with every step: the knee is higher".into());
    }
    load.ladder = rungs;
    Ok(load)
}

/// What the lowest step came to, where nothing was found by it: errors stay what they are.
fn without_knee(lowest: Outcome) -> Outcome {
    match lowest {
        Outcome::Pass => Outcome::Inconclusive,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_without_a_knee_decides_nothing_and_excuses_nothing() {
        for (lowest, whole) in [
            (Outcome::Pass, Outcome::Inconclusive),
            (Outcome::Inconclusive, Outcome::Inconclusive),
            (Outcome::Fail, Outcome::Fail),
            (Outcome::Broken, Outcome::Broken),
        ] {
            assert_eq!(without_knee(lowest), whole);
        }
    }
}
