//! What the programs count (`struct counters` in bpf/agent.h), added up over CPUs.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

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
pub(super) struct Raw {
    foreign: u64,
    seen: u64,
    filtered: u64,
    submitted: u64,
    failed: u64,
    matched: u64,
}

impl Raw {
    pub(super) const ZERO: Self = Self {
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
