//! The gate: judges benchmark runs against a baseline.
//!
//! The rooms, lower ones knowing nothing of those above:
//!
//! * [`run`], [`check`], [`refresh`], [`selftest`], [`duet`], [`history`], [`merge`],
//!   [`profile`]: one a subcommand, each with its arguments.
//! * [`report`]: a verdict rendered, one file a format.
//! * `rows`, `budget`, `decide`, `thresholds`: from figures to a decision.
//! * `shard`: what parts of one suite have in common.
//! * [`verdict`]: what was found.
//! * `probes`: what the machine itself takes, and whether it is as it was.
//! * `baselines`, `baseline`, `input`, `repository`: what was measured, read.
//! * `listing`, `bench_place`: what benches say they have, and where they run.
//! * [`share`]: how often something came true.
//! * [`failure`], [`destination`]: what went wrong, and where an answer goes.

mod baseline;
mod baselines;
mod bench_place;
mod budget;
pub mod check;
mod decide;
pub mod destination;
pub mod duet;
pub mod failure;
pub mod history;
mod input;
mod listing;
mod lock;
pub mod merge;
#[cfg(test)]
mod noise;
mod probes;
pub mod profile;
pub mod refresh;
pub mod report;
mod repository;
mod rows;
pub mod run;
pub mod selftest;
mod shard;
pub mod share;
mod thresholds;
pub mod verdict;

/// What the process ends with, for its help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  passed
  1  slower than the baseline, or over a budget, under this policy
  2  broken: bad input, missing rows, a tool that failed, nothing compared
  3  cannot be decided here: inconclusive, or another machine

--policy advisory turns 1 and 3 into 0, never 2.";
