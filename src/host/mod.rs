//! Which machine this is, and what it can do.
//!
//! Parsers are pure functions over text; files are read at one edge, below a root
//! that tests replace by a tree of their own.
//!
//! ```
//! use probecost::host::{Host, State, capabilities};
//!
//! println!("{}", Host::read()?.class());
//! for capability in capabilities() {
//!     if let State::Missing(obstacle) = capability.state {
//!         println!("no {}: {obstacle}", capability.name);
//!     }
//! }
//! # Ok::<(), probecost::host::Unreadable>(())
//! ```

mod capability;
mod counters;
mod cpuinfo;
mod cpus;
mod files;
mod fingerprint;
mod kernel;
mod machine_time;
mod memlock;
mod memory;
pub(crate) mod mounts;
mod obstacle;
mod pid_namespace;
mod provenance;
mod rights;
mod system_load;
mod virtualisation;

pub use crate::schema::{Host, SystemLoad, Virtualisation};
pub use capability::{Capability, capabilities};
pub use cpus::allowed_cpus;
pub use files::Unreadable;
pub use kernel::btf;
pub use machine_time::MachineTime;
pub use memory::resident_memory;
pub use mounts::{cgroup2_mount, file_system, tracefs_mount};
pub use obstacle::{Obstacle, State};
pub use pid_namespace::in_first_pid_namespace;
pub use provenance::provenance;
pub use rights::Right;
pub use system_load::Watch;
