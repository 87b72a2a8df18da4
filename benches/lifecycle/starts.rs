//! Operations that are done to an agent once: starting, attaching, stopping.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use probecost::agent::{Agent, Operation, Options, Rung};
use probecost::host::Obstacle;
use probecost_bench::turns::{Turn, Turns};

const RUNGS: [(Operation, Rung); 6] = [
    (Operation::Open, Rung::LsmFileOpen),
    (Operation::Open, Rung::TpBtfSysEnter),
    (Operation::Open, Rung::RawTpSysEnter),
    (Operation::Open, Rung::TracepointOpenat),
    (Operation::Connect, Rung::LsmSocketConnect),
    (Operation::Connect, Rung::CgroupConnect),
];

/// Starting, stopping and attaching; `agent` is detached before and after.
pub fn bench(criterion: &mut Criterion<Turns>, agent: &mut Agent) -> Result<(), Obstacle> {
    let mut group = criterion.benchmark_group("agent");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(Duration::from_millis(1500));
    timed(
        &mut group,
        "start",
        || Ok(()),
        |()| Agent::start(Options::default()),
    )?;
    timed(
        &mut group,
        "stop",
        || Agent::start(Options::default()),
        |agent| {
            drop(agent);
            Ok(())
        },
    )?;
    timed(
        &mut group,
        "attach_first",
        || Agent::start(Options::default()),
        |mut agent| {
            agent.attach()?;
            Ok(agent)
        },
    )?;
    again(&mut group, "attach_again", agent, |_| Ok(()), Agent::attach)?;
    group.finish();
    rungs(criterion)
}

/// Times `operation` alone; what it gives is dropped untimed, and what `prepare`
/// gives is made untimed.
fn timed<P, T>(
    group: &mut BenchmarkGroup<Turns>,
    name: &str,
    mut prepare: impl FnMut() -> Result<P, Obstacle>,
    mut operation: impl FnMut(P) -> Result<T, Obstacle>,
) -> Result<(), Obstacle> {
    let mut failed = Ok(());
    group.bench_function(name, |b| {
        b.iter_custom(|times| {
            let turn = Turn::take();
            let mut sum = Duration::ZERO;
            for _ in 0..times {
                let once = prepare().and_then(|prepared| {
                    let start = Instant::now();
                    let done = operation(prepared)?;
                    sum += start.elapsed();
                    drop(done);
                    Ok(())
                });
                if once.is_err() {
                    failed = once;
                }
            }
            turn.took(sum.max(Duration::from_nanos(1)))
        });
    });
    failed
}

/// Times one operation of an agent that stays and is then detached, with another
/// before it.
fn again(
    group: &mut BenchmarkGroup<Turns>,
    name: &str,
    agent: &mut Agent,
    before: impl Fn(&mut Agent) -> Result<(), Obstacle>,
    operation: impl Fn(&mut Agent) -> Result<(), Obstacle>,
) -> Result<(), Obstacle> {
    let agent = RefCell::new(agent);
    timed(
        group,
        name,
        || before(&mut agent.borrow_mut()),
        |()| operation(&mut agent.borrow_mut()).map(|()| Detached(&agent)),
    )
}

/// Detaches an agent when dropped.
struct Detached<'a, 'b>(&'a RefCell<&'b mut Agent>);

impl Drop for Detached<'_, '_> {
    fn drop(&mut self) {
        self.0.borrow_mut().detach();
    }
}

fn detach(agent: &mut Agent) -> Result<(), Obstacle> {
    agent.detach();
    Ok(())
}

/// Attaching and detaching by each rung that holds here.
fn rungs(criterion: &mut Criterion<Turns>) -> Result<(), Obstacle> {
    for (operation, rung) in RUNGS {
        let options = Options {
            rung: Some(rung),
            ..Options::default()
        };
        let mut agent = Agent::start(options)?;
        let hook = agent.hooks().of(operation);
        if hook.rung != Some(rung) {
            println!("{} does not hold here: {}", rung.name(), hook.failures());
            continue;
        }
        let name = rung.name().replace('/', "_");
        let attach = |agent: &mut Agent| agent.attach_only(operation);
        let mut group = criterion.benchmark_group("attach");
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        again(&mut group, &name, &mut agent, |_| Ok(()), attach)?;
        group.finish();
        let mut group = criterion.benchmark_group("detach");
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        again(&mut group, &name, &mut agent, attach, detach)?;
        group.finish();
    }
    Ok(())
}
