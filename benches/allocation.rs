//! What each step asks of the heap, and what registries of rules and processes
//! cost as they grow.
//!
//! The allocator counts, so this target stands apart from those that time events.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use probecost::agent::record::Record;
use probecost::pipeline::{
    Aggregate, BATCH, Batch, Binary, Cgroups, Encode, Event, Hashing, Json, Pattern, Pipeline,
    Policy, Pool, Processes, Registry, Sample, Writer,
};
use probecost_bench::arguments::all_asked_for;
use probecost_bench::blocks::{BLOCK, Blocks};
use probecost_bench::figures::Figures;
use probecost_bench::heap::{self, Cost};
use probecost_bench::turns::Turns;
use probecost_bench::{fail, scenario, threads};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const SIZES: [usize; 5] = [10, 50, 100, 500, 1000];

fn main() {
    let mut criterion = probecost_bench::criterion();
    registries(&mut criterion);
    criterion.final_summary();
    if all_asked_for() {
        let mut figures = Figures::default();
        steps(&mut figures);
        growth(&mut figures);
        if let Err(obstacle) = figures.write("allocation") {
            fail(&obstacle);
        }
    }
}

/// Every step over the whole scenario, once all is known and again from nothing.
fn steps(figures: &mut Figures) {
    let batch = scenario::records();
    let raw: Vec<&[u8]> = batch.iter().collect();
    let records: Vec<Record> = raw
        .iter()
        .filter_map(|bytes| Record::decode(bytes).ok())
        .collect();
    let policy = scenario::policy(scenario::RULES);
    let mut processes = scenario::processes(&batch);
    let mut aggregate = Aggregate::new(scenario::RECORDS, Hashing::fixed());
    records.iter().for_each(|record| aggregate.add(record));
    let mut pipeline = pipeline();
    raw.iter().for_each(|bytes| pipeline.take(bytes));
    pipeline.flush();
    let mut line = Vec::with_capacity(1024);

    println!("what one operation asks of the heap       allocations    bytes     peak");
    let mut row = |id: &str, cost: Cost| {
        println!(
            "{id:<40} {:>12.3} {:>8.1} {:>8}",
            cost.allocations, cost.bytes, cost.peak
        );
        figures.count(format!("allocations/{id}"), "allocations", cost.allocations);
        figures.count(format!("allocated/{id}"), "bytes", cost.bytes);
        figures.count(format!("peak/{id}"), "bytes", cost.peak as f64);
    };
    row(
        "decode",
        each(&raw, |bytes| {
            black_box(Record::decode(bytes)).ok();
        }),
    );
    row(
        "match",
        each(&records, |record| {
            black_box(policy.judge(record));
        }),
    );
    row(
        "enrich",
        each(&records, |record| {
            black_box(processes.of(record));
        }),
    );
    row("aggregate", each(&records, |record| aggregate.add(record)));
    let process = processes.of(&records[0]);
    row(
        "json",
        each(&records, |record| {
            line.clear();
            Json.encode(&Event { record, process }, &mut line);
        }),
    );
    row(
        "binary",
        each(&records, |record| {
            line.clear();
            Binary.encode(&Event { record, process }, &mut line);
        }),
    );
    row("event", each(&raw, |bytes| pipeline.take(bytes)));
    row("flush", heap::cost(1, || pipeline.flush()));

    row(
        "first_process",
        first(
            &records,
            || Processes::new(scenario::RECORDS, Cgroups::new(None), Hashing::fixed()),
            |processes, record| {
                processes.of(record);
            },
        ),
    );
    row(
        "first_row",
        first(
            &records,
            || Aggregate::new(1, Hashing::fixed()),
            Aggregate::add,
        ),
    );
    row(
        "first_event",
        first(&raw, self::pipeline, |pipeline, bytes| pipeline.take(bytes)),
    );

    let chunk = &raw[..BATCH];
    row(
        "pool_off",
        heap::cost(10, || {
            let mut batch = Batch::default();
            chunk.iter().for_each(|bytes| batch.push(bytes));
            black_box(batch);
        }),
    );
    let pool = Pool::default();
    let door = pool.door();
    let pooled = || {
        let mut batch = pool.take();
        chunk.iter().for_each(|bytes| batch.push(bytes));
        door.send(batch).expect("the pool lives");
    };
    // The channel itself takes memory for every few dozen batches.
    (0..64).for_each(|_| pooled());
    row("pool_on", heap::cost(64, pooled));
}

