//! The arguments of `cargo compare duet`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use probecost::schema::{GatePolicy, Shard};
use regex::Regex;

use super::{DuetRequest, Selection, What};
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
    /// What is built of both.
    #[command(flatten)]
    pub selection: Selection,
    /// A bench executable to compare with, instead of a revision
    #[arg(
        long,
        value_name = "EXE",
        requires = "bin_head",
        conflicts_with_all = ["base", "selection"]
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
    /// The longest that measuring may take; what it cannot decide is inconclusive
    #[arg(long, value_name = "N", value_parser = minutes)]
    pub minutes: Option<Duration>,
    /// The longest that one process may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Only this part of the benchmarks, such as 2/4; other machines compare the others
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Leave flame graphs of the rows that became slower here, and name the functions that grew
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "target/profile")]
    pub profile: Option<PathBuf>,
    /// How strictly to judge
    #[arg(long, value_parser = policy(), default_value = "strict")]
    pub policy: GatePolicy,
    /// How and where the verdict is written.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Where the random order of the rounds starts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl DuetArgs {
    /// What is compared, and what is asked of it.
    ///
    /// # Errors
    /// Neither revisions nor executables are given, or a filter that takes nothing out.
    pub fn comparison(&self) -> Result<(What, DuetRequest), Failure> {
        if self
            .only
            .as_ref()
            .is_some_and(|only| only.as_str().is_empty())
        {
            return Err(Failure::new("--only is empty").remedy("leave it out to see all"));
        }
        let what = match (&self.base, &self.bin_base, &self.bin_head) {
            (Some(base), _, _) => What::Revisions {
                base: base.clone(),
                head: self.head.clone(),
                selection: self.selection.clone(),
            },
            (None, Some(base), Some(head)) => What::Executables {
                base: base.clone(),
                head: head.clone(),
            },
            (None, _, _) => return Err(Failure::new("--base REV, or --bin-base with --bin-head")),
        };
        let request = DuetRequest {
            only: self.only.clone(),
            rounds: self.rounds.map(|n| n as usize),
            time: self.minutes,
            timeout: Duration::from_secs(self.timeout),
            policy: self.policy,
            seed: self.seed,
            shard: self.shard,
            profile: self.profile.clone(),
        };
        Ok((what, request))
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text
        .parse()
        .map_err(|_| "no number of minutes".to_owned())?;
    match Duration::try_from_secs_f64(60.0 * minutes) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("must be more than 0 minutes".to_owned()),
    }
}
