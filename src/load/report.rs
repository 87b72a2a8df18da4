//! What a whole load came to.

use std::time::Duration;

use super::{LoadPlan, LoadTally, Regime, Running};
use crate::host::{Obstacle, provenance};
use crate::schema::Outcome;
use crate::schema::load::{
    Errors, GeneratorLag, LatencyUs, Load, Pace, Rates, RequestError, Requests, Second,
};

const SCHEMA: u32 = 1;
/// Requests beyond a percentile from which on it is likely to hold when measured again:
/// their number then spreads by a tenth.
const ENOUGH_BEYOND: u64 = 100;
/// The share of requests that must be answered before the load ends, besides those under
/// way on its connections: more are a queue that grows.
const KEPT_UP: f64 = 0.99;
/// The share of the median latency above which the generator's own lateness is said.
const LATE: f64 = 0.5;

/// A load that has ended.
#[derive(Debug)]
pub struct Whole {
    plan: LoadPlan,
    length: Duration,
    tally: LoadTally,
    /// Answers before the load's end.
    in_time: u64,
    /// Requests that the server had done with by then, answered or not.
    settled: u64,
    by_second: Vec<Second>,
}

/// Makes the load for its length. `progress` is told the share of it that has passed.
///
/// # Errors
/// Nobody listens there, or this machine cannot make the load.
pub fn whole(
    plan: &LoadPlan,
    length: Duration,
    mut progress: impl FnMut(f64),
) -> Result<Whole, Obstacle> {
    let load = Running::start(LoadPlan {
        length: Some(length),
        ..plan.clone()
    })?;
    let mut whole = Whole {
        plan: plan.clone(),
        length,
        tally: LoadTally::default(),
        in_time: 0,
        settled: 0,
        by_second: vec![Second::default(); length.as_secs_f64().ceil() as usize],
    };
    let end = length.as_nanos() as u64;
    load.finish(|record| {
        whole.tally.add(record);
        progress(record.intended as f64 / end as f64);
        let answered = u64::from(record.outcome.is_ok());
        if record.ended <= end {
            whole.in_time += answered;
            let is_late = matches!(
                record.outcome,
                Err(RequestError::Unsent | RequestError::Timeout)
            );
            whole.settled += u64::from(!is_late);
        }
        if let Some(second) = whole
            .by_second
            .get_mut((record.intended / 1_000_000_000) as usize)
        {
            second.due += 1;
            second.answered += answered;
            if record.outcome.is_ok() {
                let us = (record.ended - record.intended) as f64 / 1e3;
                second.max_us = second.max_us.max(us);
            }
        }
    });
    Ok(whole)
}

impl Whole {
    /// Requests a second.
    pub fn rates(&self) -> Rates {
        Rates {
            asked: match self.plan.regime {
                Regime::Rate(rate) => Some(rate),
                Regime::Saturation => None,
            },
            reached: self.in_time as f64 / self.length.as_secs_f64(),
        }
    }

    /// Its requests.
    pub fn tally(&self) -> &LoadTally {
        &self.tally
    }

    /// Whether the server answered as fast as it was asked.
    pub fn is_reached(&self) -> bool {
        let under_way = self.plan.connections as u64;
        (self.settled + under_way) as f64 >= KEPT_UP * self.tally.due() as f64
    }

    /// As a document.
    pub fn report(&self) -> Load {
        let tally = &self.tally;
        let errors = RequestError::ALL.map(|kind| (kind, tally.errors(kind)));
        let lag = |q| tally.lag.value_at_quantile(q) as f64 / 1e3;
        Load {
            schema: SCHEMA,
            provenance: provenance(),
            url: self.plan.target.to_string(),
            pace: match self.plan.regime {
                Regime::Rate(_) => Pace::Rate,
                Regime::Saturation => Pace::Saturation,
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
            generator_lag_us: GeneratorLag {
                p50: lag(0.5),
                p99: lag(0.99),
                max: tally.lag.max() as f64 / 1e3,
            },
            by_second: self.by_second.clone(),
            ladder: Vec::new(),
            knee: None,
            outcome: self.outcome(),
            notes: self.notes(),
        }
    }

    fn outcome(&self) -> Outcome {
        if self.tally.answered == 0 {
            Outcome::Broken
        } else if self.tally.failed() > 0 {
            Outcome::Fail
        } else if !self.is_reached() {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
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
        let due = self.tally.due();
        let beyond = due / 100;
        if beyond < ENOUGH_BEYOND {
            notes.push(format!(
                "{due} requests leave {beyond} beyond the p99: too few for it to hold when \
                 measured again; {} would leave {ENOUGH_BEYOND}",
                100 * ENOUGH_BEYOND
            ));
        }
        let lag = self.tally.lag.value_at_quantile(0.5) as f64 / 1e3;
        if let Some(p50) = self.tally.latency_us(0.5)
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
