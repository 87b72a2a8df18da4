//! What does an eBPF agent cost the programs it watches?
//!
//! The rooms of this library, lower ones knowing nothing of those above:
//!
//! * [`measure`]: how it is timed: arms and their interleaving, latencies, calibration.
//! * [`agent`]: the in-process eBPF agent: hooks, ring consumer, events, policy.
//! * [`workload`]: what is measured: one file a workload, set-up apart from the operation.
//! * [`gate`]: every number that decides a verdict, read from `gate.toml`.
//! * [`stats`]: pure functions on numbers: medians, intervals, paired ratios.
//! * [`host`]: which machine this is and what it can do, with the reason where it cannot.

#[cfg(feature = "agent")]
pub mod agent;
pub mod gate;
pub mod host;
#[cfg(feature = "agent")]
pub mod measure;
pub mod stats;
#[cfg(feature = "agent")]
pub mod workload;
