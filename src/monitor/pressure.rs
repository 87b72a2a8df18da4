//! Time in which tasks of the machine stood still.

use procfs::{CpuPressure, Current, IoPressure, MemoryPressure};

use crate::schema::monitor::PressureSample;

/// Totals since the start of the machine, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pressure {
    cpu_some: u64,
    memory: [u64; 2],
    io: [u64; 2],
}

impl Pressure {
    /// None where the kernel does not count it.
    pub(super) fn read() -> Option<Self> {
        let memory = MemoryPressure::current().ok()?;
        let io = IoPressure::current().ok()?;
        Some(Self {
            cpu_some: CpuPressure::current().ok()?.some.total,
            memory: [memory.some.total, memory.full.total],
            io: [io.some.total, io.full.total],
        })
    }

    /// Shares of the seconds since `then`.
    pub(super) fn since(self, then: Self, seconds: f64) -> PressureSample {
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / 1e4 / seconds;
        PressureSample {
            cpu_some: share(self.cpu_some, then.cpu_some),
            memory_some: share(self.memory[0], then.memory[0]),
            memory_full: share(self.memory[1], then.memory[1]),
            io_some: share(self.io[0], then.io[0]),
            io_full: share(self.io[1], then.io[1]),
        }
    }
}
