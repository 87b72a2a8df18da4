//! Frozen probes: work that no project changes, timed before and after each run. Where a
//! probe moves, the machine did.

mod hold;
mod work;

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use probecost::host::allowed_cpus;
use probecost::schema::ProbeKind;
use probecost::stats::quantile;
use rustix::thread::{CpuSet, sched_setaffinity};

pub use hold::{Machine, taken_pct};
use work::Work;

/// A probe.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Its name, in host.json and in baselines.
    pub name: &'static str,
    /// Where it spends its time.
    pub kind: ProbeKind,
    make: fn() -> io::Result<Work>,
}

/// All probes. None is ever changed: one that is better gets a name of its own.
pub const ALL: [Probe; 10] = [
    Probe::new("arithmetic", ProbeKind::User, work::arithmetic),
    Probe::new("branches", ProbeKind::User, work::branches),
    Probe::new("memory_latency", ProbeKind::User, work::memory_latency),
    Probe::new("memory_bandwidth", ProbeKind::User, work::memory_bandwidth),
    Probe::new("page_faults", ProbeKind::Kernel, work::page_faults),
    Probe::new("getppid", ProbeKind::Kernel, work::getppid),
    Probe::new("open_close", ProbeKind::Kernel, work::open_close),
    Probe::new("stat", ProbeKind::Kernel, work::stat),
    Probe::new("pipe", ProbeKind::Kernel, work::pipe),
    Probe::new("udp_connect", ProbeKind::Kernel, work::udp_connect),
];

/// Blocks of each probe, by turns, after one that warms up.
const BLOCKS: usize = 40;

/// How long a block is meant to be, in nanoseconds: all of them take a quarter of a second.
const BLOCK_NS: f64 = 600_000.0;

/// Of a probe's blocks the one that so many are quicker than: what it takes when it is left
/// alone, without betting on the quickest.
const QUIET: f64 = 0.1;

impl Probe {
    const fn new(name: &'static str, kind: ProbeKind, make: fn() -> io::Result<Work>) -> Self {
        Self { name, kind, make }
    }
}

/// What each probe takes now, in nanoseconds for one operation. One that cannot run here, as
/// without a network, has no figure.
pub fn measure() -> BTreeMap<&'static str, f64> {
    // On a thread of its own, whose place on a CPU nobody inherits.
    std::thread::scope(|scope| {
        let probes = scope.spawn(|| {
            pin();
            measure_here()
        });
        probes.join().unwrap_or_default()
    })
}

/// The last CPU that is allowed: what else runs mostly runs on the first.
fn pin() {
    if let Some(cpu) = allowed_cpus().last() {
        let mut set = CpuSet::new();
        set.set(*cpu);
        // Where it cannot be pinned the figures spread further, and say so by that.
        let _ = sched_setaffinity(None, &set);
    }
}

fn measure_here() -> BTreeMap<&'static str, f64> {
    let mut running: Vec<Running> = ALL.iter().filter_map(|p| Running::start(p).ok()).collect();
    for _ in 0..BLOCKS {
        running.retain_mut(|probe| probe.block().is_ok());
    }
    let quiet = |probe: &Running| Some((probe.name, quantile(&probe.blocks, QUIET)?));
    running.iter().filter_map(quiet).collect()
}

/// A probe between its blocks.
struct Running {
    name: &'static str,
    work: Work,
    /// Operations of a block.
    operations: u32,
    /// Nanoseconds for one operation, of each block.
    blocks: Vec<f64>,
}

impl Running {
    fn start(probe: &Probe) -> io::Result<Self> {
        let mut running = Self {
            name: probe.name,
            work: (probe.make)()?,
            operations: 1,
            blocks: Vec::with_capacity(BLOCKS),
        };
        while running.time()? < BLOCK_NS / 8.0 {
            running.operations *= 2;
        }
        let share = BLOCK_NS / running.time()?;
        running.operations = (f64::from(running.operations) * share).max(1.0) as u32;
        Ok(running)
    }

    /// What a block takes, in nanoseconds.
    fn time(&mut self) -> io::Result<f64> {
        let started = Instant::now();
        (self.work)(self.operations)?;
        Ok(started.elapsed().as_nanos() as f64)
    }

    fn block(&mut self) -> io::Result<()> {
        let ns = self.time()? / f64::from(self.operations);
        self.blocks.push(ns);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_takes_time_and_all_together_little() {
        let started = Instant::now();
        let times = measure();
        assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
        for probe in &ALL {
            let ns = times.get(probe.name);
            assert!(ns.is_some_and(|ns| *ns > 0.01), "{}: {ns:?}", probe.name);
        }
        // A dependent load from memory is dearer than a step of arithmetic.
        assert!(times["memory_latency"] > times["arithmetic"], "{times:?}");
    }
}
