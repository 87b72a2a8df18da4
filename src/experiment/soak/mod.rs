//! A load held for long: what is lost, what grows, and what the agent takes
//! meanwhile.

mod args;
mod judging;
mod load;
mod sample;

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::time::ClockId;

use super::Failure;
use super::assignment::pin_workload;
use crate::agent::Options;
use crate::agent::clock::now_ns;
use crate::file;
use crate::gate::{AgentBudgets, Gate};
use crate::host::{self, Obstacle, Watch};
use crate::instrument::Ages;
use crate::schema::Host;
use crate::schema::soak::{SCHEMA, SoakKind, SoakReport, SoakSettings, SoakTotals};

pub use args::SoakArgs;
pub use judging::judge;
use load::{Records, SoakLoad, Storm};
use sample::Sampler;

/// What load to hold, and for how long.
#[derive(Debug, Clone)]
pub struct SoakRequest {
    /// What makes the events.
    pub load: SoakKind,
    /// How long.
    pub duration: Duration,
    /// Events a second.
    pub rate: f64,
    /// The agent's settings; its consumer has a CPU of its own where there is one.
    pub options: Options,
    /// The CPU that makes the load.
    pub cpu: usize,
    /// Keeps the consumer from reading: a soak that must turn red.
    pub starve: bool,
}

/// The pause between two bursts of calls.
const PAUSE: Duration = Duration::from_micros(200);
/// One look at the process a second, however long it lasts; more often where it lasts
/// minutes, so that there are enough of them.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 240;
const SHORTEST_LOOK: Duration = Duration::from_millis(50);
/// Calls that are overdue by more are given up: made all at once, they would be
/// another load than the one asked for.
const OVERDUE: Duration = Duration::from_millis(20);

/// Holds the load that the arguments ask for, with a progress bar.
///
/// # Errors
/// The budgets cannot be read, nothing can be written, or nothing could be measured.
pub fn run(arguments: &SoakArgs) -> Result<SoakReport, Failure> {
    let request = arguments.request()?;
    let budgets = Gate::here()
        .map_err(|error| Obstacle::new(error.to_string(), "correct baselines/gate.toml"))?
        .agent;
    // Before measuring, so that a typo costs nothing.
    file::make_directory(&arguments.out)?;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {elapsed}, {eta} left").expect("a valid template"),
    );
    let report = soak(&request, &budgets, |done| {
        bar.set_position((1000.0 * done) as u64);
    })?;
    bar.finish_and_clear();
    Ok(report)
}

/// Holds the load. `progress` is told the share of the time that has passed.
///
/// Fails where nothing could be measured, or where events went missing uncounted.
pub fn soak(
    request: &SoakRequest,
    budgets: &AgentBudgets,
    progress: impl FnMut(f64),
) -> Result<SoakReport, Failure> {
    let ages = Ages::default();
    match request.load {
        SoakKind::Records => {
            let load = Records::start(&request.options, &ages)?;
            soak_under(load, &ages, request, budgets, progress)
        }
        SoakKind::Storm => {
            let load = Storm::start(&request.options, &ages)?;
            soak_under(load, &ages, request, budgets, progress)
        }
    }
}

