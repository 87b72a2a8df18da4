//! How old events are when they are read.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use crate::agent::Sink;
use crate::agent::record::Record;
use crate::experiment::Latency;

/// Of so many records the age of one is taken: a look at the clock costs as much
/// as the rest of the event.
const ONE_OF: u64 = 64;

/// The ages since they were last taken, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Ages(Arc<Mutex<Latency>>);

impl Ages {
    /// The median and the 99th percentile, in nanoseconds; begins anew.
    pub(super) fn take(&self) -> [f64; 2] {
        let mut ages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quantiles = [0.5, 0.99].map(|q| ages.quantile(q));
        ages.clear();
        quantiles
    }
}

/// A sink that also notes how old some of its records are.
pub(super) struct Aged<S> {
    sink: S,
    ages: Ages,
    taken: u64,
}

impl<S: Sink> Aged<S> {
    pub(super) fn new(sink: S, ages: &Ages) -> Self {
        Self {
            sink,
            ages: ages.clone(),
            taken: 0,
        }
    }
}

impl<S: Sink> Sink for Aged<S> {
    fn take(&mut self, record: &[u8]) {
        self.sink.take(record);
        self.taken += 1;
        if self.taken.is_multiple_of(ONE_OF)
            && let Ok(record) = Record::decode(record)
        {
            let now = clock_gettime(ClockId::Monotonic);
            let now = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
            let age = now.saturating_sub(record.time_ns());
            let mut ages = self.ages.0.lock().unwrap_or_else(PoisonError::into_inner);
            ages.record(age as f64);
        }
    }

    fn flush(&mut self) {
        self.sink.flush();
    }
}
