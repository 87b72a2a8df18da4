//! Each step over the scenario's 1024 records.

use std::hint::black_box;

use gungraun::prelude::*;
use probecost::agent::record::Record;
use probecost::pipeline::{
    Aggregate, Batch, Binary, Cgroups, Encode, Event, Hashing, Json, Pipeline, Policy, Processes,
    Registry, Writer,
};
use probecost_bench::scenario;

type Whole = Pipeline<Writer<Json, std::io::Sink>>;

/// The records, and what a step needs besides.
struct Known<T> {
    batch: Batch,
    with: T,
}

impl<T> Known<T> {
    fn new(make: impl FnOnce(&Batch) -> T) -> Self {
        let batch = scenario::records();
        let with = make(&batch);
        Self { batch, with }
    }

    fn each(&mut self, mut step: impl FnMut(&mut T, Record)) {
        for bytes in self.batch.iter() {
            if let Ok(record) = Record::decode(black_box(bytes)) {
                step(&mut self.with, record);
            }
        }
    }
}

fn nothing() -> Known<()> {
    Known::new(|_| ())
}

fn policy() -> Known<Policy> {
    Known::new(|_| scenario::policy(scenario::RULES))
}

fn processes() -> Known<Processes> {
    Known::new(scenario::processes)
}

fn aggregate() -> Known<Aggregate> {
    let mut known = Known::new(|_| Aggregate::new(scenario::RECORDS, Hashing::fixed()));
    known.each(|aggregate, record| aggregate.add(&record));
    known
}

fn encoder() -> Known<(Processes, Vec<u8>)> {
    Known::new(|batch| (scenario::processes(batch), Vec::with_capacity(1024)))
}

/// A pipeline to which everything is new.
fn fresh() -> Known<Whole> {
    Known::new(|_| {
        let registry = Registry::new(scenario::policy(scenario::RULES));
        let output = Writer::new(Json, std::io::sink(), 1 << 16);
        Pipeline::new(registry, Cgroups::new(None), Hashing::fixed(), output)
    })
}

fn pipeline() -> Known<Whole> {
    let mut known = take_all(fresh());
    known.with.flush();
    known
}

fn take_all(mut known: Known<Whole>) -> Known<Whole> {
    for bytes in known.batch.iter() {
        known.with.take(black_box(bytes));
    }
    known
}

#[library_benchmark(setup = nothing)]
#[bench::known()]
fn decode(mut known: Known<()>) -> Known<()> {
    known.each(|_, record| {
        black_box(record);
    });
    known
}

#[library_benchmark(setup = policy)]
#[bench::known()]
fn decode_match(mut known: Known<Policy>) -> Known<Policy> {
    known.each(|policy, record| {
        black_box(policy.judge(&record));
    });
    known
}

#[library_benchmark(setup = processes)]
#[bench::known()]
fn decode_enrich(mut known: Known<Processes>) -> Known<Processes> {
    known.each(|processes, record| {
        black_box(processes.of(&record));
    });
    known
}

#[library_benchmark(setup = aggregate)]
#[bench::known()]
fn decode_aggregate(mut known: Known<Aggregate>) -> Known<Aggregate> {
    known.each(|aggregate, record| aggregate.add(&record));
    known
}

#[library_benchmark(setup = encoder)]
#[bench::known()]
fn decode_json(known: Known<(Processes, Vec<u8>)>) -> Known<(Processes, Vec<u8>)> {
    encode(known, Json)
}

#[library_benchmark(setup = encoder)]
#[bench::known()]
fn decode_binary(known: Known<(Processes, Vec<u8>)>) -> Known<(Processes, Vec<u8>)> {
    encode(known, Binary)
}

fn encode(
    mut known: Known<(Processes, Vec<u8>)>,
    encode: impl Encode,
) -> Known<(Processes, Vec<u8>)> {
    known.each(|(processes, bytes), record| {
        bytes.clear();
        let process = processes.of(&record);
        encode.encode(
            &Event {
                record: &record,
                process,
            },
            bytes,
        );
        black_box(bytes.len());
    });
    known
}

#[library_benchmark]
#[bench::known(setup = pipeline)]
#[bench::fresh(setup = fresh)]
fn event(known: Known<Whole>) -> Known<Whole> {
    take_all(known)
}

library_benchmark_group!(
    name = steps,
    benchmarks = [
        decode,
        decode_match,
        decode_enrich,
        decode_aggregate,
        decode_json,
        decode_binary,
        event
    ]
);
