//! `probecost slo`: the artifacts of a strict run, held to their contract and judged.

use std::error::Error;

use probecost::report;
use probecost::schema::Exit;
use probecost::slo::{self, SloArgs};

/// Judges, and prints the table.
///
/// # Errors
/// A file is missing, unknown, or says what it may not.
pub fn run(args: &SloArgs) -> Result<Exit, Box<dyn Error>> {
    let (table, exit) = slo::slo(args)?;
    report::print(&table);
    Ok(exit)
}
