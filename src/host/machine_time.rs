//! What the machine's processors did since it started.

use super::files::Files;

/// Time of all processors since the machine started, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineTime {
    /// All of it.
    pub all: f64,
    /// The part in which they worked for this machine.
    pub busy: f64,
    /// The part that the hypervisor gave to others.
    pub stolen: f64,
}

impl MachineTime {
    /// Until now; none without `/proc/stat`.
    pub fn now() -> Option<Self> {
        Self::read(&Files::of_this_machine())
    }

    pub(super) fn read(files: &Files) -> Option<Self> {
        parse(&files.text("proc/stat").ok()?)
    }
}

/// The unit of the kernel's accounts, in seconds.
pub(super) fn tick() -> f64 {
    1.0 / rustix::param::clock_ticks_per_second() as f64
}

fn parse(stat: &str) -> Option<MachineTime> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|t| t.parse().ok())
        .collect();
    // Guest time, which follows, is part of user's.
    let [user, nice, system, idle, iowait, irq, softirq, steal] = *ticks.first_chunk()?;
    let busy = user + nice + system + irq + softirq;
    let [all, busy, stolen] =
        [busy + idle + iowait + steal, busy, steal].map(|ticks| ticks as f64 * tick());
    Some(MachineTime { all, busy, stolen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_disks_and_what_is_stolen_are_not_busy() {
        let time = parse("cpu  10 0 20 60 5 1 2 2 7 0\ncpu0 1 1 1 1\n").unwrap();
        let ticks = [time.all, time.busy, time.stolen].map(|s| (s / tick()).round());
        assert_eq!(ticks, [100.0, 33.0, 2.0]);
        assert_eq!(parse("cpu0 1 2 3 4 5 6 7 8\n"), None);
    }
}
