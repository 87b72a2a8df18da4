//! `probecost overhead`: the instrument without cargo, with its verdict.

use std::error::Error;

use probecost::experiment::overhead::{self, OverheadArgs, run_task};
use probecost::report;
use probecost::schema::Exit;

/// Measures, prints and judges.
///
/// # Errors
/// Nothing could be measured.
pub fn run(args: &OverheadArgs) -> Result<Exit, Box<dyn Error>> {
    if let Some(task) = &args.worker {
        run_task(task)?;
        return Ok(Exit::Passed);
    }
    let Some(measured) = overhead::run(args, Some("overhead"))? else {
        return Ok(Exit::Passed);
    };
    report::overhead::print(&measured, args.format);
    Ok(Exit::of(measured.rows.iter().map(|row| row.verdict)))
}
