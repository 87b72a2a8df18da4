//! What an event costs on its way from the ring to a sink.
//!
//! Each step alone, the steps together, four things done before and after, and
//! the whole from a real ring: how many events a second, how old they are when
//! they are read, and from which rate on some are lost.

mod ring;

use std::fs::OpenOptions;
use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use probecost::agent::Sink;
use probecost::agent::record::Record;
use probecost::pipeline::{
    Aggregate, BATCH, Batch, Binary, Cgroups, Encode, Event, Json, Output, Pipeline, Pool,
    Processes, Registry, Workers, Writer,
};
use probecost_bench::blocks::{BLOCK, Blocks};
use probecost_bench::scenario;
use probecost_bench::turns::Turns;

const MOST_ROWS: usize = 65_536;

fn main() {
    let mut criterion = probecost_bench::criterion();
    steps(&mut criterion);
    whole(&mut criterion);
    before_and_after(&mut criterion);
    workers(&mut criterion);
    ring::bench(&mut criterion);
    criterion.final_summary();
}

/// An endless walk through the scenario's records.
fn endless<'a, T>(items: &'a [T]) -> impl FnMut() -> &'a T {
    let mut next = 0;
    move || {
        next = (next + 1) & (scenario::RECORDS - 1);
        &items[next]
    }
}

fn decoded(batch: &Batch) -> Vec<Record<'_>> {
    batch
        .iter()
        .map(|bytes| Record::decode(bytes).expect("well-formed"))
        .collect()
}

/// A table that knows every row of the scenario.
fn full_aggregate(records: &[Record]) -> Aggregate {
    let mut aggregate = Aggregate::new(MOST_ROWS, scenario::hashing());
    records.iter().for_each(|record| aggregate.add(record));
    aggregate
}

fn steps(criterion: &mut Criterion<Turns>) {
    let batch = scenario::records();
    let raw: Vec<&[u8]> = batch.iter().collect();
    let records = decoded(&batch);
    let policy = scenario::policy(scenario::RULES);
    let mut processes = scenario::processes(&batch);
    let mut aggregate = full_aggregate(&records);

    let mut group = criterion.benchmark_group("step");
    let mut next = endless(&raw);
    group.bench_function("decode", |b| b.iter(|| Record::decode(black_box(next()))));
    let mut next = endless(&records);
    group.bench_function("match", |b| b.iter(|| policy.judge(black_box(next()))));
    let mut next = endless(&records);
    group.bench_function("enrich", |b| {
        b.iter(|| {
            black_box(processes.of(black_box(next())));
        });
    });
    let mut next = endless(&records);
    group.bench_function("aggregate", |b| b.iter(|| aggregate.add(black_box(next()))));
    group.finish();

    let mut group = criterion.benchmark_group("encode");
    bench_encode(&mut group, "json", Json, &records, &mut processes);
    bench_encode(&mut group, "binary", Binary, &records, &mut processes);
    group.finish();
}

fn bench_encode(
    group: &mut criterion::BenchmarkGroup<Turns>,
    name: &str,
    encode: impl Encode,
    records: &[Record],
    processes: &mut Processes,
) {
    let mut next = endless(records);
    let process = processes.of(&records[0]);
    let mut line = Vec::with_capacity(1024);
    group.bench_function(name, |b| {
        b.iter(|| {
            line.clear();
            let record = next();
            encode.encode(black_box(&Event { record, process }), &mut line);
            black_box(line.len())
        });
    });
}

/// Several steps together: `core` is decode, match and aggregate; `pipeline` all
/// of them, with binary frames that go nowhere.
fn whole(criterion: &mut Criterion<Turns>) {
    let batch = scenario::records();
    let raw: Vec<&[u8]> = batch.iter().collect();
    let records = decoded(&batch);
    let policy = scenario::policy(scenario::RULES);
    let mut aggregate = full_aggregate(&records);
    let mut pipeline = pipeline(std::io::sink());
    raw.iter().for_each(|bytes| pipeline.take(bytes));

    for size in [1, 16, 256] {
        let chunks: Vec<&[&[u8]]> = raw.chunks(size).collect();
        let mut group = criterion.benchmark_group("core");
        group.throughput(Throughput::Elements(size as u64));
        let mut chunk = chunks.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                for bytes in *chunk.next().expect("endless") {
                    let Ok(record) = Record::decode(black_box(bytes)) else {
                        continue;
                    };
                    black_box(policy.judge(&record));
                    aggregate.add(&record);
                }
            });
        });
        group.finish();

        let mut group = criterion.benchmark_group("pipeline");
        group.throughput(Throughput::Elements(size as u64));
        let mut chunk = chunks.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                for bytes in *chunk.next().expect("endless") {
                    pipeline.take(black_box(bytes));
                }
                pipeline.flush();
            });
        });
        group.finish();
    }
}

