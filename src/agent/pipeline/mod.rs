//! What the agent does with a record, from the ring's bytes to a sink:
//! decode → note losses → match → enrich → aggregate → output.
//!
//! Matching goes before enriching, so that only what matters is looked up. In the
//! steady state (processes and targets known) nothing is allocated.

mod aggregate;
mod batch;
mod cgroups;
mod encode;
mod hashing;
mod losses;
mod output;
mod policy;
mod processes;
mod registry;
mod sample;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

pub use aggregate::{Aggregate, Row};
pub use batch::{Batch, Pool};
pub use cgroups::Cgroups;
pub use encode::{Binary, Encode, Event, Json};
pub use hashing::Hashing;
pub use losses::Losses;
pub use output::{Output, Writer};
pub use policy::{Pattern, Policy, Verdict};
pub use processes::{Process, Processes};
pub use registry::Registry;
pub use sample::Sample;
pub use workers::{BATCH, Workers};

use super::Sink;
use super::record::Record;

/// The most processes that a pipeline knows at a time.
const MOST_PROCESSES: usize = 32_768;
/// The most rows of its aggregate.
const MOST_ROWS: usize = 65_536;

/// The way of a record through the agent, on one thread.
#[derive(Debug)]
pub struct Pipeline<O> {
    registry: Registry,
    policy: Arc<Policy>,
    losses: Losses,
    processes: Processes,
    aggregate: Aggregate,
    output: O,
    tally: Tally,
    watch: Watch,
}

/// What a pipeline has counted. Always decoded = matched + unmatched + trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records that were whole.
    pub decoded: u64,
    /// Those that were not, and were skipped.
    pub malformed: u64,
    /// Events that a rule named; the output has them.
    pub matched: u64,
    /// Events that no rule named.
    pub unmatched: u64,
    /// Events from trusted cgroups.
    pub trusted: u64,
    /// Records that the kernel is known to have lost.
    pub lost: u64,
}

impl<O: Output> Pipeline<O> {
    /// A pipeline that applies the policy of `registry`.
    pub fn new(registry: Registry, cgroups: Cgroups, hashing: Hashing, output: O) -> Self {
        Self {
            policy: registry.current(),
            registry,
            losses: Losses::default(),
            processes: Processes::new(MOST_PROCESSES, cgroups, hashing.clone()),
            aggregate: Aggregate::new(MOST_ROWS, hashing),
            output,
            tally: Tally::default(),
            watch: Watch::default(),
        }
    }

    /// Takes one record as the ring hands it out.
    pub fn take(&mut self, bytes: &[u8]) {
        let Ok(record) = Record::decode(bytes) else {
            self.tally.malformed += 1;
            return;
        };
        self.tally.decoded += 1;
        self.losses.note(&record);
        match self.policy.judge(&record) {
            Verdict::Trusted => self.tally.trusted += 1,
            Verdict::Unmatched => self.tally.unmatched += 1,
            Verdict::Matched => {
                self.tally.matched += 1;
                self.aggregate.add(&record);
                self.output.put(&Event {
                    record: &record,
                    process: self.processes.of(&record),
                });
            }
        }
    }

    /// Called between batches: hands on what the output holds back, publishes
    /// the counts, and takes over a changed policy.
    pub fn flush(&mut self) {
        self.output.flush();
        self.tally.lost = self.losses.total();
        self.watch.publish(&self.tally);
        self.policy = self.registry.current();
    }

    /// The counts so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// A view of the counts for other threads.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The events added up.
    pub fn aggregate(&self) -> &Aggregate {
        &self.aggregate
    }

    /// Where events go.
    pub fn output(&self) -> &O {
        &self.output
    }

    /// Takes over the counts and rows of another pipeline on the same ring.
    pub fn merge<P>(&mut self, other: &Pipeline<P>) {
        self.aggregate.merge(&other.aggregate);
        self.losses.merge(&other.losses);
        self.tally = Tally {
            decoded: self.tally.decoded + other.tally.decoded,
            malformed: self.tally.malformed + other.tally.malformed,
            matched: self.tally.matched + other.tally.matched,
            unmatched: self.tally.unmatched + other.tally.unmatched,
            trusted: self.tally.trusted + other.tally.trusted,
            lost: self.losses.total(),
        };
    }
}

