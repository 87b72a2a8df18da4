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

use probecost::gate::Gate;

use crate::failure::Failure;
use crate::file;
use crate::verdict::Exit;

use contract::Evidence;
use judge::Table;
use measured::Measured;

/// What to judge.
pub struct Question {
    /// The directory of the artifacts.
    pub artifacts: PathBuf,
    /// The measurement to write them from; none to judge those that are there.
    pub overhead: Option<PathBuf>,
    /// A soak that belongs to the measurement.
    pub soak: Option<PathBuf>,
}

/// Writes the artifacts where a measurement is given, then holds those in the directory
/// to their contract and judges them. Gives the table and what the process ends with.
///
/// # Errors
/// A file is missing, unknown, or says what it may not; all such are named.
pub fn slo(question: &Question) -> Result<(String, Exit), Failure> {
    let gate = gate(Path::new("baselines/gate.toml"))?;
    let place = &question.artifacts;
    if let Some(overhead) = &question.overhead {
        let measured = Measured::read(overhead, question.soak.as_deref())?;
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
    Gate::load(path).map_err(|error| Failure::new(error.to_string()))
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
