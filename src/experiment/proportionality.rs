//! Whether twice the operations take twice the time.

use std::time::{Duration, Instant};

use super::{Failure, Timer, nanoseconds};
use crate::stats::{CONFIDENCE, Interval, median_interval};
use crate::workload::Workload;

/// The time of 2n operations over that of n, done in turn: 2 on a sound
/// instrument. Far from it, the instrument times something besides the
/// operation, or the operation is not the same each time.
pub fn proportionality(workload: &mut dyn Workload, length: Duration) -> Result<Interval, Failure> {
    let timer = Timer::new(workload)?;
    let once = timer.batch() * 8;
    let mut time = |times: u64| -> Result<f64, Failure> {
        let start = Instant::now();
        workload.repeat(times)?;
        Ok(nanoseconds(start.elapsed()) - timer.clock_ns())
    };
    let mut ratios = Vec::new();
    let begin = Instant::now();
    while ratios.len() < 16 || begin.elapsed() < length {
        // Mirrored, so that a drift weighs on both alike.
        let (one, two) = (time(once)?, time(2 * once)?);
        let (two_again, one_again) = (time(2 * once)?, time(once)?);
        ratios.push((two + two_again) / (one + one_again));
    }
    median_interval(&ratios, CONFIDENCE)
        .ok_or_else(|| Failure::Harness("too few rounds to see proportion".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Calls, Getppid};
    use rustix::io::Errno;

    #[test]
    fn a_plain_call_is_proportional() {
        let found = proportionality(&mut Getppid, Duration::from_millis(50)).unwrap();
        assert!((1.9..2.1).contains(&found.est), "{found:?}");
    }

    /// A workload that costs the same however often it is asked for must be seen.
    struct Cheat;

    impl Workload for Cheat {
        fn operate(&mut self) -> Result<u64, Errno> {
            Ok(0)
        }

        fn repeat(&mut self, _times: u64) -> Result<u64, Errno> {
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(50) {}
            Ok(0)
        }

        fn expected(&self) -> u64 {
            0
        }

        fn calls(&self) -> Calls {
            Calls {
                opens: 0,
                connects: 0,
            }
        }
    }

    #[test]
    fn a_cheat_is_not() {
        let found = proportionality(&mut Cheat, Duration::from_millis(5)).unwrap();
        assert!(!(1.9..2.1).contains(&found.est), "{found:?}");
    }
}