/// Once for each item, with what is known already.
fn each<T>(items: &[T], mut operation: impl FnMut(&T)) -> Cost {
    let mut next = items.iter().cycle();
    heap::cost(items.len() as u64, || {
        next.next().into_iter().for_each(&mut operation)
    })
}

/// On something new each time.
fn first<T, S>(items: &[T], make: impl Fn() -> S, operation: impl Fn(&mut S, &T)) -> Cost {
    let mut fresh = make();
    heap::cost(1, || operation(&mut fresh, &items[0]))
}

fn pipeline() -> Pipeline<Writer<Json, std::io::Sink>> {
    let registry = Registry::new(scenario::policy(scenario::RULES));
    let output = Writer::new(Json, std::io::sink(), 1 << 16);
    Pipeline::new(registry, Cgroups::new(None), Hashing::fixed(), output)
}

/// What registries hold as they grow.
fn growth(figures: &mut Figures) {
    println!("bytes held by a registry of             10       50      100      500     1000");
    let mut row = |id: &str, held: &dyn Fn(usize) -> i64| {
        let bytes = SIZES.map(held);
        println!(
            "{id:<32} {:>8} {:>8} {:>8} {:>8} {:>8}",
            bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]
        );
        for (size, bytes) in SIZES.iter().zip(bytes) {
            figures.count(format!("held/{id}/{size}"), "bytes", bytes as f64);
        }
    };
    row("rules", &|size| held(|| scenario::policy(size)));
    row("processes", &|size| held(|| known_processes(size)));
}

/// The bytes that what `make` makes holds.
fn held<T>(make: impl Fn() -> T) -> i64 {
    let mut made = None;
    heap::cost(1, || made = Some(make())).kept
}

fn process_sample(i: usize) -> Vec<u8> {
    let pid = 1000 + i as u32;
    Sample {
        pid,
        ..scenario::sample(i)
    }
    .bytes()
}

fn known_processes(count: usize) -> Processes {
    let mut processes = Processes::new(count, Cgroups::new(None), Hashing::fixed());
    for i in 0..count {
        let bytes = process_sample(i);
        if let Ok(record) = Record::decode(&bytes) {
            processes.of(&record);
        }
    }
    processes
}

/// Look-up and cloning by size, and many tasks at once.
fn registries(criterion: &mut Criterion<Turns>) {
    let batch = scenario::records();
    let records: Vec<Record> = batch
        .iter()
        .filter_map(|bytes| Record::decode(bytes).ok())
        .collect();
    let sizes = [10, 100, 1000];

    let policies: Vec<(usize, Policy)> = sizes
        .iter()
        .map(|&size| (size, scenario::policy(size)))
        .collect();
    let mut group = criterion.benchmark_group("rules_lookup");
    for (size, policy) in &policies {
        let mut next = records.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| next.next().map(|record| policy.judge(black_box(record))));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("rules_clone");
    for (size, policy) in &policies {
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| policy.clone())
        });
    }
    group.finish();

    let known: Vec<(usize, Processes)> = sizes
        .iter()
        .map(|&size| (size, known_processes(size)))
        .collect();
    let mut group = criterion.benchmark_group("processes_lookup");
    for (size, processes) in &known {
        let mut next = (1000..1000 + *size as u32).cycle();
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| processes.get(black_box(next.next().unwrap_or_default())));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("processes_clone");
    for (size, processes) in &known {
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| processes.clone())
        });
    }
    group.finish();

    // One access takes the policy in force and judges one event by it; each
    // hundredth time somebody adds a rule.
    let mut group = criterion.benchmark_group("rules_concurrent");
    group.sample_size(10);
    for tasks in [5, 10, 25, 50] {
        let registry = Registry::new(scenario::policy(scenario::RULES));
        let rule = Pattern::Path((*b"/opt/service-0/etc/service.conf").into());
        let mut blocks = Blocks::plain(BLOCK);
        group.bench_function(BenchmarkId::from_parameter(tasks), |b| {
            b.iter_custom(|times| {
                blocks.block(times, |(), times| {
                    let access = std::sync::atomic::AtomicU64::new(0);
                    threads::together(tasks, times, || {
                        let access = access.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if access % 100 == 99 {
                            registry.register([rule.clone()]);
                        }
                        let record = &records[access as usize & (scenario::RECORDS - 1)];
                        black_box(registry.current().judge(record));
                    })
                })
            });
        });
    }
    group.finish();
}