impl<O: Output + Send + 'static> Sink for Pipeline<O> {
    fn take(&mut self, record: &[u8]) {
        self.take(record);
    }

    fn flush(&mut self) {
        self.flush();
    }
}

/// The counts of a pipeline that runs on another thread, as of its last batch.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    counts: Arc<[AtomicU64; 6]>,
}

impl Watch {
    fn publish(&self, tally: &Tally) {
        let values = [
            tally.decoded,
            tally.malformed,
            tally.matched,
            tally.unmatched,
            tally.trusted,
            tally.lost,
        ];
        for (count, value) in self.counts.iter().zip(values) {
            count.store(value, Ordering::Relaxed);
        }
    }

    /// The counts. Each is exact; together they may straddle two batches.
    pub fn tally(&self) -> Tally {
        let [decoded, malformed, matched, unmatched, trusted, lost] =
            std::array::from_fn(|i| self.counts[i].load(Ordering::Relaxed));
        Tally {
            decoded,
            malformed,
            matched,
            unmatched,
            trusted,
            lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(patterns: Vec<Pattern>) -> Pipeline<Writer<Binary, Vec<u8>>> {
        let registry = Registry::new(patterns.into_iter().collect());
        let output = Writer::new(Binary, Vec::new(), 4096);
        Pipeline::new(registry, Cgroups::new(None), Hashing::random(), output)
    }

    fn open(path: &str, lost: u32) -> Vec<u8> {
        let path = path.into();
        Sample {
            path,
            lost,
            ..Sample::default()
        }
        .bytes()
    }

    #[test]
    fn every_record_goes_one_way() {
        let mut pipeline = pipeline(vec![
            Pattern::Path((*b"/a").into()),
            Pattern::TrustedCgroup(7),
        ]);
        let trusted = Sample {
            cgroup: 7,
            ..Sample::default()
        };
        let records = [
            open("/a", 0),
            open("/b", 2),
            vec![9; 80],
            vec![],
            trusted.bytes(),
            open("/a", 3),
        ];
        for record in &records {
            pipeline.take(record);
        }
        let watch = pipeline.watch();
        assert_eq!(watch.tally(), Tally::default());
        pipeline.flush();
        let expected = Tally {
            decoded: 4,
            malformed: 2,
            matched: 2,
            unmatched: 1,
            trusted: 1,
            lost: 3,
        };
        assert_eq!((pipeline.tally(), watch.tally()), (expected, expected));
        assert_eq!(pipeline.aggregate().len(), 1);
    }

    #[test]
    fn a_rule_registered_meanwhile_holds_from_the_next_batch_on() {
        let mut pipeline = pipeline(vec![]);
        let registry = pipeline.registry.clone();
        registry.register([Pattern::Path((*b"/a").into())]);
        pipeline.take(&open("/a", 0));
        pipeline.flush();
        pipeline.take(&open("/a", 0));
        assert_eq!(pipeline.tally().matched, 1);
    }

    #[test]
    fn workers_do_together_what_one_pipeline_does() {
        let rules = || vec![Pattern::Below((*b"/x").into())];
        let records: Vec<Vec<u8>> = (0..10_000)
            .map(|i| match i % 10 {
                9 => vec![0; i % 70],
                _ => open(["/x/a", "/x/b", "/y"][i % 3], i as u32 / 100),
            })
            .collect();
        let mut one = pipeline(rules());
        let mut workers = Workers::start((0..3).map(|_| pipeline(rules())).collect()).unwrap();
        for record in &records {
            one.take(record);
            Sink::take(&mut workers, record);
        }
        one.flush();
        let mut pipelines = workers.finish();
        let mut sum = pipelines.pop().unwrap();
        for other in &pipelines {
            sum.merge(other);
        }
        assert_eq!(pipelines.len(), 2);
        assert_eq!(sum.tally(), one.tally());
        let counts = |pipeline: &Pipeline<_>| {
            let mut rows: Vec<_> = pipeline
                .aggregate()
                .rows()
                .map(|row| (row.target.clone(), row.events))
                .collect();
            rows.sort();
            rows
        };
        assert_eq!(counts(&sum), counts(&one));
    }
}
