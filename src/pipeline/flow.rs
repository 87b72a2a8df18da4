//! The way of one record, on one thread.

use std::sync::Arc;

use super::aggregate::Aggregate;
use super::cgroups::Cgroups;
use super::encode::Event;
use super::hashing::Hashing;
use super::losses::Losses;
use super::output::Output;
use super::policy::{Decision, Policy};
use super::processes::Processes;
use super::registry::Registry;
use super::tally::{Tally, TallyWatch};
use crate::agent::Sink;
use crate::agent::record::Record;

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
    watch: TallyWatch,
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
            watch: TallyWatch::default(),
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
            Decision::Trusted => self.tally.trusted += 1,
            Decision::Unmatched => self.tally.unmatched += 1,
            Decision::Matched => {
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
    pub fn watch(&self) -> TallyWatch {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::encode::Binary;
    use crate::pipeline::output::Writer;
    use crate::pipeline::policy::Pattern;
    use crate::pipeline::sample::Sample;

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
    fn a_pattern_registered_meanwhile_holds_from_the_next_batch_on() {
        let mut pipeline = pipeline(vec![]);
        let registry = pipeline.registry.clone();
        registry.register([Pattern::Path((*b"/a").into())]);
        pipeline.take(&open("/a", 0));
        pipeline.flush();
        pipeline.take(&open("/a", 0));
        assert_eq!(pipeline.tally().matched, 1);
    }
}
