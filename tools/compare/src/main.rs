//! `cargo compare`: parse, call, render, exit.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use compare::check::{CheckArgs, check};
use compare::destination::Destination;
use compare::duet::{DuetArgs, Interrupt, duet, stand_in};
use compare::failure::Failure;
use compare::history::{HistoryArgs, history};
use compare::merge::{MergeArgs, merge};
use compare::profile::{ProfileArgs, profile};
use compare::refresh::{RefreshArgs, refresh};
use compare::run::{RunArgs, run};
use compare::selftest::{SelftestArgs, selftest};
use probecost::schema::Exit;

/// Judges benchmark runs against a baseline.
///
/// Works on the Criterion homes of any project.
#[derive(Debug, Parser)]
#[command(name = "cargo-compare", bin_name = "cargo compare", version, after_help = compare::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a benchmark command N times, each time into a Criterion home of its own
    Run(RunArgs),
    /// Judge runs against a baseline
    Check(CheckArgs),
    /// Make a baseline from runs, or renew it
    Refresh(RefreshArgs),
    /// Resample your own runs: how often the gate errs
    Selftest(SelftestArgs),
    /// Judge head against base, both measured now and in turn
    Duet(DuetArgs),
    /// Judge the shards of one suite together
    Merge(MergeArgs),
    /// Where a bench executable spends its time, as a flame graph
    Profile(ProfileArgs),
    /// The baseline from refresh to refresh, and where benchmarks changed
    History(HistoryArgs),
}

fn main() -> ExitCode {
    if let Some(exit) = stand_in(env::args_os()) {
        return exit;
    }
    let exit = answer(Cli::parse_from(arguments()).command).unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        Exit::Broken
    });
    exit.into()
}

/// What was typed: cargo calls `cargo-compare` with the subcommand's name before it.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "compare") {
        arguments.remove(1);
    }
    arguments
}

fn answer(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => print(&run(&args)?),
        // What is written to is opened before anything is measured.
        Command::Check(args) => args.output.open()?.write(&check(&args)?),
        Command::Refresh(args) => print(&refresh(&args)?),
        Command::Selftest(args) => print(&selftest(&args)?),
        Command::Duet(args) => {
            let (what, request) = args.comparison()?;
            let output = args.output.open()?;
            output.write(&duet(&what, &request, &Interrupt::listen()?)?)
        }
        Command::Profile(args) => print(&profile(&args)?),
        Command::Merge(args) => merge(&args, args.output.open()?),
        Command::History(args) => {
            let destination = Destination::open(args.out.as_deref())?;
            destination.write(&history(&args)?).map(|()| Exit::Passed)
        }
    }
}

fn print(text: &str) -> Result<Exit, Failure> {
    Destination::Terminal.write(text).map(|()| Exit::Passed)
}
