//! What does an eBPF agent cost the programs it watches?
//!
//! The rooms of this library, lower ones knowing nothing of those above:
//!
//! * [`load`]: requests at a rate: open loop, latencies from the intended start.
//! * [`slo`]: the artifacts of a strict run, and whether they keep their budgets.
//! * [`report`]: tables and pictures, rendered from `schema` alone.
//! * [`experiment`]: how arms are paired: blocks in one process, interleaved; controls.
//! * [`arm`]: what is switched: nothing, our agent, any command, with its proof.
//! * [`stream`]: the mechanisms of the other streams: images, coverage, seccomp.
//! * [`monitor`]: what processes take, each second.
//! * [`stream`]: the mechanisms of the other streams: pressure, images, coverage, seccomp.
//! * [`pipeline`]: the user half of the agent: decode, match, enrich, aggregate, encode.
//! * [`instrument`]: kernel programs of a stated cost and a stated load, to calibrate with.
//! * [`agent`]: the kernel half: programs, ladder of hooks, ring, consumer.
//! * [`workload`]: what is measured: one file a workload, set-up apart from the operation.
//! * [`process`]: processes that we start, and that are gone when we are.
//! * [`gate`]: every number that decides a verdict, and the one rule that does.
//! * [`file`](mod@file): files that are whole or not there.
//! * [`results`]: a directory for each run.
//! * [`host`]: which machine this is and what it can do, with the reason where it cannot.
//! * [`schema`]: what is said between processes and to the world.
//! * [`stats`]: pure functions on numbers: medians, intervals, paired ratios.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "agent")]
pub mod arm;
#[cfg(feature = "agent")]
pub mod experiment;
pub mod file;
pub mod gate;
pub mod host;
#[cfg(feature = "agent")]
pub mod instrument;
#[cfg(feature = "agent")]
pub mod load;
#[cfg(feature = "agent")]
pub mod monitor;
#[cfg(feature = "agent")]
pub mod pipeline;
#[cfg(feature = "agent")]
pub mod process;
#[cfg(feature = "agent")]
pub mod report;
pub mod results;
pub mod schema;
#[cfg(feature = "agent")]
pub mod slo;
pub mod stats;
#[cfg(feature = "agent")]
pub mod stream;
#[cfg(feature = "agent")]
pub mod workload;
