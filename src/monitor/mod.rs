//! What a process and its children take: CPU, memory, descriptors, threads, context
//! switches, and the machine's pressure beside them.
//!
//! ```
//! use probecost::monitor::Monitor;
//!
//! let mut monitor = Monitor::of(std::process::id())?;
//! std::thread::sleep(std::time::Duration::from_millis(20));
//! let sample = monitor.look().expect("this process still runs");
//! assert!(sample.resident > 0 && sample.threads > 0);
//! # Ok::<(), probecost::host::Obstacle>(())
//! ```

mod command;
mod log;
mod pressure;
mod tree;

use std::time::Instant;

pub use command::{MonitoredCommand, watch};

use crate::host::Obstacle;
use crate::schema::monitor::MonitorSample;
use pressure::Pressure;
use tree::Tree;

/// Looks at a process and its children from time to time.
#[derive(Debug)]
pub struct Monitor {
    pid: i32,
    begin: Instant,
    at: Instant,
    tree: Tree,
    peak_resident: u64,
    /// The most that the processes together had taken by any look, as [`Tree::taken`].
    most_taken: [u64; 4],
    pressure: Option<Pressure>,
}

impl Monitor {
    /// The first look at the process of this number.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> Result<Self, Obstacle> {
        let missing = || {
            Obstacle::new(
                format!("there is no process {pid}"),
                "see which there are: ps -e",
            )
        };
        let pid = i32::try_from(pid).map_err(|_| missing())?;
        let tree = Tree::read(pid).ok_or_else(missing)?;
        let at = Instant::now();
        Ok(Self {
            pid,
            begin: at,
            at,
            peak_resident: tree.peak_resident,
            most_taken: tree.taken(),
            tree,
            pressure: Pressure::read(),
        })
    }

    /// What went on since the last look; none where the process has ended.
    pub fn look(&mut self) -> Option<MonitorSample> {
        let tree = Tree::read(self.pid)?;
        let at = Instant::now();
        let pressure = Pressure::read();
        let seconds = (at - self.at).as_secs_f64();
        let sample = MonitorSample {
            at_s: (at - self.begin).as_secs_f64(),
            pressure: pressure
                .zip(self.pressure)
                .map(|(now, then)| now.since(then, seconds)),
            ..tree.since(&self.tree, seconds)
        };
        self.peak_resident = self.peak_resident.max(tree.peak_resident);
        for (most, now) in self.most_taken.iter_mut().zip(tree.taken()) {
            *most = now.max(*most);
        }
        (self.at, self.tree, self.pressure) = (at, tree, pressure);
        Some(sample)
    }

    /// The most resident memory that one of the processes had by any look, in bytes.
    pub fn peak_resident(&self) -> u64 {
        self.peak_resident
    }
}
