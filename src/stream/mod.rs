//! The mechanisms of the other streams, each a benchmark with the real thing inside.

pub mod coverage;
pub mod seccomp;
mod watched;

pub use watched::Bounds;
