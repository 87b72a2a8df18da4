//! Tables and pictures, rendered from [`crate::schema`] alone.

pub mod coverage;
pub mod findings;
mod format;
pub mod image;
pub mod impact;
pub mod impact_markdown;
pub mod load;
pub mod monitor;
pub mod overhead;
pub mod page;
mod panels;
pub mod pressure;
pub mod seccomp;
pub mod soak;
pub mod soak_picture;
pub mod tracing;

pub use format::{Format, print};
