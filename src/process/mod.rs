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

/// The CPU time of the whole machine and the part of it that was busy, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MachineTime {
    /// Of all CPUs.
    pub all: f64,
    /// What of it was not idle.
    pub busy: f64,
}

impl MachineTime {
    /// Since the machine started; `None` without `/proc/stat`.
    pub fn now() -> Option<Self> {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        parse(&std::fs::read_to_string("/proc/stat").ok()?, ticks)
    }

    /// What passed since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all - earlier.all,
            busy: self.busy - earlier.busy,
        }
    }
}

fn parse(stat: &str, ticks: f64) -> Option<MachineTime> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guests are in the first two.
    let fields: Vec<f64> = line
        .split_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle = fields.get(3)? + fields.get(4)?;
    let all: f64 = fields.iter().sum();
    Some(MachineTime {
        all: all / ticks,
        busy: (all - idle) / ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_and_waiting_for_disks_are_not_busy() {
        let stat = "cpu  10 0 20 60 5 1 2 2 7 0\ncpu0 1 1 1 1\n";
        let time = parse(stat, 100.0).unwrap();
        assert_eq!((time.all, time.busy), (1.0, 0.35));
        assert_eq!(parse("cpu0 1 2 3 4 5\n", 100.0), None);
    }
}
