//! The soak's command line.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Report, Request, soak};
use crate::agent::Options;
use crate::file;
use crate::gate::Gate;
use crate::host::{self, Obstacle};
use crate::measure::Failure;
use crate::schema::Exit;

/// Holds a load of events for long, and says what was lost and what grew
///
/// Exit status: 0 within every budget, 1 over one, 2 nothing measured, 3 undecided.
#[derive(Args)]
pub struct SoakArgs {
    /// How long, e.g. 2m or 8h
    #[arg(long, default_value = "2m", value_parser = duration)]
    duration: Duration,
    /// Events a second
    #[arg(long, default_value = "510000", value_parser = rate, allow_negative_numbers = true)]
    rate: f64,
    /// Where to leave soak.json and soak.svg
    #[arg(long, default_value = "target/soak")]
    out: PathBuf,
    /// The size of the ring in bytes, a power of two
    #[arg(long, default_value_t = Options::default().ring_bytes)]
    ring_bytes: u32,
    /// Starve the consumer: the run must fail
    #[arg(long)]
    canary: bool,
}

/// Runs the soak.
///
/// # Errors
/// Nothing could be measured.
pub fn run(arguments: &SoakArgs) -> Result<Exit, Failure> {
    let request = request(arguments)?;
    let budgets = Gate::here()
        .map_err(|error| Obstacle::new(error.to_string(), "correct baselines/gate.toml"))?
        .agent;
    // Before measuring, so that a typo costs nothing.
    file::make_directory(&arguments.out)?;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {elapsed}, {eta} left").expect("a valid template"),
    );
    let report: Report = soak(&request, &budgets, |done| {
        bar.set_position((1000.0 * done) as u64);
    })?;
    bar.finish_and_clear();
    report.write(&arguments.out)?;
    // A reader that has seen enough (`| head`) is no error.
    let _ = writeln!(std::io::stdout(), "{report}");
    Ok(Exit::of(report.checks.iter().map(|check| check.verdict)))
}

fn request(arguments: &SoakArgs) -> Result<Request, Obstacle> {
    let allowed = host::allowed_cpus();
    let (Some(&first), Some(&last)) = (allowed.first(), allowed.last()) else {
        return Err(Obstacle::new(
            "the kernel does not say which CPUs are allowed",
            "name them: taskset --cpu-list 0,1 probecost soak",
        ));
    };
    Ok(Request {
        duration: arguments.duration,
        rate: arguments.rate,
        options: Options {
            ring_bytes: arguments.ring_bytes,
            cpu: Some(last),
            ..Options::default()
        },
        cpu: first,
        starve: arguments.canary,
    })
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
