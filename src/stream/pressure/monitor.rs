//! The monitor: asleep until the kernel says that processes stall.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::ClockId;

use super::load::{read_number, write_number};
use super::psi;
use crate::agent::clock::now_ns;
use crate::experiment::die_with_parent;

/// What a monitor is told; not for people.
#[derive(Debug, Clone, clap::Args)]
pub struct MonitorPart {
    /// Accounts of stalls
    #[arg(long)]
    pub watch: Vec<PathBuf>,
    /// The stall that wakes it, in microseconds
    #[arg(long)]
    pub threshold_us: u64,
    /// How long what it does lasts, in milliseconds
    #[arg(long)]
    pub slice_ms: u64,
    /// What it does; nothing without
    #[command(flatten)]
    pub hold: Hold,
}

/// By what a monitor holds a group back.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub struct Hold {
    /// A `cgroup.freeze` to write into
    #[arg(long)]
    pub freeze: Option<PathBuf>,
    /// A process to stop and continue
    #[arg(long)]
    pub stop: Option<i32>,
    /// A `memory.reclaim` to write into
    #[arg(long)]
    pub reclaim: Option<PathBuf>,
    /// Where a process is told how many pages it may keep
    #[arg(long)]
    pub pages: Option<PathBuf>,
}

/// What `memory.reclaim` is asked for at a time.
const RECLAIMED: &str = "8M";

/// Watches until it is killed, and writes the time (CLOCK_MONOTONIC, ns) of each
/// reaction on a line of its own.
///
/// # Errors
/// An account cannot be watched, or what it does fails.
pub fn watch(part: &MonitorPart) -> Result<(), Box<dyn std::error::Error>> {
    die_with_parent()?;
    let triggers: Result<Vec<File>, _> = part
        .watch
        .iter()
        .map(|path| psi::trigger(path, part.threshold_us))
        .collect();
    let triggers = triggers?;
    let mut out = io::stdout();
    writeln!(out, "{}", now_ns(ClockId::Monotonic))?;
    loop {
        let mut polled: Vec<PollFd<'_>> = triggers
            .iter()
            .map(|file| PollFd::new(file, PollFlags::PRI))
            .collect();
        poll(&mut polled, None)?;
        if polled
            .iter()
            .any(|fd| fd.revents().contains(PollFlags::ERR))
        {
            return Err("the kernel has taken an account of stalls away".into());
        }
        // When it began, and only once it is done: what fails is no reaction.
        let woken = now_ns(ClockId::Monotonic);
        part.hold.act(Duration::from_millis(part.slice_ms))?;
        writeln!(out, "{woken}")?;
    }
}

impl Hold {
    fn act(&self, slice: Duration) -> io::Result<()> {
        if let Some(freeze) = &self.freeze {
            fs::write(freeze, "1")?;
            sleep(slice);
            fs::write(freeze, "0")?;
        } else if let Some(process) = self.stop.and_then(Pid::from_raw) {
            kill_process(process, Signal::STOP)?;
            sleep(slice);
            kill_process(process, Signal::CONT)?;
        } else if let Some(reclaim) = &self.reclaim {
            // That there is not so much to take is no error.
            match fs::write(reclaim, RECLAIMED) {
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::AGAIN.raw_os_error()) => {}
                done => done?,
            }
        } else if let Some(pages) = &self.pages {
            let file = OpenOptions::new().read(true).write(true).open(pages)?;
            let before = read_number(&file)?;
            write_number(&file, before / 2)?;
            sleep(slice);
            write_number(&file, before)?;
        }
        Ok(())
    }
}
