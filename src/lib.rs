//! What does an eBPF agent cost the programs it watches?
//!
//! The rooms of this library, lower ones knowing nothing of those above:
//!
//! * [`stats`]: pure functions on numbers: medians, intervals, paired ratios.
//! * [`host`]: which machine this is and what it can do, with the reason where it cannot.

pub mod host;
pub mod stats;
