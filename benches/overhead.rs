//! What the agent costs: all arms interleaved.
//!
//!     cargo bench --bench overhead -- --workload open_close --seconds 10
//!
//! It measures and does not judge: what exceeds a budget is in the table, and ends
//! nothing. `probecost overhead` ends with the verdict.

use std::process::ExitCode;

use clap::Parser;
use probecost::experiment::Failure;
use probecost::experiment::overhead::{OverheadArgs, run, run_task};
use probecost::report::{self, Format};
use probecost::schema::Exit;

#[derive(Parser)]
#[command(name = "cargo bench --bench overhead --", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    overhead: OverheadArgs,
    /// What to print
    #[arg(long, default_value = "table")]
    format: Format,
    /// Nothing of this is a benchmark of Criterion's, and so there is none to list
    #[arg(long, hide = true)]
    list: bool,
}

fn main() -> ExitCode {
    let exit = measure(&Arguments::parse()).unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        Exit::Broken
    });
    exit.into()
}

fn measure(arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.list {
        return Ok(Exit::Passed);
    }
    if let Some(task) = &arguments.overhead.worker {
        run_task(task)?;
    } else if let Some(measured) = run(&arguments.overhead, None)? {
        arguments.format.print(&measured, report::overhead::render);
        if measured.broken() {
            return Ok(Exit::Broken);
        }
    }
    Ok(Exit::Passed)
}
