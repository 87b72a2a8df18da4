//! What a pipeline counts, for itself and for other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What a pipeline has counted. Always decoded = matched + unmatched + trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records that were whole.
    pub decoded: u64,
    /// Those that were not, and were skipped.
    pub malformed: u64,
    /// Events that a pattern named; the output has them.
    pub matched: u64,
    /// Events that no pattern named.
    pub unmatched: u64,
    /// Events from trusted cgroups.
    pub trusted: u64,
    /// Records that the kernel is known to have lost.
    pub lost: u64,
}

/// The counts of a pipeline that runs on another thread, as of its last batch.
#[derive(Debug, Clone, Default)]
pub struct TallyWatch {
    counts: Arc<[AtomicU64; 6]>,
}

impl TallyWatch {
    pub(super) fn publish(&self, tally: &Tally) {
        let values = [
            tally.decoded,
            tally.malformed,
            tally.matched,
            tally.unmatched,
            tally.trusted,
            tally.lost,
        ];
        for (count, value) in self.counts.iter().zip(values) {
            count.store(value, Ordering::Relaxed);
        }
    }

    /// The counts. Each is exact; together they may straddle two batches.
    pub fn tally(&self) -> Tally {
        let [decoded, malformed, matched, unmatched, trusted, lost] =
            std::array::from_fn(|i| self.counts[i].load(Ordering::Relaxed));
        Tally {
            decoded,
            malformed,
            matched,
            unmatched,
            trusted,
            lost,
        }
    }
}
