//! What needs no kernel: the pipeline with policies of 10, 100 and 1000 patterns.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion};
use probecost::host::cgroup2_mount;
use probecost::pipeline::{
    Binary, Cgroups, Hashing, Pattern, Pipeline, Policy, Registry, TallyWatch, Writer,
};
use probecost_bench::scenario;
use probecost_bench::turns::Turns;

use crate::{STEPS, run_steps};

type Whole = Pipeline<Writer<Binary, std::io::Sink>>;

fn pipeline(registry: Registry) -> Whole {
    pipeline_hashed(registry, scenario::hashing())
}

fn pipeline_hashed(registry: Registry, hashing: Hashing) -> Whole {
    let output = Writer::new(Binary, std::io::sink(), 1 << 16);
    let cgroups = Cgroups::new(cgroup2_mount().ok());
    Pipeline::new(registry, cgroups, hashing, output)
}

/// All of them.
pub fn bench(criterion: &mut Criterion<Turns>) {
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

    // The same in every run, and seeded anew in each.
    let mut group = criterion.benchmark_group("scenario_hashing");
    for (name, hashing) in [("fixed", Hashing::fixed()), ("random", Hashing::random())] {
        let mut known = pipeline_hashed(Registry::new(scenario::policy(1000)), hashing);
        let watch = known.watch();
        group.bench_function(name, |b| {
            b.iter(|| run_steps(10, || step(&mut known, &watch, &raw[..16])));
        });
    }
    group.finish();
}

fn step(pipeline: &mut Whole, watch: &TallyWatch, events: &[&[u8]]) {
    events.iter().for_each(|bytes| pipeline.take(bytes));
    pipeline.flush();
    black_box(watch.tally());
}
