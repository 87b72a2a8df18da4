//! What became of requests.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::schema::load::{GeneratorLag, RequestError as Error};

/// How late the generator may come to the slowest hundredth of its requests, in nanoseconds,
/// before their latencies say nothing of the server.
const MOST_LAG: u64 = 1_000_000;

/// One request, in nanoseconds since the load's start.
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord {
    /// Its number, from 0 on: what `{id}` in a URL stood for.
    pub number: u64,
    /// When it was to be sent.
    pub intended: u64,
    /// When the generator came to it.
    pub noticed: u64,
    /// When its answer was whole, or given up.
    pub ended: u64,
    /// What became of it.
    pub outcome: Result<(), Error>,
}

impl RequestRecord {
    /// What fills room for others.
    pub(super) const NONE: Self = Self {
        number: 0,
        intended: 0,
        noticed: 0,
        ended: 0,
        outcome: Ok(()),
    };
}

/// Requests, counted by what became of them.
#[derive(Clone)]
pub struct LoadTally {
    /// Answers.
    pub answered: u64,
    errors: [u64; Error::ALL.len()],
    /// From the intended start to the last byte of the answer, in nanoseconds.
    pub latency: Histogram<u64>,
    /// How late the generator itself came to a request, in nanoseconds.
    pub lag: Histogram<u64>,
}

impl fmt::Debug for LoadTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadTally")
            .field("answered", &self.answered)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

impl Default for LoadTally {
    fn default() -> Self {
        let minutes = || Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("valid bounds");
        Self {
            answered: 0,
            errors: [0; Error::ALL.len()],
            latency: minutes(),
            lag: minutes(),
        }
    }
}

impl LoadTally {
    /// Counts one request.
    pub fn add(&mut self, record: &RequestRecord) {
        self.lag.saturating_record(record.noticed - record.intended);
        match record.outcome {
            Ok(()) => {
                self.answered += 1;
                self.latency
                    .saturating_record(record.ended - record.intended);
            }
            Err(error) => self.errors[error as usize] += 1,
        }
    }

    /// Forgets all, and keeps the room.
    pub fn clear(&mut self) {
        self.answered = 0;
        self.errors = Default::default();
        self.latency.reset();
        self.lag.reset();
    }

    /// Counts those of another tally as well.
    pub fn merge(&mut self, other: &Self) {
        self.answered += other.answered;
        for (sum, count) in self.errors.iter_mut().zip(other.errors) {
            *sum += count;
        }
        for (sum, histogram) in [
            (&mut self.latency, &other.latency),
            (&mut self.lag, &other.lag),
        ] {
            sum.add(histogram).expect("the same bounds");
        }
    }

    /// How many ended so.
    pub fn errors(&self, kind: Error) -> u64 {
        self.errors[kind as usize]
    }

    /// How many ended in an error of any kind.
    pub fn failed(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// All requests.
    pub fn due(&self) -> u64 {
        self.answered + self.failed()
    }

    /// Those that had a connection in time.
    pub fn sent(&self) -> u64 {
        self.due() - self.errors(Error::Unsent) - self.errors(Error::Refused)
    }

    /// Whether the generator was so late by itself that these say nothing of the server.
    pub fn fell_behind(&self) -> bool {
        self.lag.value_at_quantile(0.99) > MOST_LAG
    }

    /// How late the generator came to them.
    pub fn generator_lag(&self) -> GeneratorLag {
        let us = |ns: u64| ns as f64 / 1e3;
        GeneratorLag {
            p50: us(self.lag.value_at_quantile(0.5)),
            p99: us(self.lag.value_at_quantile(0.99)),
            max: us(self.lag.max()),
        }
    }

    /// The `q`-quantile of the latency in microseconds; none without an answer.
    pub fn latency_us(&self, q: f64) -> Option<f64> {
        (self.answered > 0).then(|| self.latency.value_at_quantile(q) as f64 / 1e3)
    }
}

/// The requests of a stretch of a load.
#[derive(Debug, Clone)]
pub struct LoadBlock {
    /// How long it was.
    pub length: Duration,
    /// Requests due in it whose end came in it, and for whoever says so those that ended later.
    pub tally: LoadTally,
    /// Requests due in it whose end came later: latencies that two arms have a share in.
    pub across: u64,
}

impl LoadBlock {
    /// Answers a second.
    pub fn throughput(&self) -> f64 {
        self.tally.answered as f64 / self.length.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered_or_an_error() {
        let mut tally = LoadTally::default();
        let record = |outcome| RequestRecord {
            number: 0,
            intended: 1_000,
            noticed: 1_500,
            ended: 2_001_000,
            outcome,
        };
        tally.add(&record(Ok(())));
        for error in Error::ALL {
            tally.add(&record(Err(error)));
        }
        assert_eq!((tally.due(), tally.answered, tally.failed()), (7, 1, 6));
        assert_eq!(tally.sent(), 5);
        assert!(Error::ALL.iter().all(|e| tally.errors(*e) == 1));
        assert!((tally.latency_us(0.5).unwrap() / 2000.0 - 1.0).abs() < 1e-3);
        assert_eq!(tally.lag.max(), 500);
        assert_eq!(LoadTally::default().latency_us(0.99), None);
        assert!(!tally.fell_behind() && !LoadTally::default().fell_behind());
        tally.add(&RequestRecord {
            noticed: 2_000_000,
            ..record(Ok(()))
        });
        assert!(tally.fell_behind());
    }
}
