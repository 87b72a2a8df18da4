//! One stretch of one arm.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Latency, nanoseconds};
use crate::stats::{median, quantile};
use crate::workload::Workload;

/// How long a batch should take at least, so that reading the clock twice is
/// a thousandth of it.
const BATCH: Duration = Duration::from_micros(30);
/// At most so many operations a batch.
const LARGEST_BATCH: u64 = 64;
/// The share of a block that is spent on timing single operations.
const SINGLES: f64 = 0.3;

/// What one block came to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Block {
    /// Operations done, all of them: in batches and alone.
    pub ops: u64,
    /// The time of an operation in nanoseconds: the median over batches.
    pub ns_per_op: f64,
    /// The 95th percentile of operations timed one by one, in nanoseconds.
    pub p95_ns: f64,
}

/// Times operations: the clock's own cost is known and taken off.
#[derive(Debug)]
pub struct Timer {
    clock_ns: f64,
    batch: u64,
    singles: Vec<f64>,
}

impl Timer {
    /// A timer for `workload`, which it does a few times to see how long a
    /// batch must be.
    pub fn new(workload: &mut dyn Workload) -> Result<Self, Errno> {
        let start = Instant::now();
        let pilot = 16;
        workload.repeat(pilot)?;
        let one = start.elapsed() / pilot as u32;
        let batch = BATCH.as_nanos() / one.as_nanos().max(1);
        Ok(Self {
            clock_ns: clock_cost(),
            batch: (batch as u64).clamp(1, LARGEST_BATCH),
            singles: Vec::new(),
        })
    }

    /// What one reading of the clock costs, in nanoseconds.
    pub fn clock_ns(&self) -> f64 {
        self.clock_ns
    }

    /// Operations timed together.
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// Does the operation for a while without timing it, so that what switching
    /// arms disturbed has settled.
    pub fn settle(&self, workload: &mut dyn Workload, length: Duration) -> Result<(), Errno> {
        let start = Instant::now();
        while start.elapsed() < length {
            workload.repeat(self.batch)?;
        }
        Ok(())
    }

    /// Runs one block of about `length`, and adds its single operations to
    /// `latencies` (in nanoseconds).
    pub fn block(
        &mut self,
        workload: &mut dyn Workload,
        length: Duration,
        latencies: &mut Latency,
    ) -> Result<Block, Errno> {
        let (batched_ops, ns_per_op) = self.batches(workload, length.mul_f64(1.0 - SINGLES))?;
        self.time_singles(workload, length.mul_f64(SINGLES))?;
        for &single in &self.singles {
            latencies.record(single);
        }
        Ok(Block {
            ops: batched_ops + self.singles.len() as u64,
            ns_per_op,
            p95_ns: quantile(&self.singles, 0.95).unwrap_or(f64::NAN),
        })
    }

    /// Does batches of operations until `length` has passed: how many operations
    /// they were, and the median over batches of the time of an operation, in
    /// nanoseconds.
    ///
    /// The median, because what hits one batch in ten (an interrupt, the
    /// kernel's deferred freeing, a neighbour on the same host) is many times
    /// larger than what is looked for. What it leaves out shows in the p99.
    pub fn batches(
        &self,
        workload: &mut dyn Workload,
        length: Duration,
    ) -> Result<(u64, f64), Errno> {
        let mut batches = Vec::with_capacity(1024);
        let begin = Instant::now();
        loop {
            let start = Instant::now();
            workload.repeat(self.batch)?;
            let end = Instant::now();
            batches.push((nanoseconds(end - start) - self.clock_ns) / self.batch as f64);
            if end - begin >= length {
                let ops = batches.len() as u64 * self.batch;
                return Ok((ops, median(&batches).unwrap_or(f64::NAN)));
            }
        }
    }

    fn time_singles(&mut self, workload: &mut dyn Workload, length: Duration) -> Result<(), Errno> {
        self.singles.clear();
        let begin = Instant::now();
        loop {
            let start = Instant::now();
            workload.operate()?;
            let end = Instant::now();
            self.singles
                .push((nanoseconds(end - start) - self.clock_ns).max(0.0));
            if end - begin >= length {
                return Ok(());
            }
        }
    }
}

/// The median time between two readings of the clock with nothing in between,
/// in nanoseconds.
fn clock_cost() -> f64 {
    let mut gaps = Vec::with_capacity(2001);
    let mut last = Instant::now();
    for _ in 0..2001 {
        let now = Instant::now();
        gaps.push(nanoseconds(now - last));
        last = now;
    }
    median(&gaps).unwrap_or(0.0)
}
