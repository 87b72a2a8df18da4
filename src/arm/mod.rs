//! What is switched: nothing, our own agent, the kernel's statistics, or any command as
//! an agent, each with the proof that it was there.

mod command;
mod file;
mod held;
mod knob;
mod leftovers;
mod own;
mod proof;
mod spec;
mod standing;

pub use command::{CommandAgent, Ended};
pub use held::{Held, SETTLE, Seen, timed};
pub use knob::Knob;
pub use leftovers::Leftovers;
pub use own::{Answer, Knobs, OwnMode, serve};
pub use proof::{Baseline, Evidence, Probe, stir};
pub use spec::{Ready, Spec, Switch, words};
pub use standing::Standing;

/// A condition under which a program runs.
#[derive(Debug, Clone)]
pub enum Arm {
    /// No agent.
    Off,
    /// Nothing but the kernel's own count of every program's runs.
    Stats,
    /// An agent.
    Agent(Box<Spec>),
}

impl Arm {
    /// Its name in every row.
    pub fn name(&self) -> &str {
        match self {
            Self::Off => "off",
            Self::Stats => "stats",
            Self::Agent(spec) => &spec.name,
        }
    }
}

/// Memory that an agent takes while it is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Resident memory of its processes, in bytes.
    pub resident: u64,
    /// Kernel memory of its maps, in bytes.
    pub maps: u64,
}

impl Taken {
    /// All of it, in bytes.
    pub fn memory(&self) -> u64 {
        self.resident + self.maps
    }
}
