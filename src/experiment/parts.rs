//! What each part of an event costs.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{Failure, Timer};
use crate::agent::{Agent, Fields};
use crate::schema::overhead::EventParts;
use crate::stats::{CONFIDENCE, median_interval};
use crate::workload::Workload;

/// What is told apart, `None` being the silent hook.
const VARIANTS: [Option<Fields>; 7] = [
    None,
    Some(Fields::empty()),
    Some(Fields::TIME),
    Some(Fields::COMM),
    Some(Fields::CGROUP),
    Some(Fields::TARGET),
    Some(Fields::all()),
];

/// Switching fields takes a microsecond, so stretches can be short.
const STRETCH: Duration = Duration::from_millis(3);

/// Emits events with one field at a time, in short stretches of random order,
/// and pairs each with the others of its round.
pub fn parts(
    workload: &mut dyn Workload,
    agent: &mut Agent,
    length: Duration,
    seed: u64,
) -> Result<EventParts, Failure> {
    let timer = Timer::new(workload)?;
    let mut rng = Rng::with_seed(seed);
    let mut rounds: Vec<[f64; VARIANTS.len()]> = Vec::new();
    agent.attach()?;
    let begin = Instant::now();
    while rounds.len() < 16 || begin.elapsed() < length {
        let mut order: Vec<usize> = (0..VARIANTS.len()).collect();
        rng.shuffle(&mut order);
        let mut took = [0.0; VARIANTS.len()];
        for place in order {
            agent.set_emitting(VARIANTS[place].is_some())?;
            agent.set_fields(VARIANTS[place].unwrap_or(Fields::all()))?;
            timer.settle(workload, STRETCH / 6)?;
            took[place] = timer.batches(workload, STRETCH)?.1;
            agent.drain()?;
        }
        rounds.push(took);
    }
    agent.set_emitting(false)?;
    agent.set_fields(Fields::all())?;
    agent.detach();
    let over = |variant: usize, base: usize| {
        let differences: Vec<f64> = rounds
            .iter()
            .map(|took| took[variant] - took[base])
            .collect();
        median_interval(&differences, CONFIDENCE)
            .ok_or_else(|| Failure::Harness("too few rounds to take an event apart".into()))
    };
    Ok(EventParts {
        ring: over(1, 0)?,
        time: over(2, 1)?,
        comm: over(3, 1)?,
        cgroup: over(4, 1)?,
        path: over(5, 1)?,
        full: over(6, 0)?,
    })
}
