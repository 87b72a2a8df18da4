//! The strict run: its artifacts, and the one table that says whether it kept its budgets.
//!
//! overhead.json → artifacts → contract → judge → report.

mod artifact;
mod contract;
mod judge;
mod measured;
mod place;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use probecost::gate::Gate;
use probecost::schema::Exit;

use crate::failure::Failure;
use crate::file;

use contract::Evidence;
use judge::Table;
use measured::Measured;

const SLO_EXIT_CODES: &str = "\
Exit codes:
  0  every budget is kept
  1  a budget is exceeded
  2  broken: a file is missing, or does not say what it must
  3  cannot be decided here: inconclusive, or below what this machine resolves";

/// `cargo compare slo`
#[derive(Debug, Args)]
#[command(after_help = SLO_EXIT_CODES)]
pub struct SloArgs {
    /// The directory of the artifacts
    #[arg(long, value_name = "DIR")]
    pub artifacts: PathBuf,
    /// Write them first, from this overhead.json
    #[arg(long, value_name = "FILE")]
    pub overhead: Option<PathBuf>,
    /// A soak.json of the same machine, for rows of its own
    #[arg(long, value_name = "FILE", requires = "overhead")]
    pub soak: Option<PathBuf>,
}

/// Writes the artifacts where a measurement is given, then holds those in the directory
/// to their contract and judges them. Gives the table and what the process ends with.
///
/// # Errors
/// A file is missing, unknown, or says what it may not; all such are named.
pub fn slo(args: &SloArgs) -> Result<(String, Exit), Failure> {
    let gate = gate(Path::new("baselines/gate.toml"))?;
    let place = &args.artifacts;
    if let Some(overhead) = &args.overhead {
        let measured = Measured::read(overhead, args.soak.as_deref())?;
        for (artifact, text) in measured.artifacts()? {
            file::replace(&place.join(artifact.name()), text.as_bytes())?;
        }
        let evidence = Evidence::read(place)?;
        let table = judge::judge(&evidence, &gate);
        for (artifact, text) in report::reports(&evidence, &table) {
            file::replace(&place.join(artifact.name()), text.as_bytes())?;
        }
    }
    contract::complete(place)?;
    let evidence = Evidence::read(place)?;
    let table = judge::judge(&evidence, &gate);
    same_reports(place, &evidence, &table)?;
    Ok((report::terminal(&evidence, &table), table.exit()))
}

/// The budgets here, or the shipped ones.
fn gate(path: &Path) -> Result<Gate, Failure> {
    if !path.exists() {
        return Ok(Gate::shipped());
    }
    Gate::load(path).map_err(Failure::new)
}

/// Whether the reports say what the artifacts come to.
fn same_reports(place: &Path, evidence: &Evidence, table: &Table) -> Result<(), Failure> {
    for (artifact, text) in report::reports(evidence, table) {
        let path = place.join(artifact.name());
        if artifact::text(place, artifact)? != text {
            return Err(
                Failure::at(&path, "does not say what the artifacts and budgets come to").remedy(
                    format!(
                        "cargo compare slo --overhead FILE --artifacts {}",
                        place.display()
                    ),
                ),
            );
        }
    }
    Ok(())
}