fn pipeline<W: std::io::Write>(to: W) -> Pipeline<Writer<Binary, W>> {
    let registry = Registry::new(scenario::policy(scenario::RULES));
    let output = Writer::new(Binary, to, 1 << 16);
    Pipeline::new(registry, Cgroups::new(None), scenario::hashing(), output)
}

/// Pairs that show what a measure is worth; `encode` is the fourth.
fn before_and_after(criterion: &mut Criterion<Turns>) {
    let batch = scenario::records();
    let raw: Vec<&[u8]> = batch.iter().collect();
    let records = decoded(&batch);

    // A batch for another thread: new memory each time, or memory that came back.
    let mut group = criterion.benchmark_group("pool");
    let chunk = &raw[..BATCH];
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("off", |b| {
        b.iter(|| {
            let mut batch = Batch::default();
            chunk.iter().for_each(|bytes| batch.push(bytes));
            black_box(batch);
        });
    });
    let pool = Pool::default();
    let door = pool.door();
    group.bench_function("on", |b| {
        b.iter(|| {
            let mut batch = pool.take();
            chunk.iter().for_each(|bytes| batch.push(bytes));
            door.send(black_box(batch)).expect("the pool lives");
        });
    });
    group.finish();

    // Lines to a file: a system call for each event, or one for many.
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(1));
    for (name, hold) in [("off", 0), ("on", 1 << 16)] {
        let null = OpenOptions::new()
            .write(true)
            .open("/dev/null")
            .expect("/dev/null");
        let mut writer = Writer::new(Json, null, hold);
        let mut processes = scenario::processes(&batch);
        let process = processes.of(&records[0]);
        let mut next = endless(&records);
        group.bench_function(name, |b| {
            b.iter(|| {
                let record = next();
                writer.put(black_box(&Event { record, process }));
            });
        });
    }
    group.finish();

    // The first events of a thousand rows: a table that grows, or has its room.
    let mut group = criterion.benchmark_group("preallocate");
    group.throughput(Throughput::Elements(records.len() as u64));
    for (name, rows) in [("off", 0), ("on", records.len())] {
        let hashing = scenario::hashing();
        group.bench_function(name, |b| {
            b.iter_batched(
                || Aggregate::with_capacity(rows, MOST_ROWS, hashing.clone()),
                |mut aggregate| {
                    records.iter().for_each(|record| aggregate.add(record));
                    aggregate
                },
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// The pipeline on several threads, per event, until the last is done.
fn workers(criterion: &mut Criterion<Turns>) {
    let batch = scenario::records();
    let raw: Vec<&[u8]> = batch.iter().collect();
    let mut group = criterion.benchmark_group("workers");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2, 5, 10] {
        let mut blocks = Blocks::plain(BLOCK);
        group.bench_function(BenchmarkId::from_parameter(threads), |b| {
            b.iter_custom(|events| {
                blocks.block(events, |(), events| {
                    let pipelines = (0..threads).map(|_| pipeline(std::io::sink())).collect();
                    let mut workers = Workers::start(pipelines).expect("threads");
                    let start = Instant::now();
                    for bytes in raw.iter().cycle().take(events as usize) {
                        Sink::take(&mut workers, bytes);
                    }
                    let done = workers.finish();
                    let elapsed = start.elapsed();
                    let decoded: u64 = done.iter().map(|pipeline| pipeline.tally().decoded).sum();
                    assert_eq!(decoded, events);
                    elapsed
                })
            });
        });
    }
    group.finish();
}
