//! What the agent costs: all arms interleaved.
//!
//!     cargo bench --bench overhead -- --workload open_close --seconds 10

use std::process::ExitCode;

use clap::Parser;
use probecost::measure::command::{OverheadArgs, run};
use probecost::schema::Exit;

#[derive(Parser)]
#[command(name = "cargo bench --bench overhead --", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    overhead: OverheadArgs,
}

fn main() -> ExitCode {
    let done = run(&Arguments::parse().overhead, None);
    let exit = done.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        Exit::Broken
    });
    exit.into()
}
