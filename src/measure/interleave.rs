//! All arms of a workload in one process, in rounds of randomised order.

use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;

use super::{Arm, Block, Failure, Timer};
use crate::agent::{Agent, Counters};
use crate::workload::{Calls, Workload};

/// How to interleave.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How long all rounds of one workload may take together.
    pub length: Duration,
    /// How long one block is.
    pub block: Duration,
    /// The seed of the order of arms.
    pub seed: u64,
}

/// What is thrown away after each switch.
const SETTLE: Duration = Duration::from_millis(1);

/// Fewer rounds than this give no interval, however short the time allowed.
const FEWEST_ROUNDS: usize = 8;

/// The blocks of one round: each arm twice, in an order and its mirror image,
/// so that a drift of the machine weighs on all arms alike.
#[derive(Debug, Clone)]
pub struct Round {
    /// Without the agent.
    pub off: [Block; 2],
    /// Without the agent, once more: the control.
    pub again: [Block; 2],
    /// With the agent, where there is one.
    pub hooked: Option<Hooked>,
}

/// The blocks of one round under the agent.
#[derive(Debug, Clone)]
pub struct Hooked {
    /// Attached and silent.
    pub hook: [Block; 2],
    /// Attached, an event for every operation.
    pub event: [Block; 2],
}

/// Latencies of single operations by arm, in nanoseconds.
#[derive(Debug)]
pub struct Latencies {
    /// Without the agent.
    pub off: Histogram<u64>,
    /// Attached and silent.
    pub hook: Histogram<u64>,
    /// An event for every operation.
    pub event: Histogram<u64>,
}

/// All that was measured of one workload.
#[derive(Debug)]
pub struct Measured {
    /// The rounds, in the order in which they ran.
    pub rounds: Vec<Round>,
    /// Latencies over all rounds.
    pub latencies: Latencies,
    /// The agent's counts over all `hook` blocks.
    pub hook_counts: Counters,
    /// The agent's counts over all `event` blocks.
    pub event_counts: Counters,
    /// Records the consumer took during `event` blocks.
    pub received: u64,
    /// What one reading of the clock costs, in nanoseconds; it has been taken
    /// off every figure.
    pub clock_ns: f64,
    /// Operations timed together for the mean.
    pub batch: u64,
}

/// Measures `workload` in interleaved rounds until the plan's time is up.
/// `progress` is told the share of the time that has passed.
pub fn interleave(
    workload: &mut dyn Workload,
    mut agent: Option<&mut Agent>,
    plan: &Plan,
    mut progress: impl FnMut(f64),
) -> Result<Measured, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut timer = Timer::new(workload)?;
    timer.settle(workload, plan.block)?;
    let mut measured = Measured {
        rounds: Vec::new(),
        latencies: Latencies {
            off: histogram(),
            hook: histogram(),
            event: histogram(),
        },
        hook_counts: Counters::default(),
        event_counts: Counters::default(),
        received: 0,
        clock_ns: timer.clock_ns(),
        batch: timer.batch(),
    };
    let begin = Instant::now();
    while measured.rounds.len() < FEWEST_ROUNDS || begin.elapsed() < plan.length {
        let mut blocks = Vec::new();
        for place in mirrored(&mut rng, if agent.is_some() { 4 } else { 2 }) {
            let block = match (place, agent.as_deref_mut()) {
                (OFF | AGAIN, agent) => {
                    if let Some(agent) = agent {
                        agent.detach();
                    }
                    timer.settle(workload, SETTLE)?;
                    timer.block(workload, plan.block, &mut measured.latencies.off)?
                }
                (HOOK, Some(agent)) => silent(workload, agent, &mut timer, plan, &mut measured)?,
                (_, Some(agent)) => emitting(workload, agent, &mut timer, plan, &mut measured)?,
                (_, None) => unreachable!("only off arms are drawn without an agent"),
            };
            blocks.push((place, block));
        }
        measured.rounds.push(round(&blocks, agent.is_some()));
        progress((begin.elapsed().as_secs_f64() / plan.length.as_secs_f64()).min(1.0));
    }
    if let Some(agent) = agent {
        agent.detach();
    }
    Ok(measured)
}

const OFF: usize = 0;
const AGAIN: usize = 1;
const HOOK: usize = 2;
const EVENT: usize = 3;

/// The places 0..`arms` shuffled, and then in reverse.
fn mirrored(rng: &mut Rng, arms: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..arms).collect();
    rng.shuffle(&mut order);
    let mirror: Vec<usize> = order.iter().rev().copied().collect();
    order.extend(mirror);
    order
}

fn round(blocks: &[(usize, Block)], hooked: bool) -> Round {
    let of = |wanted: usize| {
        let mut two = blocks
            .iter()
            .filter(|(place, _)| *place == wanted)
            .map(|(_, b)| *b);
        let mut next = || {
            two.next()
                .expect("each place stands twice in a mirrored order")
        };
        [next(), next()]
    };
    Round {
        off: of(OFF),
        again: of(AGAIN),
        hooked: hooked.then(|| Hooked {
            hook: of(HOOK),
            event: of(EVENT),
        }),
    }
}

