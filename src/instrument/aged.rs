//! How old events are when they are read.

use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;
use rustix::time::ClockId;

use crate::agent::Sink;
use crate::agent::clock::now_ns;
use crate::agent::record::Record;

/// Of so many records the age of one is taken: a look at the clock costs as much
/// as the rest of the event.
const ONE_OF: u64 = 64;

/// The ages since they were last taken.
#[derive(Debug, Clone)]
pub struct Ages(Arc<Mutex<Histogram<u64>>>);

impl Ages {
    /// These quantiles, in nanoseconds; begins anew.
    pub fn take<const N: usize>(&self, quantiles: [f64; N]) -> [f64; N] {
        let mut ages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = quantiles.map(|q| ages.value_at_quantile(q) as f64);
        ages.clear();
        taken
    }
}

impl Default for Ages {
    fn default() -> Self {
        let minute = Histogram::new_with_bounds(1, 60_000_000_000, 3);
        Self(Arc::new(Mutex::new(minute.expect("valid bounds"))))
    }
}

/// A sink that also notes how old some of its records are.
pub struct Aged<S> {
    sink: S,
    ages: Ages,
    taken: u64,
}

impl<S: Sink> Aged<S> {
    /// Around `sink`.
    pub fn new(sink: S, ages: &Ages) -> Self {
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
            let age = now_ns(ClockId::Monotonic).saturating_sub(record.time_ns());
            let mut ages = self.ages.0.lock().unwrap_or_else(PoisonError::into_inner);
            ages.saturating_record(age);
        }
    }

    fn flush(&mut self) {
        self.sink.flush();
    }

    fn idle(&mut self) {
        self.sink.idle();
    }

    fn end(&mut self) {
        self.sink.end();
    }
}
