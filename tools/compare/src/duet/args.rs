//! The arguments of `cargo compare duet`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use probecost::schema::Policy;
use regex::Regex;

use super::{Question, What};
use crate::failure::Failure;
use crate::report::OutputArgs;
use crate::thresholds::policy;

/// `cargo compare duet`
#[derive(Debug, Args)]
#[command(after_help = crate::EXIT_CODES)]
pub struct DuetArgs {
    /// The revision to compare with
    #[arg(long, value_name = "REV", required_unless_present = "bin_base")]
    pub base: Option<String>,
    /// The revision to judge [default: HEAD, of a clean work tree]
    #[arg(long, value_name = "REV", requires = "base")]
    pub head: Option<String>,
    /// Only these bench targets
    #[arg(long = "bench", value_name = "NAME", num_args = 1.., requires = "base")]
    pub benches: Vec<String>,
    /// Hold base against a second build of base as well: what the layout alone does
    #[arg(long, requires = "base")]
    pub control: bool,
    /// A bench executable to compare with, instead of a revision
    #[arg(
        long,
        value_name = "EXE",
        requires = "bin_head",
        conflicts_with = "base"
    )]
    pub bin_base: Option<PathBuf>,
    /// The bench executable to judge
    #[arg(long, value_name = "EXE", requires = "bin_base")]
    pub bin_head: Option<PathBuf>,
    /// Only benchmarks that match
    #[arg(long, value_name = "REGEX")]
    pub only: Option<Regex>,
    /// The most rounds of a benchmark [default: as gate.toml says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    pub rounds: Option<u32>,
    /// The longest that one process may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How strictly to judge
    #[arg(long, value_parser = policy(), default_value = "strict")]
    pub policy: Policy,
    /// How and where the verdict is written.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Where the random order of the rounds starts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl DuetArgs {
    /// What is asked.
    ///
    /// # Errors
    /// Neither revisions nor executables are given.
    pub fn comparison(&self) -> Result<Question, Failure> {
        let what = match (&self.base, &self.bin_base, &self.bin_head) {
            (Some(base), _, _) => What::Revisions {
                base: base.clone(),
                head: self.head.clone(),
                benches: self.benches.clone(),
                control: self.control,
            },
            (None, Some(base), Some(head)) => What::Executables {
                base: base.clone(),
                head: head.clone(),
            },
            (None, _, _) => return Err(Failure::new("--base REV, or --bin-base with --bin-head")),
        };
        Ok(Question {
            what,
            only: self.only.clone(),
            rounds: self.rounds.map(|n| n as usize),
            timeout: Duration::from_secs(self.timeout),
            policy: self.policy,
            seed: self.seed,
        })
    }
}
