//! What the agent's life costs: from its creation to its end, once and again.

#[path = "support/blocks.rs"]
mod blocks;
#[path = "support/crew.rs"]
mod crew;
#[path = "support/figures.rs"]
mod figures;
#[path = "support/required.rs"]
mod required;
#[path = "support/scenario.rs"]
mod scenario;
#[path = "support/turns.rs"]
mod turns;

use std::cell::RefCell;
use std::fs::File;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Bencher, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use probecost::agent::{self, Agent, Operation, Options, Rule, Rung};
use probecost::host::{Obstacle, cgroup2_mount};
use probecost::pipeline::{Binary, Cgroups, Pattern, Pipeline, Policy, Registry, Watch, Writer};
use probecost::stats::slope;
use probecost::workload::default_file;

use blocks::Blocks;
use figures::Figures;
use turns::{Turn, Turns};

/// The shortest block of a turn.
const BLOCK: Duration = Duration::from_millis(5);
const STEPS: [u32; 5] = [2, 5, 10, 20, 50];
const TASKS: [usize; 4] = [5, 10, 25, 50];
const RUNGS: [(Operation, Rung); 6] = [
    (Operation::Open, Rung::LsmFileOpen),
    (Operation::Open, Rung::TpBtfSysEnter),
    (Operation::Open, Rung::RawTpSysEnter),
    (Operation::Open, Rung::TracepointOpenat),
    (Operation::Connect, Rung::LsmSocketConnect),
    (Operation::Connect, Rung::CgroupConnect),
];

fn main() {
    let mut criterion = turns::criterion(
        Criterion::default()
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(500))
            .sample_size(20)
            .nresamples(20_000)
            .without_plots(),
    );
    in_process(&mut criterion);
    if let Err(obstacle) = with_agent(&mut criterion) {
        if agent::is_required() {
            required::fail(&obstacle);
        }
        eprintln!("lifecycle: the rows with an agent are skipped: {obstacle}");
    }
    criterion.final_summary();
}

type Whole = Pipeline<Writer<Binary, std::io::Sink>>;

fn pipeline(registry: Registry) -> Whole {
    let output = Writer::new(Binary, std::io::sink(), 1 << 16);
    let cgroups = Cgroups::new(cgroup2_mount().ok());
    Pipeline::new(registry, cgroups, turns::hashing(), output)
}

/// What needs no kernel: the pipeline with policies of 10, 100 and 1000 rules.
fn in_process(criterion: &mut Criterion<Turns>) {
    let mut group = criterion.benchmark_group("create");
    for rules in [10, 100, 1000] {
        let patterns: Vec<Pattern> = scenario::rules(rules).collect();
        group.bench_function(BenchmarkId::from_parameter(rules), |b| {
            b.iter_batched(
                || patterns.clone(),
                |patterns| pipeline(Registry::new(Policy::from_iter(patterns))),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();

    // One rule more, while a pipeline applies those that are there.
    let mut group = criterion.benchmark_group("register");
    for rules in [10, 100, 1000] {
        let registry = Registry::new(scenario::policy(rules));
        let rule = Pattern::Path((*b"/opt/one-more").into());
        group.bench_function(BenchmarkId::from_parameter(rules), |b| {
            b.iter(|| {
                let applied = registry.current();
                registry.register([rule.clone()]);
                applied.len()
            });
        });
    }
    group.finish();

    let batch = scenario::records();
    let raw: Vec<&[u8]> = batch.iter().collect();
    let registry = Registry::new(scenario::policy(scenario::RULES));
    let mut group = criterion.benchmark_group("use");
    group.bench_function("first", |b| {
        b.iter_batched(
            || pipeline(registry.clone()),
            |mut pipeline| {
                pipeline.take(black_box(raw[0]));
                pipeline
            },
            BatchSize::LargeInput,
        );
    });
    let mut known = pipeline(registry);
    group.bench_function("again", |b| b.iter(|| known.take(black_box(raw[0]))));
    group.finish();

    let watch = known.watch();
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("pipeline", |b| b.iter(|| watch.tally()));
    group.finish();

    // Each step takes a batch of 16 events and looks at the counts.
    let mut group = criterion.benchmark_group("scenario_policy");
    for rules in [10, 100, 1000] {
        let mut known = pipeline(Registry::new(scenario::policy(rules)));
        let watch = known.watch();
        group.bench_function(BenchmarkId::from_parameter(rules), |b| {
            b.iter(|| run_steps(10, || step(&mut known, &watch, &raw[..16])));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("scenario_pipeline");
    for steps in STEPS {
        group.bench_function(BenchmarkId::from_parameter(steps), |b| {
            b.iter(|| run_steps(steps, || step(&mut known, &watch, &raw[..16])));
        });
    }
    group.finish();
}

fn step(pipeline: &mut Whole, watch: &Watch, events: &[&[u8]]) {
    events.iter().for_each(|bytes| pipeline.take(bytes));
    pipeline.flush();
    black_box(watch.tally());
}

/// A scenario: so many steps, one after the other.
fn run_steps(steps: u32, mut step: impl FnMut()) {
    (0..steps).for_each(|_| step());
}

fn with_agent(criterion: &mut Criterion<Turns>) -> Result<(), Obstacle> {
    let mut agent = Agent::start(Options::default())?;
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
    again(
        &mut group,
        "attach_again",
        &mut agent,
        |_| Ok(()),
        Agent::attach,
    )?;
    group.finish();
    rungs(criterion)?;

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
                    crew::together(tasks, times, || {
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
    if figures::all_asked_for() {
        let mut figures = Figures::new();
        steps_slope(blocks.hook(), &mut figures);
        time_outs(blocks.hook(), &mut figures)?;
        figures.write("lifecycle");
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
            agent.health().unwrap_or_else(|ill| required::fail(&ill));
            elapsed
        })
    });
}

/// Each step opens a file, which is an event, and looks at the counts.
fn agent_steps(agent: &Agent, steps: u32) {
    run_steps(steps, || {
        let _ = black_box(File::open(default_file()));
        let _ = black_box(agent.stats());
    });
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

/// What one step more costs: the slope of the time over the number of steps, the
/// lengths in a random order, so that drift does not look like a slope.
fn steps_slope(agent: &Agent, figures: &mut Figures) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut points = Vec::new();
    for _ in 0..20 {
        let mut lengths = STEPS;
        random.shuffle(&mut lengths);
        for steps in lengths {
            let start = Instant::now();
            agent_steps(agent, steps);
            points.push((f64::from(steps), start.elapsed().as_nanos() as f64));
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
}

/// How long a drain really waits for a consumer that has stalled, four at once.
fn time_outs(agent: &Agent, figures: &mut Figures) -> Result<(), Obstacle> {
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
            if gave_up { "given up" } else { "NOT given up" },
            waited.as_secs_f64()
        );
        figures.count(format!("time_out/{limit}"), "seconds over the limit", over);
    }
    Ok(())
}
