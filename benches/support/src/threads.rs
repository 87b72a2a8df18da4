//! An operation done by many threads at once.

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Does `operation` so many times in all, dealt out evenly to `threads`, and gives
/// the time from their common start until the last is done.
pub fn together(threads: usize, times: u64, operation: impl Fn() + Sync) -> Duration {
    // All have come; then all may go. The clock is read in between, while nobody
    // works.
    let (come, go) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let mut start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads as u64 {
            let share = times / threads as u64 + u64::from(thread < times % threads as u64);
            let (come, go, operation) = (&come, &go, &operation);
            scope.spawn(move || {
                come.wait();
                go.wait();
                (0..share).for_each(|_| operation());
            });
        }
        come.wait();
        start = Instant::now();
        go.wait();
    });
    start.elapsed()
}
