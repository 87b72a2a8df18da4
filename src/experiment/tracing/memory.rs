//! Memory of the process that is judged for growing.

use std::time::Duration;

use procfs::process::Process;

use crate::experiment::usage::footprint_of_this_process;
use crate::host::Obstacle;

/// A leak that is planted.
#[derive(Debug)]
pub(super) struct Leak {
    bytes_per_s: f64,
    lost: Vec<Vec<u8>>,
    bytes: usize,
}

impl Leak {
    /// Of megabytes a minute.
    pub(super) fn of(mb_per_minute: f64) -> Self {
        Self {
            bytes_per_s: mb_per_minute * 1e6 / 60.0,
            lost: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes what is due since the start.
    pub(super) fn grow(&mut self, passed: Duration) {
        let due = (self.bytes_per_s * passed.as_secs_f64()) as usize;
        if due > self.bytes {
            // Memory that nobody looks at would never be taken.
            let more = std::hint::black_box(vec![1; due - self.bytes]);
            self.lost.push(more);
            self.bytes = due;
        }
    }
}

/// Anonymous memory of this process, in bytes: what a leak makes grow. Its resident memory
/// grows besides, by pages of the program that are run for the first time.
pub(super) fn asked_for() -> Result<f64, Obstacle> {
    let status = Process::myself().and_then(|process| process.status());
    let kb = status.map(|status| status.rssanon);
    kb.ok()
        .flatten()
        .map(|kb| kb as f64 * 1024.0)
        .ok_or_else(|| {
            let why = "/proc/self/status does not say how much memory is anonymous";
            Obstacle::new(why, "mount /proc; Linux 4.5 or newer says it")
        })
}

/// Memory of this process, resident and of its maps, in bytes.
pub(super) fn memory() -> Result<u64, Obstacle> {
    let footprint = footprint_of_this_process().map_err(|error| {
        let why = format!("this process cannot see itself: {error}");
        Obstacle::new(why, "mount /proc")
    })?;
    Ok(footprint.resident + footprint.maps)
}
