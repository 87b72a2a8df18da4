//! What the agent itself uses: CPU time and memory.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a process that runs only the agent takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// Resident memory of the process (`VmRSS`).
    pub resident: u64,
    /// Kernel memory of the agent's maps (`memlock` in fdinfo).
    pub maps: u64,
}

/// The CPU time that a thread of this process has used.
pub fn thread_cpu_time(tid: u32) -> std::io::Result<Duration> {
    let path = format!("/proc/self/task/{tid}/schedstat");
    let text = std::fs::read_to_string(&path)?;
    text.split_whitespace()
        .next()
        .and_then(|ns| ns.parse().ok())
        .map(Duration::from_nanos)
        .ok_or_else(|| std::io::Error::other(format!("{path} does not begin with a number")))
}

impl Footprint {
    /// Of this process, with an agent whose maps take `maps` bytes.
    pub fn of_this_process(maps: u64) -> std::io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .and_then(|kib| kib.trim().parse::<u64>().ok())
            .ok_or_else(|| std::io::Error::other("/proc/self/status has no VmRSS"))?;
        Ok(Self {
            resident: resident * 1024,
            maps,
        })
    }
}
