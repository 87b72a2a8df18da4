//! All arms of a workload in one process, in rounds of randomised order.

use std::time::{Duration, Instant};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::{Block, Failure, Latency, Timer};
use crate::agent::{Agent, Counters};
use crate::schema::OverheadArm;
use crate::stats::{CONFIDENCE, runs_for_median_interval};
use crate::workload::{Calls, Workload};

/// How to interleave.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Plan {
    /// How long all rounds may take together.
    pub length: Duration,
    /// How long one block is.
    pub block: Duration,
    /// The seed of the order of arms.
    pub seed: u64,
}

/// What is thrown away after each switch.
const SETTLE: Duration = Duration::from_millis(1);

/// The blocks of one round: each arm twice, in an order and its mirror image,
/// so that a drift of the machine weighs on all arms alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    /// Without the agent.
    pub off: [Block; 2],
    /// Without the agent, once more: the control.
    pub again: [Block; 2],
    /// With the agent, where there is one.
    pub hooked: Option<Hooked>,
}

/// The blocks of one round under the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hooked {
    /// Attached and silent.
    pub hook: [Block; 2],
    /// Attached, an event for every operation.
    pub event: [Block; 2],
}

/// Latencies of single operations by arm, in nanoseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latencies {
    /// Without the agent.
    pub off: Latency,
    /// Attached and silent.
    pub hook: Latency,
    /// An event for every operation.
    pub event: Latency,
}

/// All that one process measured of one workload.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// The CPU time of the consumer during `event` blocks.
    pub consumer_cpu: Duration,
    /// How long the `event` blocks took, with the drain behind each.
    pub event_time: Duration,
    /// What one reading of the clock costs, in nanoseconds; it has been taken
    /// off every figure.
    pub clock_ns: f64,
    /// Operations timed together for the mean.
    pub batch: u64,
}

impl Measured {
    /// The share of a CPU that the consumer used during `event` blocks.
    pub fn consumer_cpu_share(&self) -> Option<f64> {
        (!self.event_time.is_zero())
            .then(|| self.consumer_cpu.as_secs_f64() / self.event_time.as_secs_f64())
    }
}

/// Measures `workload` in interleaved rounds until the plan's time is up, one
/// round at least.
pub fn interleave(
    workload: &mut dyn Workload,
    mut agent: Option<&mut Agent>,
    plan: &Plan,
) -> Result<Measured, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut timer = Timer::new(workload)?;
    timer.settle(workload, plan.block)?;
    let mut measured = Measured {
        rounds: Vec::new(),
        latencies: Latencies::default(),
        hook_counts: Counters::default(),
        event_counts: Counters::default(),
        received: 0,
        consumer_cpu: Duration::ZERO,
        event_time: Duration::ZERO,
        clock_ns: timer.clock_ns(),
        batch: timer.batch(),
    };
    let begin = Instant::now();
    while measured.rounds.is_empty() || begin.elapsed() < plan.length {
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
pub(super) fn mirrored(rng: &mut Rng, arms: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..arms).collect();
    rng.shuffle(&mut order);
    let mirror: Vec<usize> = order.iter().rev().copied().collect();
    order.extend(mirror);
    order
}

fn round(blocks: &[(usize, Block)], hooked: bool) -> Round {
    Round {
        off: both(blocks, OFF),
        again: both(blocks, AGAIN),
        hooked: hooked.then(|| Hooked {
            hook: both(blocks, HOOK),
            event: both(blocks, EVENT),
        }),
    }
}

/// The two blocks of one place.
fn both(blocks: &[(usize, Block)], wanted: usize) -> [Block; 2] {
    let mut two = blocks.iter().filter(|(place, _)| *place == wanted);
    let mut next = || {
        two.next()
            .expect("each place stands twice in a mirrored order")
            .1
    };
    [next(), next()]
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
    proven(OverheadArm::Hook, &counts, block.ops, workload.calls())?;
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
    // Reading the CPU time opens a file, so it stands outside what is counted.
    let (cpu_before, begin) = (agent.consumer_cpu_time()?, Instant::now());
    let before = agent.drain()?;
    let block = timer.block(workload, plan.block, &mut measured.latencies.event)?;
    let after = agent.drain()?;
    measured.consumer_cpu += agent.consumer_cpu_time()? - cpu_before;
    measured.event_time += begin.elapsed();
    let counts = after.total() - before.total();
    proven(OverheadArm::Event, &counts, block.ops, workload.calls())?;
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
fn proven(arm: OverheadArm, counts: &Counters, ops: u64, calls: Calls) -> Result<(), Failure> {
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

/// Rounds of `off` and `hook` of a call that the agent does not watch: what its
/// hooks cost the rest of the system. Gives the blocks of
/// `off` and of `hook`, a round.
pub fn unhooked(
    workload: &mut dyn Workload,
    agent: &mut Agent,
    plan: &Plan,
) -> Result<Vec<[[Block; 2]; 2]>, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut timer = Timer::new(workload)?;
    let mut scrap = Latency::default();
    let mut rounds = Vec::new();
    let begin = Instant::now();
    agent.set_emitting(false)?;
    while rounds.len() < runs_for_median_interval(CONFIDENCE) || begin.elapsed() < plan.length {
        let mut blocks = Vec::new();
        for place in mirrored(&mut rng, 2) {
            if place == OFF {
                agent.detach();
            } else {
                agent.attach()?;
            }
            timer.settle(workload, SETTLE)?;
            blocks.push((place, timer.block(workload, plan.block, &mut scrap)?));
        }
        rounds.push([both(&blocks, OFF), both(&blocks, 1 - OFF)]);
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
        assert!(proven(OverheadArm::Hook, &fired, 100, calls).is_ok());
        let silent = proven(OverheadArm::Hook, &Counters::default(), 100, calls).unwrap_err();
        assert!(
            silent.to_string().contains("saw 0 of 100 calls"),
            "{silent}"
        );
        let unbalanced = Counters {
            seen: 100,
            filtered: 99,
            ..Counters::default()
        };
        assert!(proven(OverheadArm::Hook, &unbalanced, 100, calls).is_err());
    }
}
