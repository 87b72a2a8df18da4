//! What watching memory pressure costs, and what acting on it saves.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use probecost::gate::Gate;
use probecost::report::{self, Format};
use probecost::results::Results;
use probecost::schema::{Exit, pressure::FILE};
use probecost::stream::pressure::{self, LoadPart, MonitorPart, PressureArgs};

use crate::list::once;

/// `probecost pressure`
#[derive(Args)]
pub struct PressureCommand {
    #[command(flatten)]
    args: PressureArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where each run leaves a directory of its own
    #[arg(long, default_value = "target/pressure")]
    out: PathBuf,
}

/// A process of it; not for people.
#[derive(Args)]
pub struct PartArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Touches pages
    Load(LoadPart),
    /// Watches pressure
    Monitor(MonitorPart),
}

/// Measures, prints and writes it.
///
/// # Errors
/// Nothing can be measured here.
pub fn run(command: &PressureCommand) -> Result<Exit, Box<dyn Error>> {
    let gate = Gate::here()?;
    once("--policy", &command.args.policy)?;
    let results = Results::create(&command.out)?;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {elapsed}, {eta} left").expect("a valid template"),
    );
    let report = pressure::measure(&command.args, &gate.pressure, |done| {
        bar.set_position((1000.0 * done) as u64);
    })?;
    bar.finish_and_clear();
    results.write_json(FILE, &report)?;
    command.format.print(&report, |report| {
        format!("{}\n{results}\n", report::pressure::render(report))
    });
    Ok(Exit::of(report.rows.iter().map(|row| row.verdict)))
}

/// Runs one of the processes.
///
/// # Errors
/// It cannot go on.
pub fn run_part(args: &PartArgs) -> Result<Exit, Box<dyn Error>> {
    match &args.part {
        Part::Load(part) => pressure::touch(part)?,
        Part::Monitor(part) => pressure::watch(part)?,
    }
    Ok(Exit::Passed)
}
