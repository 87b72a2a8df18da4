//! The controls that belong to no one workload: whether the instrument itself is sound.

use std::time::Duration;

use super::request::OverheadRequest;
use crate::agent::Agent;
use crate::experiment::{Failure, Plan, calibrate, compare, parts, proportionality, unhooked};
use crate::process::interrupted;
use crate::schema::overhead::{Controls, Pair, Proportionality, Unhooked};
use crate::stats::median;
use crate::workload::{Getppid, Name, Workload};

/// Measures each. Gives why some could not be; the others are all the same.
pub(super) fn measure(
    controls: &mut Controls,
    workloads: &mut [(Name, Box<dyn Workload>)],
    agent: Option<&mut Agent>,
    request: &OverheadRequest,
    progress: &mut impl FnMut(&str, f64),
) -> Vec<Failure> {
    let length = (request.length / 3).min(Duration::from_secs(3));
    let plan = Plan {
        length,
        ..request.assignment.plan
    };
    let mut failures = Vec::new();
    if let Some((_, workload)) = workloads.first_mut() {
        progress("twice the operations", 0.0);
        let ratio = || proportionality(&mut **workload, length / 3);
        let ratio = kept(ratio, &mut failures);
        controls.proportionality = ratio.map(|ratio| Proportionality {
            ratio,
            verdict: None,
        });
    }
    let Some(agent) = agent else {
        return failures;
    };
    progress("calibration", 0.0);
    let calibration = || calibrate(agent.pid(), length, plan.seed);
    controls.calibration = kept(calibration, &mut failures);
    progress("a call not hooked", 0.0);
    let unhooked = || other_call(agent, &plan);
    controls.unhooked = kept(unhooked, &mut failures).flatten();
    if let Some((_, workload)) = workloads
        .iter_mut()
        .find(|(name, _)| *name == Name::OpenClose)
        && agent.blind_to(true, false).is_none()
    {
        progress("parts of an event", 0.0);
        let found = || parts(&mut **workload, agent, length, plan.seed);
        controls.parts = kept(found, &mut failures);
    }
    failures
}

/// What a call costs that no hook looks at; none where there were too few rounds.
fn other_call(agent: &mut Agent, plan: &Plan) -> Result<Option<Unhooked>, Failure> {
    let rounds = unhooked(&mut Getppid, agent, plan)?;
    let off: Vec<f64> = rounds
        .iter()
        .flatten()
        .step_by(2)
        .flatten()
        .map(|b| b.ns_per_op)
        .collect();
    let pairs: Vec<Pair> = rounds
        .iter()
        .map(|[off, hook]| Pair::of(hook, off))
        .collect();
    Ok(compare(&pairs).map(|vs_off| Unhooked {
        call: "getppid".into(),
        off_ns: median(&off).unwrap_or(0.0),
        vs_off,
    }))
}

/// What is measured; or nothing, and why beside the other failures. Nothing is after Ctrl-C.
fn kept<T>(measure: impl FnOnce() -> Result<T, Failure>, failures: &mut Vec<Failure>) -> Option<T> {
    if interrupted() {
        return None;
    }
    measure().map_err(|failure| failures.push(failure)).ok()
}
