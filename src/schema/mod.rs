//! What is said between processes and to the world: every JSON file and every
//! protocol, declared once, for those who write them and those who read them.
//!
//! A document is a struct in a file of its own, with `schema`, its version, and
//! [`Provenance`]. [`documents`] lists them all; the JSON Schemas under `schemas/`
//! are made from it, and a test fails where they part.

mod arm;
mod check;
pub mod coverage;
mod exit;
mod figures;
mod finding;
mod host;
pub mod image;
pub mod impact;
pub mod load;
pub mod monitor;
mod outcome;
pub mod overhead;
pub mod page;
pub mod pressure;
mod probes;
mod provenance;
mod run;
pub mod seccomp;
mod shard;
pub mod soak;
pub mod span;
mod status;
mod system_load;
pub mod tracing;
pub mod turns;
mod verdict;

pub use arm::OverheadArm;
pub use check::Check;
pub use exit::Exit;
pub use figures::{FigureRow, Figures};
pub use finding::{Bound, Finding};
pub use host::{Host, Virtualisation, kernel_version};
pub use outcome::Outcome;
pub use probes::{ProbeKind, ProbeRow, ProbeTimes};
pub use provenance::Provenance;
pub use run::RunRecord;
pub use shard::{
    MergedShard, Portion, RoundsEvidence, RowEvidence, SHARD_VARIABLE, Shard, ShardPart,
    TimedEvidence, cut_name, fingerprint,
};
pub use status::{GatePolicy, Measure, Severity, Status, Unit};
pub use system_load::SystemLoad;
pub use verdict::{
    BaselineUsed, BudgetRow, DuetSetup, PairedRounds, RunCounts, Shift, Summary, Verdict,
    VerdictRow,
};

use schemars::Schema;

/// Every document by its name, and its JSON Schema.
pub fn documents() -> Vec<(&'static str, Schema)> {
    vec![
        ("coverage", schemars::schema_for!(coverage::Coverage)),
        ("host", schemars::schema_for!(Host)),
        ("image", schemars::schema_for!(image::ImageReport)),
        ("http-span", schemars::schema_for!(span::HttpSpan)),
        ("load", schemars::schema_for!(load::Load)),
        ("monitor", schemars::schema_for!(monitor::MonitorReport)),
        ("overhead", schemars::schema_for!(overhead::OverheadReport)),
        ("report", schemars::schema_for!(page::Page)),
        ("pressure", schemars::schema_for!(pressure::PressureReport)),
        ("seccomp", schemars::schema_for!(seccomp::SeccompReport)),
        ("seccomp-learnt", schemars::schema_for!(seccomp::Learnt)),
        ("seccomp-run", schemars::schema_for!(seccomp::Replay)),
        ("soak", schemars::schema_for!(soak::SoakReport)),
        ("figures", schemars::schema_for!(Figures)),
        ("run", schemars::schema_for!(RunRecord)),
        ("tracing", schemars::schema_for!(tracing::TracingReport)),
        ("verdict", schemars::schema_for!(Verdict)),
        ("impact", schemars::schema_for!(impact::Impact)),
    ]
}
