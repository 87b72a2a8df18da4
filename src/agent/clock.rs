//! The kernel's clocks.

use rustix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds; `Monotonic` is what records are dated by.
pub(crate) fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
