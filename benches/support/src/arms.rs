//! One workload under all its arms.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use probecost::agent::{self, Agent, Options, pin_this_thread};
use probecost::host::{self, Obstacle};
use probecost::schema::turns::PLANT;
use probecost::workload::{Calls, Name, Workload, default_file};

use crate::arguments::may_ask_for;
use crate::blocks::{BLOCK, Blocks};
use crate::fail::fail;
use crate::settings;
use crate::turns::{Ns, Turns};

const OFF: &str = "off";
const HOOK: &str = "hook";
const EVENT: &str = "event";
const ARMS: [&str; 3] = [OFF, HOOK, EVENT];

/// The body of a target: benches `names`, each under all arms, with what one
/// operation moves.
pub fn bench(names: &[(Name, Option<Throughput>)]) {
    let mut criterion = settings::criterion();
    for (name, throughput) in names {
        if !ARMS.iter().any(|arm| wanted(*name, arm)) {
            continue;
        }
        if let Err(obstacle) = arms(&mut criterion, *name, throughput.clone()) {
            fail(&obstacle);
        }
    }
    criterion.final_summary();
}

/// Whether a workload may be asked for under this arm.
fn wanted(name: Name, arm: &str) -> bool {
    may_ask_for(&format!("{name}/{arm}"))
}

fn arms(
    criterion: &mut Criterion<Turns>,
    name: Name,
    throughput: Option<Throughput>,
) -> Result<(), Obstacle> {
    let mut workload = name.set_up(Path::new(&default_file()))?;
    workload.check()?;
    let cpus = host::allowed_cpus();
    let mut group = criterion.benchmark_group(name.as_str());
    group.sampling_mode(SamplingMode::Flat);
    if let Some(throughput) = throughput {
        group.throughput(throughput);
    }
    let agent = (wanted(name, HOOK) || wanted(name, EVENT)).then(|| start(workload.calls(), &cpus));
    // After the agent, whose consumer would otherwise inherit this CPU.
    if let Some(&cpu) = cpus.first() {
        pin_this_thread(cpu)
            .map_err(|e| Obstacle::new(e.to_string(), "allow this process a CPU"))?;
    }
    let mut blocks = Blocks::plain(BLOCK);
    time(&mut group, OFF, |times| {
        blocks.block(times, |(), times| repeat(&mut *workload, times))
    });
    match agent {
        None => {}
        Some(Ok(agent)) => hooked(&mut group, &mut *workload, agent)?,
        Some(Err(obstacle)) if agent::is_required() => return Err(obstacle),
        Some(Err(obstacle)) => eprintln!("{name}/hook and {name}/event skipped: {obstacle}"),
    }
    group.finish();
    Ok(())
}

/// An agent that sees these calls, its consumer on the last CPU.
fn start(calls: Calls, cpus: &[usize]) -> Result<Agent, Obstacle> {
    let agent = Agent::start(Options {
        cpu: cpus.last().copied(),
        ..Options::default()
    })?;
    match agent.blind_to(calls.opens > 0, calls.connects > 0) {
        Some(why) => Err(Obstacle::new(why, "see cargo run -- host")),
        None => Ok(agent),
    }
}

/// The arms that need an agent: only one that runs gets here.
fn hooked(
    group: &mut BenchmarkGroup<Turns>,
    workload: &mut dyn Workload,
    agent: Agent,
) -> Result<(), Obstacle> {
    let mut blocks = Blocks::new(agent, BLOCK)?;
    let before = blocks.hook().stats()?.total();
    let ran = time(group, HOOK, |times| {
        blocks.block(times, |_, times| repeat(workload, times))
    });
    let agent = blocks.hook();
    let silent = agent.stats()?.total() - before;
    agent.set_emitting(true)?;
    let emitted = time(group, EVENT, |times| {
        blocks.block(times, |_, times| repeat(workload, times))
    });
    let agent = blocks.hook();
    agent.set_emitting(false)?;
    let loud = agent.drain()?.total() - before - silent;
    for (arm, ran, seen) in [(HOOK, ran, silent.seen), (EVENT, emitted, loud.submitted)] {
        if ran && seen == 0 {
            return Err(Obstacle::new(
                format!("the {arm} arm ran, and the agent saw none of it"),
                "see cargo run -- host",
            ));
        }
    }
    Ok(())
}

/// A slowdown to plant, in percent: so many more operations are made than are counted.
/// Whoever judges results can try with it whether a real slowdown is found.
fn planted_percent() -> u64 {
    match std::env::var(PLANT).map(|percent| percent.parse()) {
        Err(_) => 0,
        Ok(Ok(percent)) => percent,
        Ok(Err(_)) => fail(&format!("{PLANT} is no whole number of percent")),
    }
}

/// Times one arm; false where the command line asked for other benchmarks only.
fn time(group: &mut BenchmarkGroup<Turns>, arm: &str, mut block: impl FnMut(u64) -> Ns) -> bool {
    let mut ran = false;
    group.bench_function(arm, |bencher| {
        ran = true;
        bencher.iter_custom(&mut block);
    });
    ran
}

/// How long so many operations take.
fn repeat(workload: &mut dyn Workload, times: u64) -> Duration {
    // Whole operations only: what is made too much is taken off the time.
    let counted = times as f64 * (1.0 + planted_percent() as f64 / 100.0);
    let made = counted.ceil();
    let start = Instant::now();
    let done = workload.repeat(made as u64);
    let elapsed = start.elapsed();
    if let Err(error) = done {
        fail(&format!("the operation failed while it was timed: {error}"));
    }
    elapsed.mul_f64(counted / made)
}
