//! `probecost soak`: a load held for long.

use std::error::Error;

use probecost::experiment::soak::{self, SoakArgs};
use probecost::file;
use probecost::report::{self, soak_picture};
use probecost::schema::{Exit, soak::FILE};

/// Holds the load, leaves `soak.json` and `soak.svg`, and judges.
///
/// # Errors
/// Nothing could be measured, or it cannot be written.
pub fn run(args: &SoakArgs) -> Result<Exit, Box<dyn Error>> {
    let held = soak::run(args)?;
    file::write_json(&args.out.join(FILE), &held)?;
    let picture = soak_picture::draw(&held.samples);
    file::replace(&args.out.join("soak.svg"), picture.as_bytes())?;
    report::print(&(report::soak::render(&held) + "\n"));
    Ok(Exit::of(held.checks.iter().map(|check| check.verdict)))
}
