//! What does an agent cost? One command, a subcommand a question.

mod command;
mod coverage;
mod host;
mod image;
mod impact;
mod list;
mod load;
mod monitor;
mod overhead;
mod pressure;
mod program;
mod repeatability;
mod report;
mod rungs;
mod seccomp;
mod slo;
mod soak;
mod trace;
mod tracing;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use probecost::experiment::soak::SoakArgs;
use probecost::schema::Exit;
use probecost::slo::SloArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0  passed
  1  a budget is exceeded
  2  broken: bad input, a tool that failed, nothing measured
  3  cannot be decided here";

/// What an agent costs the programs it watches.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the calls of a program cost under our agent
    Overhead(overhead::OverheadCommand),
    /// What any agent costs a real program
    Impact(impact::ImpactArgs),
    /// Our own agent, for the process that started this one
    #[command(hide = true)]
    ServeAgent {
        /// Its settings
        settings: String,
    },
    /// Hold a load of events for long: what is lost, and what grows
    Soak(SoakArgs),
    /// How much of what a command calls is seen, beside strace
    Coverage(coverage::CoverageArgs),
    /// Profiles of system calls: learnt from a command, put into force
    Seccomp(seccomp::SeccompArgs),
    /// HTTP requests of a process or a command, as lines of JSON
    Trace(trace::TraceArgs),
    #[command(hide = true)]
    KnownCalls(coverage::KnownCallsArgs),
    /// Send requests to a server at a rate, whatever it answers
    Load(load::LoadArgs),
    /// What watching memory pressure costs, and what acting on it saves
    Pressure(pressure::PressureCommand),
    #[command(hide = true)]
    PressurePart(pressure::PartArgs),
    /// Hold the artifacts of a strict run to their contract and their budgets
    Slo(SloArgs),
    /// How long images take from a store to a tree that can be read
    Image(image::ImageCommand),
    /// What a process and its children take, each second
    Monitor(monitor::MonitorArgs),
    /// What tracing HTTP costs a server, requirement by requirement
    Tracing(tracing::TracingArgs),
    /// All results on one page: how each stands, and where it leads
    Report(report::ReportCommand),
    /// Which machine this is, what it can do, and what stands in the way of the rest
    Host(host::HostArgs),
    /// Do the intervals of several overhead measurements hold?
    Repeatability(repeatability::RepeatabilityArgs),
}

fn main() -> ExitCode {
    let done: Result<Exit, Box<dyn Error>> = match &Cli::parse().command {
        Command::Overhead(args) => overhead::run(args),
        Command::Soak(args) => soak::run(args),
        Command::Coverage(args) => coverage::run(args),
        Command::Seccomp(args) => seccomp::run(args),
        Command::Trace(args) => trace::run(args),
        Command::KnownCalls(args) => coverage::make_known(args),
        Command::Load(args) => load::run(args),
        Command::Impact(args) => impact::run(args),
        Command::ServeAgent { settings } => impact::serve_agent(settings),
        Command::Pressure(args) => pressure::run(args),
        Command::PressurePart(args) => pressure::run_part(args),
        Command::Slo(args) => slo::run(args),
        Command::Image(args) => image::run(args),
        Command::Monitor(args) => monitor::run(args),
        Command::Tracing(args) => tracing::run(args),
        Command::Report(args) => report::run(args),
        Command::Host(args) => host::run(args),
        Command::Repeatability(args) => repeatability::run(args),
    };
    let exit = done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::Broken
    });
    exit.into()
}