/// One block of `hook`: every call is seen, and none becomes an event.
fn silent(
    workload: &mut dyn Workload,
    agent: &mut Agent,
    timer: &mut Timer,
    plan: &Plan,
    measured: &mut Measured,
) -> Result<Block, Failure> {
    agent.set_emitting(false)?;
    agent.attach()?;
    timer.settle(workload, SETTLE)?;
    let before = agent.stats()?.total();
    let block = timer.block(workload, plan.block, &mut measured.latencies.hook)?;
    let counts = agent.stats()?.total() - before;
    proven(Arm::Hook, &counts, block.ops, workload.calls())?;
    if counts.submitted + counts.failed > 0 {
        return Err(Failure::Harness(format!(
            "{} events in a block of the hook arm, where no rule matches",
            counts.submitted + counts.failed
        )));
    }
    measured.hook_counts = measured.hook_counts + counts;
    Ok(block)
}

/// One block of `event`: every call becomes an event or is counted as lost,
/// and what was submitted has been received before the block counts.
fn emitting(
    workload: &mut dyn Workload,
    agent: &mut Agent,
    timer: &mut Timer,
    plan: &Plan,
    measured: &mut Measured,
) -> Result<Block, Failure> {
    agent.set_emitting(true)?;
    agent.attach()?;
    timer.settle(workload, SETTLE)?;
    let before = agent.drain()?;
    let block = timer.block(workload, plan.block, &mut measured.latencies.event)?;
    let after = agent.drain()?;
    let counts = after.total() - before.total();
    proven(Arm::Event, &counts, block.ops, workload.calls())?;
    if after.received - before.received != counts.submitted {
        return Err(Failure::Harness(format!(
            "{} events were submitted in a block and {} received",
            counts.submitted,
            after.received - before.received
        )));
    }
    measured.event_counts = measured.event_counts + counts;
    measured.received += after.received - before.received;
    Ok(block)
}

/// Whether the agent really fired: it saw what the workload did, and each call
/// it saw went one of the three ways.
fn proven(arm: Arm, counts: &Counters, ops: u64, calls: Calls) -> Result<(), Failure> {
    let expected = ops * (calls.opens + calls.connects);
    if counts.seen < expected {
        return Err(Failure::Harness(format!(
            "the agent saw {} of {expected} calls in a block of the {arm} arm",
            counts.seen
        )));
    }
    if !counts.balanced() {
        return Err(Failure::Harness(format!(
            "the agent's counts do not add up in a block of the {arm} arm: {counts:?}"
        )));
    }
    Ok(())
}

/// From one nanosecond to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds")
}

/// Rounds of `off` and `hook` of a call that the agent does not watch: what its
/// hooks cost the rest of the system. The agent must see none of it.
pub fn unhooked(
    workload: &mut dyn Workload,
    agent: &mut Agent,
    plan: &Plan,
) -> Result<Vec<(Block, Block)>, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut timer = Timer::new(workload)?;
    let mut scrap = histogram();
    let mut rounds = Vec::new();
    let begin = Instant::now();
    agent.set_emitting(false)?;
    while rounds.len() < FEWEST_ROUNDS || begin.elapsed() < plan.length {
        let (mut off, mut hook) = (Vec::new(), Vec::new());
        for place in mirrored(&mut rng, 2) {
            if place == 0 {
                agent.detach();
            } else {
                agent.attach()?;
            }
            timer.settle(workload, SETTLE)?;
            let block = timer.block(workload, plan.block, &mut scrap)?;
            if place == 0 { &mut off } else { &mut hook }.push(block);
        }
        rounds.extend(off.into_iter().zip(hook));
    }
    agent.detach();
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_its_own_mirror_and_holds_each_arm_twice() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..50 {
            let order = mirrored(&mut rng, 4);
            let reversed: Vec<_> = order.iter().rev().copied().collect();
            assert_eq!(order, reversed);
            for place in 0..4 {
                assert_eq!(order.iter().filter(|&&p| p == place).count(), 2);
            }
        }
    }

    #[test]
    fn an_order_repeats_with_its_seed_and_differs_without() {
        let orders = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..10).map(|_| mirrored(&mut rng, 4)).collect::<Vec<_>>()
        };
        assert_eq!(orders(1), orders(1));
        assert_ne!(orders(1), orders(2));
    }

    #[test]
    fn a_hook_that_did_not_fire_is_an_error() {
        let calls = Calls {
            opens: 1,
            connects: 0,
        };
        let fired = Counters {
            seen: 100,
            filtered: 100,
            ..Counters::default()
        };
        assert!(proven(Arm::Hook, &fired, 100, calls).is_ok());
        let silent = proven(Arm::Hook, &Counters::default(), 100, calls).unwrap_err();
        assert!(
            silent.to_string().contains("saw 0 of 100 calls"),
            "{silent}"
        );
        let unbalanced = Counters {
            seen: 100,
            filtered: 99,
            ..Counters::default()
        };
        assert!(proven(Arm::Hook, &unbalanced, 100, calls).is_err());
    }
}
