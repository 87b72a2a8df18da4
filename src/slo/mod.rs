//! The strict run: its artifacts, and the one table that says whether it kept its budgets.
//!
//! overhead.json → artifacts → contract → judge → report; and back again: what lies there is
//! held to its digests, and to what the measurement beside it comes to.

mod artifact;
mod contract;
mod judging;
mod made;
mod manifest;
mod measured;
mod place;
mod recomputed;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;

use artifact::Artifact;

use crate::file;
use crate::gate::Gate;
use crate::host::Obstacle;
use crate::schema::Exit;

use contract::StrictEvidence;
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
        write(overhead, args.soak.as_deref(), place, &gate)?;
    }
    let names = contract::complete(place)?;
    let mut flaws = manifest::flaws(place, &names);
    flaws.extend(recomputed::flaws(place, &gate.agent));
    let evidence = match StrictEvidence::read(place) {
        Ok(evidence) => evidence,
        Err(obstacle) => return Err(refused(flaws, Some(obstacle))),
    };
    let table = judging::judge(&evidence, &gate);
    for (artifact, text) in report::reports(&evidence, &table) {
        let wanted = "the artifacts and budgets";
        flaws.extend(recomputed::differences(place, artifact, &text, wanted));
    }
    match flaws.is_empty() {
        true => Ok((report::terminal(&evidence, &table), table.exit())),
        false => Err(refused(flaws, None)),
    }
}

/// Writes every file of a strict run: what was measured, the artifacts that follow from it,
/// the reports, and at last the digests of them all.
fn write(overhead: &Path, soak: Option<&Path>, place: &Path, gate: &Gate) -> Result<(), Obstacle> {
    let measured = StrictMeasured::read(overhead, soak)?;
    let artifacts = measured.artifacts()?;
    for (name, bytes) in &measured.files {
        file::replace(&place.join(name), bytes)?;
    }
    for (artifact, text) in artifacts {
        file::replace(&place.join(artifact.name()), text.as_bytes())?;
    }
    let evidence = StrictEvidence::read(place)?;
    let table = judging::judge(&evidence, gate);
    for (artifact, text) in report::reports(&evidence, &table) {
        file::replace(&place.join(artifact.name()), text.as_bytes())?;
    }
    let files = Artifact::ALL.map(|artifact| artifact.name().to_owned());
    let measurements = measured.files.keys().map(ToString::to_string);
    let mut names: Vec<String> = files.into_iter().chain(measurements).collect();
    names.sort();
    manifest::write(place, &names)
}

/// All that is wrong, a line each.
fn refused(mut flaws: Vec<String>, unread: Option<Obstacle>) -> Obstacle {
    flaws.extend(unread.map(|obstacle| obstacle.why));
    Obstacle::new(flaws.join("\n"), "measure again: tools/strict-run")
}
