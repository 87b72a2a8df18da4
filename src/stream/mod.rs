//! The mechanisms of the other streams, each a benchmark with the real thing inside.

pub mod coverage;
pub mod image;
pub mod pressure;
mod scratch;
pub mod seccomp;
mod watched;

pub use scratch::Scratch;
pub use watched::Bounds;