fn soak_under<L: SoakLoad>(
    mut load: L,
    ages: &Ages,
    request: &SoakRequest,
    budgets: &AgentBudgets,
    mut progress: impl FnMut(f64),
) -> Result<SoakReport, Failure> {
    let host = Host::read().map_err(|e| Obstacle::new(e.to_string(), "mount /proc and /sys"))?;
    pin_workload(request.cpu)?;

    let watch = Watch::start();
    let asleep_before = asleep();
    let every = (request.duration / LOOKS).clamp(SHORTEST_LOOK, LOOK);
    let looks = request.duration.div_duration_f64(every).ceil();
    let mut sampler = Sampler::start(&load, ages, looks as usize)?;
    // What was opened to get ready is none of the run, and would be received in it.
    let before = load.drain()?;
    let matched_before = load.matched();
    load.pause_consumer(request.starve);
    let mut held_up = Duration::ZERO;
    let begin = Instant::now();
    let mut pace = Pace::new(begin, request.rate / f64::from(L::PER_CALL));
    let mut calls = 0u64;
    while begin.elapsed() < request.duration {
        held_up += pace.forgive(Instant::now(), OVERDUE);
        for _ in 0..pace.due(Instant::now()) {
            load.call()?;
            calls += 1;
        }
        if sampler.since_last() >= every {
            sampler.look(&load, ages)?;
            progress(begin.elapsed().div_duration_f64(request.duration));
        }
        std::thread::sleep(PAUSE);
    }
    let seconds = begin.elapsed().as_secs_f64();
    load.pause_consumer(false);
    let stats = load.drain()?;

    let made = calls * u64::from(L::PER_CALL);
    let counted = stats.total() - before.total();
    let events = counted.seen - counted.filtered;
    let totals = SoakTotals {
        seconds,
        events,
        lost: counted.failed,
        received: stats.received - before.received,
        matched: Some(load.matched() - matched_before),
        held_up_s: held_up.as_secs_f64(),
        asleep_s: (asleep() - asleep_before).max(0.0),
    };
    if totals.lost + totals.received != events || events < made || (L::ALONE && events > made) {
        return Err(Failure::Harness(format!(
            "of {made} events made {events} were seen, {} received and {} counted as lost",
            totals.received, totals.lost
        )));
    }
    // What was made is what is watched for: all of it goes the whole way, or is lost.
    let matched = totals.matched.unwrap_or(0);
    if matched + totals.lost < made {
        return Err(Failure::Harness(format!(
            "of {made} events made {matched} reached the output and {} were lost",
            totals.lost
        )));
    }
    let system_load = watch.stop();
    let samples = sampler.finish();
    let settings = settings(request);
    Ok(SoakReport {
        schema: SCHEMA,
        provenance: Some(host::provenance()),
        host,
        checks: judging::judge(&totals, &settings, &samples, budgets),
        settings,
        warnings: judging::warnings(&totals, &system_load),
        totals,
        system_load,
        samples,
    })
}

fn settings(request: &SoakRequest) -> SoakSettings {
    SoakSettings {
        load: request.load,
        seconds: request.duration.as_secs_f64(),
        rate: request.rate,
        ring_bytes: request.options.ring_bytes,
        cpu: request.cpu,
        consumer_cpu: request.options.cpu,
        canary: request.starve,
    }
}

/// How long this machine has been suspended since it was switched on, in seconds.
fn asleep() -> f64 {
    let [all, awake] = [ClockId::Boottime, ClockId::Monotonic].map(now_ns);
    all.saturating_sub(awake) as f64 / 1e9
}

/// Calls that come at a steady rate.
struct Pace {
    begin: Instant,
    per_second: f64,
    given: u64,
}

impl Pace {
    fn new(begin: Instant, per_second: f64) -> Self {
        Self {
            begin,
            per_second,
            given: 0,
        }
    }

    /// How many calls have become due since the last look.
    fn due(&mut self, now: Instant) -> u64 {
        let all = ((now - self.begin).as_secs_f64() * self.per_second) as u64;
        let due = all.saturating_sub(self.given);
        self.given += due;
        due
    }

    /// Gives up calls that are overdue by more than `most`, and says by how long. The next
    /// one is then due at once.
    fn forgive(&mut self, now: Instant, most: Duration) -> Duration {
        let next = Duration::from_secs_f64((self.given + 1) as f64 / self.per_second);
        let behind = (now - self.begin).saturating_sub(next);
        if behind <= most {
            return Duration::ZERO;
        }
        self.begin += behind;
        behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_at_their_rate_and_overdue_ones_are_given_up() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut pace = Pace::new(begin, 1000.0);
        assert_eq!(pace.forgive(at(10), OVERDUE), Duration::ZERO);
        assert_eq!(pace.due(at(10)), 10);
        assert_eq!(pace.due(at(15)), 5);
        // The machine stood still for a second.
        assert_eq!(pace.forgive(at(1015), OVERDUE), Duration::from_millis(999));
        assert_eq!(pace.due(at(1015)), 1);
        assert_eq!(pace.due(at(1020)), 5);
    }

    /// Even where two of them lie further apart than one may be overdue.
    #[test]
    fn slow_calls_come_at_their_rate() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin, 30.0);
        let looks = (1..=1010).map(|ms| begin + Duration::from_millis(ms));
        let calls = looks.map(|now| {
            assert_eq!(pace.forgive(now, OVERDUE), Duration::ZERO);
            pace.due(now)
        });
        assert_eq!(calls.sum::<u64>(), 30);
    }
}
