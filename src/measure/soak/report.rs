//! The result of a soak (`soak.json`).

use std::fmt::{self, Write};
use std::path::Path;

use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};

use super::{Request, Sample, picture};
use crate::file;
use crate::host::{Host, Obstacle, SystemLoad};
use crate::measure::report::Judged;
use crate::stats::median;

/// The version of this layout.
pub(super) const SCHEMA: u32 = 1;

/// A soak. Intervals hold with 99 % confidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The version of this layout: 1.
    pub schema: u32,
    /// The machine.
    pub host: Host,
    /// What was asked for.
    pub settings: Settings,
    /// The whole run.
    pub totals: Totals,
    /// Every budget and what became of it.
    pub checks: Vec<Judged>,
    /// What a reader should know of the run.
    pub warnings: Vec<String>,
    /// What else went on.
    pub surroundings: SystemLoad,
    /// The run, look by look.
    pub samples: Vec<Sample>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds.
    pub seconds: f64,
    /// Events a second.
    pub rate: f64,
    /// The size of the ring in bytes.
    pub ring_bytes: u32,
    /// The CPU that made the load.
    pub cpu: usize,
    /// The CPU of the consumer.
    pub consumer_cpu: Option<usize>,
    /// Whether the consumer was starved on purpose.
    pub canary: bool,
}

impl Settings {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            seconds: request.duration.as_secs_f64(),
            rate: request.rate,
            ring_bytes: request.options.ring_bytes,
            cpu: request.cpu,
            consumer_cpu: request.options.cpu,
            canary: request.starve,
        }
    }
}

/// The whole run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Totals {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Events made.
    pub events: u64,
    /// Events lost for want of room in the ring.
    pub lost: u64,
    /// Events received.
    pub received: u64,
    /// How long the load stood still, in seconds.
    pub held_up_s: f64,
    /// How long the machine was suspended, in seconds.
    pub asleep_s: f64,
}

impl Totals {
    /// Events a second.
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }
}

impl Report {
    /// Writes `soak.json` and `soak.svg` into `directory`.
    pub fn write(&self, directory: &Path) -> Result<(), Obstacle> {
        let json = serde_json::to_vec_pretty(self).expect("results are plain data");
        file::replace(&directory.join("soak.json"), &json)?;
        let picture = picture::draw(&self.samples);
        file::replace(&directory.join("soak.svg"), picture.as_bytes())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        writeln!(
            f,
            "{:.0} events/s for {:.0} s on {}: {} events, {} lost",
            totals.rate(),
            totals.seconds,
            self.host.class(),
            totals.events,
            totals.lost
        )?;
        let middle = |value: fn(&Sample) -> f64| {
            median(&self.samples.iter().map(value).collect::<Vec<f64>>()).unwrap_or(0.0)
        };
        let switches: u64 = self.samples.iter().map(|s| s.context_switches).sum();
        writeln!(
            f,
            "consumer {:.1} % of one CPU, {:.0} context switches/s, age of an event p50 {:.0} µs, \
             p99 {:.0} µs",
            middle(|s| s.cpu_share * 100.0),
            switches as f64 / totals.seconds,
            middle(|s| s.age_p50_us),
            middle(|s| s.age_p99_us),
        )?;
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["check", "measured", "budget", "verdict"]);
        for check in &self.checks {
            let Judged {
                measure,
                limit,
                measured,
                verdict,
            } = check;
            let mut shown = format!("{:.4}", measured.est);
            if measured.lo < measured.hi {
                write!(shown, " [{:.4}, {:.4}]", measured.lo, measured.hi)?;
            }
            table.add_row([
                measure.clone(),
                shown,
                limit.to_string(),
                verdict.shown().into(),
            ]);
        }
        write!(f, "\n{table}")?;
        for warning in &self.warnings {
            write!(f, "\nnote: {warning}")?;
        }
        Ok(())
    }
}
