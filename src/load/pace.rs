//! Whether a server kept up with a load.

use std::time::Duration;

use super::tally::{LoadTally, RequestRecord};
use crate::schema::load::RequestError;

/// The share of requests that must be done with before the load ends, besides those under
/// way on its connections: more are a queue that grows.
pub const KEPT_UP: f64 = 0.99;

/// All requests of a load, and how many the server had done with by its end.
#[derive(Debug, Clone, Default)]
pub struct LoadPace {
    tally: LoadTally,
    /// Answers before the end.
    in_time: u64,
    /// Requests that the server had done with by then, answered or not.
    settled: u64,
}

impl LoadPace {
    /// Counts a request of a load that ends at `end`, in nanoseconds since its start.
    pub fn add(&mut self, record: &RequestRecord, end: u64) {
        self.tally.add(record);
        if record.ended <= end {
            self.in_time += u64::from(record.outcome.is_ok());
            let is_late = matches!(
                record.outcome,
                Err(RequestError::Unsent | RequestError::Timeout)
            );
            self.settled += u64::from(!is_late);
        }
    }

    /// Forgets all, and keeps the room.
    pub fn clear(&mut self) {
        self.tally.clear();
        (self.in_time, self.settled) = (0, 0);
    }

    /// All requests, whenever they ended.
    pub fn tally(&self) -> &LoadTally {
        &self.tally
    }

    /// Answers a second of a load of this length.
    pub fn reached(&self, length: Duration) -> f64 {
        self.in_time as f64 / length.as_secs_f64()
    }

    /// The share of requests that were done with, or under way on as many connections.
    pub fn kept(&self, connections: usize) -> f64 {
        let due = self.tally.due();
        let kept = (self.settled + connections as u64).min(due);
        kept as f64 / due.max(1) as f64
    }

    /// Whether the server answered as fast as it was asked.
    pub fn is_kept(&self, connections: usize) -> bool {
        self.tally.due() == 0 || self.kept(connections) >= KEPT_UP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_grows_is_no_pace_kept() {
        let pace = |unsent: u64| {
            let mut pace = LoadPace::default();
            for number in 0..1000 {
                let outcome = match number < unsent {
                    true => Err(RequestError::Unsent),
                    false => Ok(()),
                };
                let intended = number * 1_000_000;
                let record = RequestRecord {
                    number,
                    intended,
                    noticed: intended,
                    ended: intended + 1,
                    outcome,
                };
                pace.add(&record, 1_000_000_000);
            }
            pace
        };
        // Two connections hold two, and a hundredth may be late.
        assert!(pace(12).is_kept(2) && !pace(13).is_kept(2));
        assert_eq!(pace(500).reached(Duration::from_secs(1)), 500.0);
        assert!(LoadPace::default().is_kept(2));
    }
}
