//! Processes that we start, and that are gone when we are.
//!
//! A [`Ward`] holds all of them: a cgroup and a directory, both named after this
//! process. Children die with it by the kernel's hand; what daemons left behind is found
//! by those names at the next start.

mod child;
mod output;
mod signals;
mod tracefs;
mod ward;

pub use child::Child;
pub use output::KeptOutput;
pub use signals::{interrupted, interruption, watch_signals};
pub use tracefs::provide_tracefs;
pub use ward::{Ward, WardPlace};

/// The CPU time, in seconds since the machine started, that all CPUs were not idle; `None`
/// without `/proc/stat`.
pub fn busy_seconds() -> Option<f64> {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    Some(busy_ticks(&std::fs::read_to_string("/proc/stat").ok()?)? / ticks)
}

fn busy_ticks(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guests are in the first two.
    let fields: Vec<f64> = line
        .split_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle = fields.get(3)? + fields.get(4)?;
    Some(fields.iter().sum::<f64>() - idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_and_waiting_for_disks_are_not_busy() {
        let stat = "cpu  10 0 20 60 5 1 2 2 7 0\ncpu0 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(35.0));
        assert_eq!(busy_ticks("cpu0 1 2 3 4 5\n"), None);
    }
}
