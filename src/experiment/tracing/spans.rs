//! Which of the latest requests became spans, and how soon.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;
use rustix::time::ClockId;

use crate::agent::clock::now_ns;
use crate::schema::span::{HttpSpan, Side};

/// The spans of the requests of one load, whose paths end in their numbers.
#[derive(Debug)]
pub(super) struct Spans(Arc<TakenSpans>);

/// For how long a request is remembered: for longer than the load waits for its answer.
const REMEMBERED_S: f64 = 4.0;
/// The fewest requests that are remembered.
const LEAST: usize = 1024;

#[derive(Debug)]
struct TakenSpans {
    /// The latest requests, each in the place of its number modulo how many there are: one
    /// more than its number, and in the lowest byte how many spans it has.
    recent: Vec<AtomicU64>,
    /// From the last byte of a response to its span, in nanoseconds.
    age: Mutex<Histogram<u64>>,
}

impl Spans {
    /// For so many requests a second, however long they come.
    pub(super) fn at_rate(rate: f64) -> Self {
        let room = ((rate * REMEMBERED_S) as usize).max(LEAST);
        // Written once, so that marking it later is no growth of the process.
        let recent: Vec<AtomicU64> = (0..room).map(|_| AtomicU64::new(u64::MAX)).collect();
        recent
            .iter()
            .for_each(|mark| mark.store(0, Ordering::Relaxed));
        let mut minute = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds");
        minute.reset();
        Self(Arc::new(TakenSpans {
            recent,
            age: Mutex::new(minute),
        }))
    }

    /// Takes spans, on the tracer's thread.
    pub(super) fn taker(&mut self) -> impl FnMut(HttpSpan) + Send + use<> {
        let taken = Arc::clone(&self.0);
        move |span| taken.take(&span)
    }

    /// Whether the request of this number has exactly one span. It must be among the latest.
    pub(super) fn has(&self, number: u64) -> bool {
        self.0.place(number).load(Ordering::Relaxed) == (number + 1) << 8 | 1
    }

    /// The age of a span when it was given, in milliseconds; none where there was none.
    pub(super) fn age_ms(&self, q: f64) -> Option<f64> {
        let age = self.0.age.lock().unwrap_or_else(PoisonError::into_inner);
        (!age.is_empty()).then(|| age.value_at_quantile(q) as f64 / 1e6)
    }
}

impl TakenSpans {
    fn place(&self, number: u64) -> &AtomicU64 {
        &self.recent[number as usize % self.recent.len()]
    }

    /// One more span of this request; one that comes after its time is none.
    fn mark(&self, number: u64) {
        let place = self.place(number);
        let before = place.load(Ordering::Relaxed);
        let (of, spans) = (before >> 8, before & 0xff);
        let key = number + 1;
        if of <= key {
            let spans = if of == key { (spans + 1).min(0xff) } else { 1 };
            place.store(key << 8 | spans, Ordering::Relaxed);
        }
    }

    fn take(&self, span: &HttpSpan) {
        // An arm that begins or ends amid a request sees a part of it.
        if span.side != Side::Server || !span.complete {
            return;
        }
        let now = now_ns(ClockId::Monotonic);
        let mut age = self.age.lock().unwrap_or_else(PoisonError::into_inner);
        age.saturating_record(now.saturating_sub(span.end_ns()));
        let number = span.path.rsplit('/').next();
        // One of 2^55 requests is not ours.
        let number = number.and_then(|n| n.parse().ok()).filter(|n| *n < 1 << 55);
        if let Some(number) = number {
            self.mark(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_span_once() {
        let mut spans = Spans::at_rate(10.0);
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
            ("/18446744073709551615", true),
        ] {
            take(span(path, complete));
        }
        assert!(spans.has(3) && !spans.has(4) && !spans.has(5) && spans.has(99));
        // Later ones take the places of earlier ones, and not the other way round.
        let later = 3 + LEAST as u64;
        take(span(&format!("/{later}"), true));
        take(span("/3", true));
        assert!(spans.has(later) && !spans.has(3));
        assert!(spans.age_ms(0.99).is_some());
    }

    /// A day of a million requests a second takes no more room than four seconds of them.
    #[test]
    fn room_is_for_the_latest_alone() {
        assert_eq!(Spans::at_rate(1e6).0.recent.len(), 4_000_000);
    }
}
