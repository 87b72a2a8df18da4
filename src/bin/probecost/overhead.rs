//! `probecost overhead`: the instrument without cargo, with its verdict.

use std::error::Error;

use clap::Args;
use probecost::experiment::overhead::{self, OverheadArgs, run_task};
use probecost::host::Obstacle;
use probecost::report::{self, Format};
use probecost::schema::Exit;
use probecost::workload::Name;

/// `probecost overhead`
#[derive(Args)]
pub struct OverheadCommand {
    #[command(flatten)]
    overhead: OverheadArgs,
    /// What to print
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Measures, prints and judges.
///
/// # Errors
/// Nothing could be measured.
pub fn run(command: &OverheadCommand) -> Result<Exit, Box<dyn Error>> {
    let args = &command.overhead;
    if let Some(task) = &args.worker {
        run_task(task)?;
        return Ok(Exit::Passed);
    }
    let Some(measured) = overhead::run(args, Some("overhead"))? else {
        return Err(nothing(args.filter.as_deref().unwrap_or_default()).into());
    };
    command.format.print(&measured, report::overhead::render);
    Ok(overhead::exit(&measured.rows))
}

/// What to say where a filter leaves nothing to measure.
fn nothing(filter: &str) -> Obstacle {
    let names: Vec<&str> = Name::ALL.iter().map(|name| name.as_str()).collect();
    Obstacle::new(
        format!("no workload that is asked for has {filter:?} in its name"),
        format!("name some with --workload: {}", names.join(",")),
    )
}
