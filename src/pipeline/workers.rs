//! The pipeline on several threads.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::batch::{Batch, Pool};
use super::flow::Pipeline;
use super::output::Output;
use crate::agent::Sink;

/// How many records go to a worker at a time.
pub const BATCH: usize = 256;

/// How many batches may wait for one worker. Beyond that the reader of the ring
/// waits, the ring fills, and the kernel counts what it cannot keep.
const WAITING: usize = 16;

/// Deals records out to worker threads, each with a pipeline of its own.
pub struct Workers<O> {
    threads: Vec<Worker<O>>,
    next: usize,
    current: Batch,
    pool: Pool,
}

struct Worker<O> {
    queue: SyncSender<Batch>,
    thread: JoinHandle<Pipeline<O>>,
}

impl<O: Output + Send + 'static> Workers<O> {
    /// One thread for each pipeline, of which there must be one at least.
    pub fn start(pipelines: Vec<Pipeline<O>>) -> std::io::Result<Self> {
        if pipelines.is_empty() {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let pool = Pool::default();
        let threads = pipelines
            .into_iter()
            .map(|mut pipeline| {
                let (queue, batches) = sync_channel::<Batch>(WAITING);
                let door = pool.door();
                let thread = std::thread::Builder::new()
                    .name("agent-worker".into())
                    .spawn(move || {
                        for batch in batches {
                            batch.iter().for_each(|record| pipeline.take(record));
                            pipeline.flush();
                            // Nobody takes it back any more at the end.
                            let _ = door.send(batch);
                        }
                        pipeline
                    })?;
                Ok(Worker { queue, thread })
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            threads,
            next: 0,
            current: pool.take(),
            pool,
        })
    }

    /// Lets the workers finish what they have been given, and gives their
    /// pipelines back; that of a worker that panicked is missing.
    pub fn finish(mut self) -> Vec<Pipeline<O>> {
        self.flush();
        self.threads
            .into_iter()
            .map(|worker| {
                drop(worker.queue);
                worker.thread
            })
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    }

    fn hand_on(&mut self) {
        let batch = std::mem::replace(&mut self.current, self.pool.take());
        // A worker whose thread is gone has panicked and said so.
        let _ = self.threads[self.next].queue.send(batch);
        self.next = (self.next + 1) % self.threads.len();
    }
}

impl<O: Output + Send + 'static> Sink for Workers<O> {
    fn take(&mut self, record: &[u8]) {
        self.current.push(record);
        if self.current.len() == BATCH {
            self.hand_on();
        }
    }

    fn flush(&mut self) {
        if !self.current.is_empty() {
            self.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Binary, Cgroups, Hashing, Pattern, Registry, Sample, Writer};

    fn pipeline() -> Pipeline<Writer<Binary, Vec<u8>>> {
        let patterns = [Pattern::Below((*b"/x").into())];
        let registry = Registry::new(patterns.into_iter().collect());
        let output = Writer::new(Binary, Vec::new(), 4096);
        Pipeline::new(registry, Cgroups::new(None), Hashing::random(), output)
    }

    fn open(path: &str, lost: u32) -> Vec<u8> {
        let sample = Sample {
            path: path.into(),
            lost,
            ..Sample::default()
        };
        sample.bytes()
    }

    #[test]
    fn workers_do_together_what_one_pipeline_does() {
        let records: Vec<Vec<u8>> = (0..10_000)
            .map(|i| match i % 10 {
                9 => vec![0; i % 70],
                _ => open(["/x/a", "/x/b", "/y"][i % 3], i as u32 / 100),
            })
            .collect();
        let mut one = pipeline();
        let mut workers = Workers::start((0..3).map(|_| pipeline()).collect()).unwrap();
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
