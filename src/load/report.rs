//! What a whole load came to.

use std::cell::Cell;
use std::time::Duration;

use super::{LoadPace, LoadPlan, LoadTally, Regime, Running};
use crate::host::{Obstacle, provenance};
use crate::process::interrupted;
use crate::schema::Outcome;
use crate::schema::load::{
    Errors, LatencyUs, Load, PaceSource, Rates, RequestError, Requests, Second,
};

const SCHEMA: u32 = 1;
/// Requests beyond a percentile from which on it is likely to hold when measured again:
/// their number then spreads by a tenth.
const ENOUGH_BEYOND: u64 = 100;
/// The share of the median latency above which the generator's own lateness is said.
const LATE: f64 = 0.5;

/// A load that has ended.
#[derive(Debug)]
pub struct WholeLoad {
    plan: LoadPlan,
    length: Duration,
    pace: LoadPace,
    by_second: Vec<Second>,
    /// Whether it was ended before its length.
    is_interrupted: bool,
}

/// Makes the load for its length, or until Ctrl-C. `progress` is told the share of it that has
/// passed.
///
/// # Errors
/// Nobody listens there, or this machine cannot make the load.
pub fn whole(
    plan: &LoadPlan,
    length: Duration,
    mut progress: impl FnMut(f64),
) -> Result<WholeLoad, Obstacle> {
    let load = Running::start(LoadPlan {
        length: Some(length),
        ..plan.clone()
    })?;
    let mut whole = WholeLoad {
        plan: plan.clone(),
        length,
        pace: LoadPace::default(),
        by_second: vec![Second::default(); length.as_secs_f64().ceil() as usize],
        is_interrupted: false,
    };
    let planned = length.as_nanos() as u64;
    let end = Cell::new(planned);
    let begin = load.begin();
    let is_over = || {
        if interrupted() && end.get() == planned {
            end.set((begin.elapsed().as_nanos() as u64).clamp(1, planned));
        }
        end.get() < planned
    };
    load.finish_when(is_over, |record| {
        // It was told to end a little later.
        if record.intended >= end.get() {
            return;
        }
        whole.pace.add(record, end.get());
        progress(record.intended as f64 / planned as f64);
        if let Some(second) = whole
            .by_second
            .get_mut((record.intended / 1_000_000_000) as usize)
        {
            second.due += 1;
            second.answered += u64::from(record.outcome.is_ok());
            if record.outcome.is_ok() {
                let us = (record.ended - record.intended) as f64 / 1e3;
                second.max_us = second.max_us.max(us);
            }
        }
    });
    whole.length = Duration::from_nanos(end.get());
    let seconds = whole.length.as_secs_f64().ceil() as usize;
    whole.by_second.truncate(seconds);
    whole.is_interrupted = end.get() < planned;
    Ok(whole)
}

impl WholeLoad {
    /// Requests a second.
    pub fn rates(&self) -> Rates {
        Rates {
            asked: match self.plan.regime {
                Regime::Rate(rate) => Some(rate),
                Regime::Saturation => None,
            },
            reached: self.pace.reached(self.length),
        }
    }

    /// Its requests.
    pub fn tally(&self) -> &LoadTally {
        self.pace.tally()
    }

    /// Whether the server answered as fast as it was asked.
    pub fn is_reached(&self) -> bool {
        self.pace.is_kept(self.plan.connections)
    }

    /// As a document.
    pub fn report(&self) -> Load {
        let tally = self.tally();
        let errors = RequestError::ALL.map(|kind| (kind, tally.errors(kind)));
        Load {
            schema: SCHEMA,
            provenance: provenance(),
            url: self.plan.target.to_string(),
            pace: match self.plan.regime {
                Regime::Rate(_) => PaceSource::Rate,
                Regime::Saturation => PaceSource::Saturation,
            },
            connections: self.plan.connections,
            seconds: self.length.as_secs_f64(),
            rate: self.rates(),
            requests: Requests {
                due: tally.due(),
                sent: tally.sent(),
                answered: tally.answered,
                errors: errors
                    .into_iter()
                    .filter(|(_, n)| *n > 0)
                    .collect::<Errors>(),
            },
            latency_us: latency(tally),
            generator_lag_us: tally.generator_lag(),
            by_second: self.by_second.clone(),
            ladder: Vec::new(),
            knee: None,
            outcome: self.outcome(),
            notes: self.notes(),
        }
    }

