//! What one step more costs, and how long a stalled consumer is waited for.

use std::fs::File;
use std::time::{Duration, Instant};

use probecost::agent::Agent;
use probecost::host::Obstacle;
use probecost::stats::{lack_of_fit, median, slope};
use probecost::workload::default_file;
use probecost_bench::figures::Figures;

use crate::STEPS;
use crate::steps::agent_steps;

/// How often each length is timed, and how many times make one of these.
const LOOKS: usize = 20;
const TOGETHER: usize = 5;

/// What one step more costs: the slope of the time over the number of steps, the
/// lengths in a random order, so that drift does not look like a slope; and how surely
/// the time is no straight line of the steps.
pub fn steps_slope(agent: &Agent, figures: &mut Figures) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut points = Vec::new();
    for _ in 0..LOOKS {
        let mut lengths = STEPS;
        random.shuffle(&mut lengths);
        for steps in lengths {
            let times = [(); TOGETHER].map(|()| {
                let start = Instant::now();
                agent_steps(agent, steps);
                start.elapsed().as_nanos() as f64
            });
            points.extend(median(&times).map(|ns| (f64::from(steps), ns)));
        }
    }
    if let Some(step) = slope(&points, 0.99) {
        println!(
            "one step of a scenario: {:.2} µs (99 %: {:.2} to {:.2})",
            step.est / 1e3,
            step.lo / 1e3,
            step.hi / 1e3
        );
        figures.estimate("scenario_agent/step", "ns", step);
    }
    // The time of a step over the part that is not repeated: the same line, and the same
    // spread at each length, which the test takes for granted.
    let of_a_step: Vec<(f64, f64)> = points.iter().map(|(n, ns)| (1.0 / n, ns / n)).collect();
    if let Some(sure) = lack_of_fit(&of_a_step) {
        println!(
            "the time of a scenario is no line of its steps: {:.1} % sure",
            100.0 * sure
        );
        figures.count("scenario_agent/lack_of_fit", "percent", 100.0 * sure);
    }
}

/// How long a drain really waits for a consumer that has stalled, four at once.
pub fn time_outs(agent: &Agent, figures: &mut Figures) -> Result<(), Obstacle> {
    agent.drain()?;
    agent.pause_consumer(true);
    let _ = File::open(default_file());
    let waited: Vec<(f64, Duration, bool)> = std::thread::scope(|scope| {
        let waits: Vec<_> = [0.1, 0.5, 1.0, 5.0]
            .map(|limit| {
                scope.spawn(move || {
                    let start = Instant::now();
                    let gave_up = agent.drain_within(Duration::from_secs_f64(limit)).is_err();
                    (limit, start.elapsed(), gave_up)
                })
            })
            .into_iter()
            .collect();
        waits
            .into_iter()
            .filter_map(|wait| wait.join().ok())
            .collect()
    });
    agent.pause_consumer(false);
    for (limit, waited, gave_up) in waited {
        let over = waited.as_secs_f64() - limit;
        println!(
            "a stalled consumer, limit {limit} s: {} after {:.4} s",
            if gave_up {
                "given up"
            } else {
                "taken for whole"
            },
            waited.as_secs_f64()
        );
        if !gave_up {
            return Err(Obstacle::new(
                format!("a drain of a stalled consumer did not give up after {limit} s"),
                "report this: it waited for events that cannot come",
            ));
        }
        figures.count(format!("time_out/{limit}"), "s over", over);
    }
    Ok(())
}
