//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use regex::Regex;

use crate::history;
use crate::report::Format;
use crate::selftest::{self, Planted};
use crate::verdict::Policy;

const EXIT_CODES: &str = "\
Exit codes:
  0  passed
  1  slower than the baseline, or over a budget, under this policy
  2  broken: bad input, missing rows, a tool that failed, nothing compared
  3  cannot be decided here: inconclusive, or another machine

--policy advisory turns 1 and 3 into 0, never 2.";

const SLO_EXIT_CODES: &str = "\
Exit codes:
  0  every budget is kept
  1  a budget is exceeded
  2  broken: a file is missing, or does not say what it must
  3  cannot be decided here: inconclusive, or below what this machine resolves";

/// Judges benchmark runs against a baseline.
///
/// Works on the Criterion homes of any project.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a benchmark command N times, each time into a Criterion home of its own
    Run(Run),
    /// Judge runs against a baseline
    Check(Check),
    /// Make a baseline from runs, or renew it
    Refresh(Refresh),
    /// Resample your own runs: how often the gate errs
    Selftest(Selftest),
    /// Judge head against base, both measured now and in turn
    Duet(Duet),
    /// Hold the artifacts of a strict run to their contract and their budgets
    Slo(Slo),
    /// The baseline from refresh to refresh, and where benchmarks changed
    History(History),
}

/// `compare run`
#[derive(Debug, Args)]
pub struct Run {
    /// How many runs there shall be; those that are there already count
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// Where they go: DIR/1, DIR/2, …
    #[arg(long, value_name = "DIR", default_value = "target/runs")]
    pub out: PathBuf,
    /// The command, e.g. `cargo bench --bench syscalls`
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// `compare check`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Check {
    /// The baseline [default: baselines/<host class>.json]
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Criterion homes, directories of runs, or files from `critcmp --export`
    /// [default: target/criterion]
    #[arg(long = "run", value_name = "DIR", num_args = 1..)]
    pub runs: Vec<PathBuf>,
    /// Take the baseline's file from this commit
    #[arg(long, value_name = "REV")]
    pub against: Option<String>,
    /// How strictly to judge
    #[arg(long, value_enum, default_value = "strict")]
    pub policy: Policy,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Only benchmarks that match
    #[arg(long, value_name = "REGEX")]
    pub only: Option<Regex>,
    /// Write to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `compare refresh`
#[derive(Debug, Args)]
pub struct Refresh {
    /// Criterion homes, directories of runs, or files from `critcmp --export`
    #[arg(long = "run", value_name = "DIR", num_args = 1.., required = true)]
    pub runs: Vec<PathBuf>,
    /// The baseline [default: baselines/<host class>.json]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The reason, kept in the baseline
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Take runs of a work tree that differs from its commit
    #[arg(long)]
    pub allow_dirty: bool,
    /// Add the runs as one more session instead of starting anew
    #[arg(long)]
    pub append: bool,
}

/// `compare selftest`
#[derive(Debug, Args)]
pub struct Selftest {
    /// Runs of an unchanged program, 7 at least, 40 or more better
    #[arg(long = "run", value_name = "DIR", num_args = 1.., required_unless_present = "duet")]
    pub runs: Vec<PathBuf>,
    /// Instead: how often `duet` errs, live, by this bench executable against itself, as it
    /// is and with PROBECOST_PLANT_PCT=5 in one of its benchmarks
    #[arg(long, value_name = "EXE", conflicts_with_all = ["runs", "planted", "baseline"])]
    pub duet: Option<PathBuf>,
    /// With --duet: suites of either kind
    #[arg(long, value_name = "N", default_value_t = 20, requires = "duet", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// With --duet: only benchmarks that match
    #[arg(long, value_name = "REGEX", requires = "duet")]
    pub only: Option<Regex>,
    /// Runs with a slowdown of PERCENT planted in every benchmark
    #[arg(long, value_name = "PERCENT=DIR", num_args = 1..)]
    pub planted: Vec<Planted>,
    /// The baseline that `check` is given: the gate.toml beside it counts
    /// [default: baselines/gate.toml, else the shipped one]
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// How strictly to judge
    #[arg(long, value_enum, default_value = "strict")]
    pub policy: Policy,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    pub format: selftest::Format,
    /// Where the resampling starts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `compare duet`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Duet {
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
    #[arg(long, value_enum, default_value = "strict")]
    pub policy: Policy,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Write to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the random order of the rounds starts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `compare slo`
#[derive(Debug, Args)]
#[command(after_help = SLO_EXIT_CODES)]
pub struct Slo {
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

/// `compare history`
#[derive(Debug, Args)]
pub struct History {
    /// The baseline [default: baselines/<host class>.json]
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Only benchmarks that match
    #[arg(long, value_name = "REGEX")]
    pub only: Option<Regex>,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    pub format: history::Format,
    /// Write to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
