//! The pipeline on several threads.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::batch::{Batch, Pool};
use super::output::Output;
use super::{Pipeline, Sink};

/// How many records go to a worker at a time.
pub const BATCH: usize = 256;

/// How many batches may wait for one worker. Beyond that the reader of the ring
/// waits, the ring fills, and the kernel counts what it cannot keep.
const WAITING: usize = 16;

/// Deals records out to worker threads, each with a pipeline of its own.
pub struct Workers<O> {
    crew: Vec<Worker<O>>,
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
        let crew = pipelines
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
            crew,
            next: 0,
            current: pool.take(),
            pool,
        })
    }

    /// Lets the workers finish what they have been given, and gives their
    /// pipelines back; that of a worker that panicked is missing.
    pub fn finish(mut self) -> Vec<Pipeline<O>> {
        self.flush();
        self.crew
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
        let _ = self.crew[self.next].queue.send(batch);
        self.next = (self.next + 1) % self.crew.len();
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
