//! An agent that runs: what is asked of it again and again.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Bencher, BenchmarkId, Criterion};
use probecost::agent::{Agent, Options, Rule};
use probecost::host::Obstacle;
use probecost_bench::arguments::all_asked_for;
use probecost_bench::blocks::{BLOCK, Blocks};
use probecost_bench::figures::Figures;
use probecost_bench::turns::Turns;
use probecost_bench::{fail, threads};

use crate::steps::agent_steps;
use crate::{STEPS, TASKS, limits, starts};

/// All rows that need an agent.
pub fn bench(criterion: &mut Criterion<Turns>) -> Result<(), Obstacle> {
    let mut agent = Agent::start(Options::default())?;
    starts::bench(criterion, &mut agent)?;
    let mut blocks = Blocks::new(agent, BLOCK)?;
    let mut group = criterion.benchmark_group("agent");
    let mut next = 0u32;
    group.bench_function("add_rule", |b| {
        attached(b, &mut blocks, |agent| {
            next = (next + 1) % 4000;
            agent.add_rule(&Rule::Path(format!("/opt/rule-{next}").into()))
        });
    });
    group.bench_function("metrics", |b| {
        attached(b, &mut blocks, |agent| agent.stats())
    });
    group.bench_function("health", |b| {
        attached(b, &mut blocks, |agent| agent.health())
    });
    group.finish();

    let mut group = criterion.benchmark_group("agent_concurrent");
    group.sample_size(10);
    for tasks in TASKS {
        group.bench_function(BenchmarkId::from_parameter(tasks), |b| {
            b.iter_custom(|times| {
                blocks.block(times, |agent, times| {
                    threads::together(tasks, times, || {
                        black_box(agent.stats().is_ok() && agent.health().is_ok());
                    })
                })
            });
        });
    }
    group.finish();

    blocks.hook().set_emitting(true)?;
    let mut group = criterion.benchmark_group("scenario_agent");
    for steps in STEPS {
        group.bench_function(BenchmarkId::from_parameter(steps), |b| {
            attached(b, &mut blocks, |agent| agent_steps(agent, steps));
        });
    }
    group.finish();

    // Whole scenarios, at once, of one agent.
    let mut group = criterion.benchmark_group("scenario_concurrent");
    group.sample_size(10);
    for tasks in TASKS {
        group.bench_function(BenchmarkId::from_parameter(tasks), |b| {
            b.iter_custom(|times| {
                blocks.block(times, |agent, times| {
                    threads::together(tasks, times, || agent_steps(agent, 10))
                })
            });
        });
    }
    group.finish();
    if all_asked_for() {
        let mut figures = Figures::default();
        limits::steps_slope(blocks.hook(), &mut figures);
        limits::time_outs(blocks.hook(), &mut figures)?;
        figures.write("lifecycle")?;
    }
    Ok(())
}

/// Times an operation of an agent that is attached.
fn attached<T>(
    b: &mut Bencher<'_, Turns>,
    blocks: &mut Blocks<Agent>,
    mut operation: impl FnMut(&mut Agent) -> T,
) {
    b.iter_custom(|times| {
        blocks.block(times, |agent, times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(operation(agent));
            }
            let elapsed = start.elapsed();
            agent.health().unwrap_or_else(|ill| fail(&ill));
            elapsed
        })
    });
}
