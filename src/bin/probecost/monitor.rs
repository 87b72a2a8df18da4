//! `probecost monitor`: what a process and its children take, each second.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use probecost::host::Obstacle;
use probecost::monitor::{MonitoredCommand, watch};
use probecost::report::{self, Format};
use probecost::results::Results;
use probecost::schema::Exit;
use probecost::schema::monitor::{FILE, MonitorReport};
use signal_hook::consts::{SIGINT, SIGTERM};

/// `probecost monitor`
#[derive(Args)]
pub struct MonitorArgs {
    /// A process that runs; it is watched until it ends, or until Ctrl-C
    #[arg(long, required_unless_present = "command", conflicts_with = "command", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where each run leaves a directory of its own
    #[arg(long, default_value = "target/monitor")]
    out: PathBuf,
    /// A command to start and watch; what it prints goes to standard error
    #[arg(last = true)]
    command: Vec<String>,
}

/// Watches, and prints what was taken.
///
/// # Errors
/// There is nothing to watch, or it cannot be written down.
pub fn run(args: &MonitorArgs) -> Result<Exit, Box<dyn Error>> {
    let watched = match args.pid {
        Some(pid) => MonitoredCommand::Pid(pid),
        None => MonitoredCommand::Command(args.command.clone()),
    };
    // Ctrl-C ends the command as well; what was seen of it is to be kept.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let results = Results::create(&args.out)?;
    let watched = watch(&watched, &results, &stop)?;
    keep(&watched, &results)?;
    args.format.print(&watched, |watched| {
        format!("{}\n{results}\n", report::monitor::render(watched))
    });
    Ok(Exit::Passed)
}

/// Leaves what was taken, and a picture of it.
///
/// # Errors
/// It cannot be written.
pub fn keep(watched: &MonitorReport, results: &Results) -> Result<(), Obstacle> {
    results.write_json(FILE, watched)?;
    let picture = report::monitor::draw(&watched.samples);
    results.write("monitor.svg", picture.as_bytes())
}
