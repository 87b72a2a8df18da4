//! Which requests became spans, and how soon.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;
use rustix::time::ClockId;

use crate::agent::clock::now_ns;
use crate::schema::span::{HttpSpan, Side};

/// The spans of the requests of one load, whose paths end in their numbers.
#[derive(Debug)]
pub(super) struct Spans(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    /// How many spans each request has.
    by_number: Vec<AtomicU8>,
    /// From the last byte of a response to its span, in nanoseconds.
    age: Mutex<Histogram<u64>>,
}

impl Spans {
    /// For requests of numbers below `most`.
    pub(super) fn with_room(most: usize) -> Self {
        // Written once, so that marking it later is no growth of the process.
        let by_number: Vec<AtomicU8> = (0..most).map(|_| AtomicU8::new(u8::MAX)).collect();
        by_number
            .iter()
            .for_each(|mark| mark.store(0, Ordering::Relaxed));
        let mut minute = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds");
        minute.reset();
        Self(Arc::new(Taken {
            by_number,
            age: Mutex::new(minute),
        }))
    }

    /// Takes spans, on the tracer's thread.
    pub(super) fn taker(&mut self) -> impl FnMut(HttpSpan) + Send + use<> {
        let taken = Arc::clone(&self.0);
        move |span| taken.take(&span)
    }

    /// Whether the request of this number has exactly one span.
    pub(super) fn has(&self, number: u64) -> bool {
        let mark = self.0.by_number.get(number as usize);
        mark.is_some_and(|mark| mark.load(Ordering::Relaxed) == 1)
    }

    /// The age of a span when it was given, in milliseconds; none where there was none.
    pub(super) fn age_ms(&self, q: f64) -> Option<f64> {
        let age = self.0.age.lock().unwrap_or_else(PoisonError::into_inner);
        (!age.is_empty()).then(|| age.value_at_quantile(q) as f64 / 1e6)
    }
}

impl Taken {
    fn take(&self, span: &HttpSpan) {
        // An arm that begins or ends amid a request sees a part of it.
        if span.side != Side::Server || !span.complete {
            return;
        }
        let now = now_ns(ClockId::Monotonic);
        let mut age = self.age.lock().unwrap_or_else(PoisonError::into_inner);
        age.saturating_record(now.saturating_sub(span.end_ns()));
        let number = span
            .path
            .rsplit('/')
            .next()
            .and_then(|n| n.parse::<usize>().ok());
        if let Some(mark) = number.and_then(|n| self.by_number.get(n)) {
            mark.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_span_once() {
        let mut spans = Spans::with_room(10);
        let mut take = spans.taker();
        let span = |path: &str, complete| HttpSpan {
            side: Side::Server,
            method: "GET".into(),
            path: path.into(),
            status: Some(200),
            start_ns: 0,
            duration_ns: 1,
            request_bytes: 1,
            response_bytes: 1,
            pid: 1,
            connection: 1,
            complete,
        };
        for (path, complete) in [
            ("/3", true),
            ("/4", true),
            ("/4", true),
            ("/5", false),
            ("/99", true),
        ] {
            take(span(path, complete));
        }
        assert!(spans.has(3) && !spans.has(4) && !spans.has(5) && !spans.has(99));
        assert!(spans.age_ms(0.99).is_some());
    }
}
