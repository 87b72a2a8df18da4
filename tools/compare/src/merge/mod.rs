//! `compare merge`: the shards of one suite, judged together.
//!
//! read → all of one suite, each once → decide together → verdict. What is merged are
//! ratios and verdicts; the nanoseconds of two machines never stand in one document.

mod assemble;
mod document;
mod impact;
#[cfg(test)]
mod simulation;
mod verdict;

use std::path::PathBuf;

use clap::Args;
use probecost::schema::Exit;

use crate::baselines;
use crate::failure::Failure;
use crate::report::{Output, OutputArgs};

use assemble::assemble;
use document::{Documents, read};

/// `cargo compare merge`
#[derive(Debug, Args)]
#[command(after_help = crate::EXIT_CODES)]
pub struct MergeArgs {
    /// What the shards left: JSON files, or directories that hold them
    #[arg(required = true, value_name = "DIR")]
    pub places: Vec<PathBuf>,
    /// How and where the verdict is written; of shards of `impact` always JSON.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Judges all shards together, and writes what comes of it.
///
/// # Errors
/// Shards are of different suites, doubled, or cannot be read.
pub fn merge(args: &MergeArgs, output: Output) -> Result<Exit, Failure> {
    match read(&args.places)? {
        Documents::Verdicts(verdicts) => {
            let shards = assemble(verdicts)?;
            let gate = baselines::gate(verdict::baseline(&shards))?;
            output.write(&verdict::merged(shards, &gate)?)
        }
        Documents::Impacts(impacts) => {
            let merged = impact::merged(assemble(impacts)?)?;
            output.write_json(&merged)?;
            Ok(Exit::of(merged.rows.iter().map(|row| row.verdict)))
        }
    }
}
