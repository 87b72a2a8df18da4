//! What is said between processes and to the world: every JSON file and every
//! protocol, declared once, for those who write them and those who read them.
//!
//! A document is a struct in a file of its own, with `schema`, its version, and
//! [`Provenance`]. [`documents`] lists them all; the JSON Schemas under `schemas/`
//! are made from it, and a test fails where they part.

mod arm;
mod check;
mod exit;
mod host;
mod load;
mod outcome;
pub mod overhead;
mod provenance;
pub mod soak;
mod system_load;

pub use arm::Arm;
pub use check::Check;
pub use exit::Exit;
pub use host::{Host, Virtualisation, kernel_version};
pub use load::{
    Errors, GeneratorLag, LatencyUs, Load, Pace, Rates, RequestError, Requests, Rung, Second,
};
pub use outcome::Outcome;
pub use provenance::Provenance;
pub use system_load::SystemLoad;

use schemars::Schema;

/// Every document by the name of its file, without `.json`, and its JSON Schema.
pub fn documents() -> Vec<(&'static str, Schema)> {
    vec![
        ("host", schemars::schema_for!(Host)),
        ("load", schemars::schema_for!(Load)),
        ("overhead", schemars::schema_for!(overhead::OverheadReport)),
        ("soak", schemars::schema_for!(soak::SoakReport)),
    ]
}
