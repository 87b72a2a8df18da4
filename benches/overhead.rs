//! What the agent costs: all arms interleaved.
//!
//!     cargo bench --bench overhead -- --workload open_close --seconds 10
//!
//! It measures and does not judge: what exceeds a budget is in the table, and ends
//! nothing. `probecost overhead` ends with the verdict.

use std::process::ExitCode;

use clap::Parser;
use probecost::experiment::overhead::{OverheadArgs, run, run_task};
use probecost::report;
use probecost::schema::Exit;

#[derive(Parser)]
#[command(name = "cargo bench --bench overhead --", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    overhead: OverheadArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse().overhead;
    let done = match &arguments.worker {
        Some(task) => run_task(task).map(|()| false),
        None => run(&arguments, None).map_err(Into::into).map(|measured| {
            measured.is_some_and(|measured| {
                report::overhead::print(&measured, arguments.format);
                measured.broken()
            })
        }),
    };
    let exit = match done {
        Ok(broken) if !broken => Exit::Passed,
        Ok(_) => Exit::Broken,
        Err(failure) => {
            eprintln!("error: {failure}");
            Exit::Broken
        }
    };
    exit.into()
}
