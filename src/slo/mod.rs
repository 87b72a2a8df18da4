//! The strict run: its artifacts, and the one table that says whether it kept its budgets.
//!
//! overhead.json → artifacts → contract → judge → report.

mod artifact;
mod contract;
mod judging;
mod measured;
mod place;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::file;
use crate::gate::Gate;
use crate::host::Obstacle;
use crate::schema::Exit;

use contract::StrictEvidence;
use judging::SloTable;
use measured::StrictMeasured;

const SLO_EXIT_CODES: &str = "\
Exit codes:
  0  every budget is kept
  1  a budget is exceeded
  2  broken: a file is missing, or does not say what it must
  3  cannot be decided here: inconclusive, or below what this machine resolves";

/// `probecost slo`
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
pub fn slo(args: &SloArgs) -> Result<(String, Exit), Obstacle> {
    let gate =
        Gate::here().map_err(|e| Obstacle::new(e.to_string(), "mend baselines/gate.toml"))?;
    let place = &args.artifacts;
    if let Some(overhead) = &args.overhead {
        let measured = StrictMeasured::read(overhead, args.soak.as_deref())?;
        for (artifact, text) in measured.artifacts()? {
            file::replace(&place.join(artifact.name()), text.as_bytes())?;
        }
        let evidence = StrictEvidence::read(place)?;
        let table = judging::judge(&evidence, &gate);
        for (artifact, text) in report::reports(&evidence, &table) {
            file::replace(&place.join(artifact.name()), text.as_bytes())?;
        }
    }
    contract::complete(place)?;
    let evidence = StrictEvidence::read(place)?;
    let table = judging::judge(&evidence, &gate);
    same_reports(place, &evidence, &table)?;
    Ok((report::terminal(&evidence, &table), table.exit()))
}

/// Whether the reports say what the artifacts come to.
fn same_reports(place: &Path, evidence: &StrictEvidence, table: &SloTable) -> Result<(), Obstacle> {
    for (artifact, text) in report::reports(evidence, table) {
        let path = place.join(artifact.name());
        if artifact::text(place, artifact)? != text {
            return Err(Obstacle::new(
                format!(
                    "{}: does not say what the artifacts and budgets come to",
                    path.display()
                ),
                format!(
                    "probecost slo --overhead FILE --artifacts {}",
                    place.display()
                ),
            ));
        }
    }
    Ok(())
}
