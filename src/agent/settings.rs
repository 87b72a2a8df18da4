//! What the programs are told (`struct settings` in bpf/agent.h), and the
//! choices behind it.

use std::path::PathBuf;
use std::time::Duration;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use super::ladder::Rung;

/// Whose calls are audited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// This process, all threads but the agent's own.
    ThisProcess,
    /// Every process in this cgroup (v2) and the cgroups below it.
    Cgroup(PathBuf),
    /// The same of several: the programs look each up in a list.
    Cgroups(Vec<PathBuf>),
    /// Every process, but the agent's own thread.
    Everyone,
}

/// When the kernel wakes the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wakeup {
    /// Never: the consumer looks by itself, at every [`Options::drain_every`].
    Never,
    /// As the kernel does by default: whenever the consumer had caught up.
    Default,
    /// From so many unread bytes on, at most half of the ring.
    Bytes(u32),
}

bitflags! {
    /// Which parts of an event are filled in. All of them, but for taking the cost
    /// of an event apart; with none, only the process, thread and user.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Fields: u32 {
        /// The time of the call.
        const TIME = 1;
        /// The command name.
        const COMM = 2;
        /// The cgroup.
        const CGROUP = 4;
        /// The path or the address.
        const TARGET = 8;
    }
}

/// How the agent is set up. The default is the agent that the benchmarks run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Whose calls are audited.
    pub scope: Scope,
    /// The size of the ring in bytes: a power of two, at least one page.
    pub ring_bytes: u32,
    /// When the consumer is woken.
    pub wakeup: Wakeup,
    /// How long the consumer sleeps between two looks at the ring.
    pub drain_every: Duration,
    /// The CPU of the consumer thread; `None` leaves it to the scheduler.
    pub cpu: Option<usize>,
    /// One of how many matching calls becomes an event; 1 is all.
    pub sample: u32,
    /// The first rung to try, in place of the best of its ladder.
    pub rung: Option<Rung>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scope: Scope::ThisProcess,
            ring_bytes: 8 << 20,
            wakeup: Wakeup::Never,
            drain_every: Duration::from_millis(1),
            cpu: None,
            sample: 1,
            rung: None,
        }
    }
}

/// `struct settings`, as the programs read it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Settings {
    pub on: u32,
    pub match_all: u32,
    pub tgid: u32,
    pub excluded_tid: u32,
    pub cgroup: u64,
    pub cgroup_levels: u64,
    pub cgroup_level: u32,
    pub path_rules: u32,
    pub inode_rules: u32,
    pub sample: u32,
    pub fields: u32,
    pub wakeup_bytes: u32,
}

// SAFETY: integers only, and no padding between them.
unsafe impl aya::Pod for Settings {}

impl Settings {
    /// Every call of every process is an event, with all its fields.
    pub(crate) fn everything() -> Self {
        Self {
            on: 1,
            match_all: 1,
            tgid: 0,
            excluded_tid: 0,
            cgroup: 0,
            cgroup_levels: 0,
            cgroup_level: 0,
            path_rules: 0,
            inode_rules: 0,
            sample: 1,
            fields: Fields::all().bits(),
            wakeup_bytes: 0,
        }
    }
}

impl Options {
    /// The wake-up as the programs read it. A ring is never quite full: one that was to wake
    /// its consumer when it is would never do so.
    pub(crate) fn wakeup_bytes(&self) -> u32 {
        match self.wakeup {
            Wakeup::Never => 0,
            Wakeup::Default => 1,
            Wakeup::Bytes(bytes) => bytes.min(self.ring_bytes / 2).max(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wakeup_comes_before_the_ring_is_full() {
        let told = |wakeup| {
            let options = Options {
                ring_bytes: 64 << 10,
                wakeup,
                ..Options::default()
            };
            options.wakeup_bytes()
        };
        for (bytes, told_bytes) in [(64 << 10, 32 << 10), (4096, 4096), (0, 2)] {
            assert_eq!(told(Wakeup::Bytes(bytes)), told_bytes);
        }
        assert_eq!([told(Wakeup::Never), told(Wakeup::Default)], [0, 1]);
    }
}
