//! How much of what a command calls is seen.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use probecost::host::Obstacle;
use probecost::report;
use probecost::results::Results;
use probecost::schema::Exit;
use probecost::schema::coverage::Coverage;
use probecost::stream::Bounds;
use probecost::stream::coverage::{OWN_COUNTS, coverage, make_known_calls};
use probecost::workload::program_path;

use crate::command::BoundsArgs;
use probecost::report::Format;

/// `probecost coverage`
#[derive(Args)]
pub struct CoverageArgs {
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also leave coverage.json in a directory of its own below this one
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Do not count a second time by strace
    #[arg(long)]
    without_strace: bool,
    #[command(flatten)]
    bounds: BoundsArgs,
    /// In place of a command: a program that makes so many calls of 20 kinds in 4
    /// threads, and knows it
    #[arg(long, value_name = "CALLS", conflicts_with = "command")]
    known: Option<u64>,
    /// The command; what it prints goes to standard error. A program that knows its own
    /// calls writes them, a line `name count` each, into the file $PROBECOST_OWN_CALLS
    #[arg(last = true, required_unless_present = "known")]
    command: Vec<String>,
}

/// `probecost known-calls`: the program that `--known` runs.
#[derive(Args)]
pub struct KnownCallsArgs {
    calls: u64,
}

/// Makes the calls.
///
/// # Errors
/// There is no file to write them down in.
pub fn make_known(args: &KnownCallsArgs) -> Result<Exit, Box<dyn Error>> {
    let list = std::env::var_os(OWN_COUNTS).ok_or_else(|| {
        Obstacle::new(
            format!("${OWN_COUNTS} names no file"),
            "start this by: probecost coverage --known CALLS",
        )
    })?;
    make_known_calls(args.calls, 4, list.as_ref())?;
    Ok(Exit::Passed)
}

/// Counts and prints.
///
/// # Errors
/// The command cannot be started or counted.
pub fn run(args: &CoverageArgs) -> Result<Exit, Box<dyn Error>> {
    let results = args.out.as_deref().map(Results::create).transpose()?;
    let bounds: Bounds = args.bounds.into();
    let command = match args.known {
        Some(calls) => {
            let program = std::env::current_exe()?.display().to_string();
            vec![program, "known-calls".into(), calls.to_string()]
        }
        None => args.command.clone(),
    };
    let strace = args.known.is_none() && !args.without_strace && program_path("strace").is_some();
    let coverage = coverage(&command, strace, bounds)?;
    if let Some(results) = &results {
        results.write_json("coverage.json", &coverage)?;
    }
    args.format.print(&coverage, report::coverage::render);
    Ok(match coverage.share {
        Some(share) if share < Coverage::LEAST_SHARE => Exit::Failed,
        Some(_) if !coverage.out_of_time => Exit::Passed,
        _ => Exit::Undecided,
    })
}