    fn outcome(&self) -> Outcome {
        let tally = self.tally();
        // A queue that grows ends in these, where the load is long enough.
        let is_queue = tally.failed() == tally.errors(RequestError::Unsent);
        if tally.answered == 0 {
            Outcome::Broken
        } else if !self.is_reached() && is_queue {
            Outcome::Inconclusive
        } else if tally.failed() > 0 {
            Outcome::Fail
        } else {
            Outcome::Pass
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_interrupted {
            notes.push("interrupted: what was measured until then".into());
        }
        let Rates { asked, reached } = self.rates();
        if let Some(asked) = asked
            && !self.is_reached()
        {
            notes.push(format!(
                "{reached:.0} of {asked} requests a second were answered in time: the \
                 latencies tell how long the queue grew, not how fast the server is"
            ));
        }
        if self.plan.regime == Regime::Saturation {
            notes.push(
                "the server set the pace: who would have come while it stood still is left \
                 out of the latencies"
                    .into(),
            );
        }
        let due = self.tally().due();
        let beyond = due / 100;
        if beyond < ENOUGH_BEYOND {
            notes.push(format!(
                "{due} requests leave {beyond} beyond the p99: too few for it to hold when \
                 measured again; {} would leave {ENOUGH_BEYOND}",
                100 * ENOUGH_BEYOND
            ));
        }
        let lag = self.tally().generator_lag().p50;
        if let Some(p50) = self.tally().latency_us(0.5)
            && self.plan.regime != Regime::Saturation
            && lag > LATE * p50
        {
            notes.push(format!(
                "{lag:.0} µs of the median latency are the generator's own lateness"
            ));
        }
        notes
    }
}

fn latency(tally: &LoadTally) -> Option<LatencyUs> {
    let us = |ns: u64| ns as f64 / 1e3;
    Some(LatencyUs {
        mean: tally.latency.mean() / 1e3,
        p50: tally.latency_us(0.5)?,
        p95: tally.latency_us(0.95)?,
        p99: tally.latency_us(0.99)?,
        min: us(tally.latency.min()),
        max: us(tally.latency.max()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::RequestRecord;

    /// Longer than a request's timeout, its queue ends in requests that were never sent: that
    /// is the rate, too, and no failure of the server's.
    #[test]
    fn a_rate_that_was_not_reached_is_undecided_however_long_it_was_asked_for() {
        let second = 1_000_000_000;
        let outcome = |errors: &[(u64, RequestError)]| {
            let target = "http://127.0.0.1:9/".parse().unwrap();
            let mut whole = WholeLoad {
                plan: LoadPlan::new(target, Regime::Rate(1000.0), 2),
                length: Duration::from_secs(1),
                pace: LoadPace::default(),
                by_second: Vec::new(),
                is_interrupted: false,
            };
            let errors = errors.iter();
            let failed = errors.flat_map(|&(count, error)| (0..count).map(move |_| Err(error)));
            let outcomes = failed.chain(std::iter::repeat(Ok(())));
            for (number, outcome) in (0..1000).zip(outcomes) {
                let intended = 1_000_000 * number;
                let record = RequestRecord {
                    number,
                    intended,
                    noticed: intended,
                    ended: intended + 1000,
                    outcome,
                };
                whole.pace.add(&record, second);
            }
            whole.report().outcome
        };
        let (unsent, timeout) = (RequestError::Unsent, RequestError::Timeout);
        for (errors, wanted) in [
            (&[][..], Outcome::Pass),
            (&[(300, unsent)], Outcome::Inconclusive),
            (&[(300, unsent), (1, timeout)], Outcome::Fail),
            (&[(300, RequestError::Reset)], Outcome::Fail),
            // The rate was reached.
            (&[(5, unsent)], Outcome::Fail),
            (&[(1000, unsent)], Outcome::Broken),
        ] {
            assert_eq!(outcome(errors), wanted, "{errors:?}");
        }
    }
}
