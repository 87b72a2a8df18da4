//! What the programs count (`struct counters` in bpf/agent.h), added up over CPUs.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

use super::ladder::Operation;

/// The counts of one hook. Always seen = filtered + submitted + failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls of processes out of the agent's scope.
    pub foreign: u64,
    /// Calls within the scope.
    pub seen: u64,
    /// Seen, and not audited: no rule matched, or left out by sampling.
    pub filtered: u64,
    /// Seen, and handed to the ring.
    pub submitted: u64,
    /// Seen, and lost for want of room in the ring.
    pub failed: u64,
}

impl Counters {
    /// Whether every call seen went one of the three ways.
    pub fn balanced(&self) -> bool {
        self.seen == self.filtered + self.submitted + self.failed
    }
}

/// What the agent has counted since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Opens.
    pub open: Counters,
    /// Connects.
    pub connect: Counters,
    /// Programs run.
    pub exec: Counters,
    /// Records that the consumer has taken from the ring.
    pub received: u64,
}

impl Stats {
    /// The counts of this operation.
    pub fn of(&self, operation: Operation) -> Counters {
        match operation {
            Operation::Open => self.open,
            Operation::Connect => self.connect,
            Operation::Exec => self.exec,
        }
    }

    /// The counts of all hooks.
    pub fn total(&self) -> Counters {
        self.open + self.connect + self.exec
    }
}

/// What the kernel counted for one program while [`Agent::count_run_time`] was on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunTime {
    /// The program's name.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// How long it ran, in nanoseconds, in all.
    pub ns: u64,
}

impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            foreign: self.foreign + other.foreign,
            seen: self.seen + other.seen,
            filtered: self.filtered + other.filtered,
            submitted: self.submitted + other.submitted,
            failed: self.failed + other.failed,
        }
    }
}

impl Sub for Counters {
    type Output = Self;

    /// What happened since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            foreign: self.foreign - earlier.foreign,
            seen: self.seen - earlier.seen,
            filtered: self.filtered - earlier.filtered,
            submitted: self.submitted - earlier.submitted,
            failed: self.failed - earlier.failed,
        }
    }
}

/// `struct counters`, as the programs write it, one a CPU.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Raw {
    foreign: u64,
    seen: u64,
    filtered: u64,
    submitted: u64,
    failed: u64,
    matched: u64,
}

impl Raw {
    pub(crate) const ZERO: Self = Self {
        foreign: 0,
        seen: 0,
        filtered: 0,
        submitted: 0,
        failed: 0,
        matched: 0,
    };
}

// SAFETY: integers only, and no padding between them.
unsafe impl aya::Pod for Raw {}

impl From<Raw> for Counters {
    fn from(raw: Raw) -> Self {
        Self {
            foreign: raw.foreign,
            seen: raw.seen,
            filtered: raw.filtered,
            submitted: raw.submitted,
            failed: raw.failed,
        }
    }
}
