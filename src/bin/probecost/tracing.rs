//! `probecost tracing`: what tracing HTTP costs a server.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use probecost::experiment::tracing::{Served, TracingRequest, tracing};
use probecost::gate::Gate;
use probecost::host::allowed_cpus;
use probecost::load::Scenario;
use probecost::process::watch_signals;
use probecost::report::{self, Format};
use probecost::results::Results;
use probecost::schema::Exit;
use probecost::schema::tracing::FILE;

/// `probecost tracing`
#[derive(Args)]
pub struct TracingArgs {
    /// The server
    #[arg(long, value_enum, default_value = "own")]
    server: Served,
    /// The load under which the arms alternate
    #[arg(long, value_enum, default_value = "medium")]
    scenario: Scenario,
    /// Requests a second, in place of the scenario's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// For how long in all, in seconds
    #[arg(long, default_value_t = 290, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: u64,
    /// Of the order of the arms; picked at random unless given
    #[arg(long)]
    seed: Option<u64>,
    /// Plant a leak in the tracer's process, in megabytes a minute: the run must fail
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    plant_leak: u32,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where each run leaves a directory of its own
    #[arg(long, default_value = "target/tracing")]
    out: PathBuf,
}

/// Measures, and judges requirement by requirement.
///
/// # Errors
/// The server or the tracer does not start.
pub fn run(args: &TracingArgs) -> Result<Exit, Box<dyn Error>> {
    watch_signals()?;
    let limits = Gate::here()?.tracing;
    let cpus = allowed_cpus();
    let request = TracingRequest {
        server: args.server,
        rate: args.rate.map_or(args.scenario.rate(), f64::from),
        connections: args.scenario.connections(),
        length: Duration::from_secs(args.duration),
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
        cpus: cpus.first().copied().zip(cpus.last().copied()),
        planted_mb_per_minute: args.plant_leak.into(),
    };
    let results = Results::create(&args.out)?;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {elapsed}, {eta} left").expect("a valid template"),
    );
    let report = tracing(&request, &limits, |share| {
        bar.set_position((1000.0 * share) as u64)
    })?;
    bar.finish_and_clear();
    results.write_json(FILE, &report)?;
    args.format.print(&report, |report| {
        format!("{}\n{results}\n", report::tracing::render(report))
    });
    Ok(Exit::of(report.rows.iter().map(|row| row.verdict)))
}
