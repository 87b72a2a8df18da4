//! The soak's arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::SoakRequest;
use crate::agent::Options;
use crate::host::{self, Obstacle};
use crate::schema::soak::SoakKind;

/// Holds a load of events for long, and says what was lost and what grew
///
/// Exit status: 0 within every budget, 1 over one, 2 nothing measured, 3 undecided.
#[derive(Args)]
pub struct SoakArgs {
    /// How long, e.g. 2m or 8h
    #[arg(long, default_value = "2m", value_parser = duration)]
    duration: Duration,
    /// Opens and connects under the audit hooks instead of records of a program of our own
    #[arg(long)]
    storm: bool,
    /// Events a second [default: 510000; of a storm 50000]
    #[arg(long, value_parser = rate, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Where to leave soak.json and soak.svg
    #[arg(long, default_value = "target/soak")]
    pub out: PathBuf,
    /// The size of the ring in bytes, a power of two
    #[arg(long, default_value_t = Options::default().ring_bytes)]
    ring_bytes: u32,
    /// Starve the consumer: the run must fail
    #[arg(long)]
    canary: bool,
}

impl SoakArgs {
    /// What they ask for.
    ///
    /// # Errors
    /// The kernel does not say which CPUs there are.
    pub(super) fn request(&self) -> Result<SoakRequest, Obstacle> {
        let allowed = host::allowed_cpus();
        let (Some(&first), Some(&last)) = (allowed.first(), allowed.last()) else {
            return Err(Obstacle::new(
                "the kernel does not say which CPUs are allowed",
                "name them: taskset --cpu-list 0,1 probecost soak",
            ));
        };
        let (load, rate) = match self.storm {
            false => (SoakKind::Records, 510_000.0),
            true => (SoakKind::Storm, 50_000.0),
        };
        Ok(SoakRequest {
            load,
            duration: self.duration,
            rate: self.rate.unwrap_or(rate),
            options: Options {
                ring_bytes: self.ring_bytes,
                cpu: Some(last),
                ..Options::default()
            },
            cpu: first,
            starve: self.canary,
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
        Ok(_) => Err("at least 1s is wanted".into()),
        Err(error) => Err(format!("{error}; a time such as 90s, 2m or 8h is wanted")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (1.0..=1e9).contains(&rate) => Ok(rate),
        _ => Err("a number of events a second from 1 to 1e9 is wanted".into()),
    }
}
