//! Looks at the process while the load is held.

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::load::SoakLoad;
use crate::agent::Stats;
use crate::experiment::usage::footprint_of_this_process;
use crate::host::Obstacle;
use crate::instrument::Ages;
use crate::monitor::Monitor;
use crate::schema::soak::SoakSample;

const BLANK: SoakSample = SoakSample {
    at_s: f64::NAN,
    rate: 0.0,
    events: 0,
    lost: 0,
    received: None,
    resident: 0,
    maps: 0,
    cpu_share: 0.0,
    descriptors: 0,
    context_switches: 0,
    age_p50_us: 0.0,
    age_p99_us: 0.0,
};

/// Takes samples.
pub(super) struct Sampler {
    begin: Instant,
    last: Totals,
    monitor: Monitor,
    samples: Vec<SoakSample>,
}

/// What only ever grows.
struct Totals {
    at: Instant,
    stats: Stats,
    cpu: Duration,
}

impl Sampler {
    /// Begins now, with room for so many samples.
    pub(super) fn start(load: &impl SoakLoad, ages: &Ages, room: usize) -> Result<Self, Obstacle> {
        // Written once, so that filling it later is no growth of the process.
        let mut samples = vec![BLANK; room + 1];
        samples.clear();
        ages.take([0.5, 0.99]);
        let last = Totals::read(load)?;
        Ok(Self {
            begin: last.at,
            last,
            monitor: Monitor::of(std::process::id())?,
            samples,
        })
    }

    /// The time since the last look.
    pub(super) fn since_last(&self) -> Duration {
        self.last.at.elapsed()
    }

    /// Looks.
    pub(super) fn look(&mut self, load: &impl SoakLoad, ages: &Ages) -> Result<(), Obstacle> {
        let now = Totals::read(load)?;
        let seconds = (now.at - self.last.at).as_secs_f64();
        let counts = now.stats.total() - self.last.stats.total();
        let events = counts.seen - counts.filtered;
        let process = self.monitor.look().ok_or_else(|| unread("it has ended"))?;
        let footprint = footprint_of_this_process().map_err(unread)?;
        let [p50, p99] = ages.take([0.5, 0.99]);
        self.samples.push(SoakSample {
            at_s: (now.at - self.begin).as_secs_f64(),
            rate: events as f64 / seconds,
            events,
            lost: counts.failed,
            received: Some(now.stats.received - self.last.stats.received),
            resident: footprint.resident,
            maps: footprint.maps,
            cpu_share: (now.cpu - self.last.cpu).as_secs_f64() / seconds,
            descriptors: process.descriptors,
            context_switches: process.voluntary_switches + process.involuntary_switches,
            age_p50_us: p50 / 1e3,
            age_p99_us: p99 / 1e3,
        });
        self.last = now;
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<SoakSample> {
        self.samples
    }
}

impl Totals {
    fn read(load: &impl SoakLoad) -> Result<Self, Obstacle> {
        Ok(Self {
            cpu: load.consumer_cpu_time()?,
            stats: load.stats()?,
            at: Instant::now(),
        })
    }
}

fn unread(error: impl Display) -> Obstacle {
    Obstacle::new(
        format!("this process cannot see itself: {error}"),
        "mount /proc",
    )
}
