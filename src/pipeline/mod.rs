//! The user half of the agent: what is done with a record, from the ring's bytes to a sink:
//! decode → note losses → match → enrich → aggregate → output.
//!
//! Its policy is a set of [`Pattern`]s, which say what of the kernel's events
//! matters; which calls become events at all is said to the kernel, by the
//! [`Rule`](crate::agent::Rule)s of the agent.
//!
//! Matching goes before enriching, so that only what matters is looked up. In the
//! steady state (processes and targets known) nothing is allocated.

mod aggregate;
mod batch;
mod cgroups;
mod detail;
mod encode;
mod flow;
mod hashing;
pub mod http;
mod losses;
mod output;
mod policy;
mod processes;
mod registry;
mod sample;
mod tally;
mod workers;

pub use aggregate::{Aggregate, AggregateRow};
pub use batch::{Batch, Pool};
pub use cgroups::Cgroups;
pub use detail::{Detail, DetailReport, DetailRow};
pub use encode::{Binary, Encode, Event, Json};
pub use flow::Pipeline;
pub use hashing::Hashing;
pub use losses::Losses;
pub use output::{Output, Writer};
pub use policy::{Decision, Pattern, Policy};
pub use processes::{Process, Processes};
pub use registry::Registry;
pub use sample::Sample;
pub use tally::{Tally, TallyWatch};
pub use workers::{BATCH, Workers};
