//! One process that we started.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use procfs::process::all_processes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use super::{KeptOutput, interrupted};

/// A running process, killed with all its group when dropped.
pub struct Child {
    process: std::process::Child,
    handle: OwnedFd,
    ended: Option<ExitStatus>,
    /// Whether a cgroup holds what it leaves behind.
    has_cgroup: bool,
    /// What it printed, on both its streams.
    pub output: KeptOutput,
}

impl Child {
    pub(super) fn new(
        process: std::process::Child,
        output: KeptOutput,
        has_cgroup: bool,
    ) -> std::io::Result<Self> {
        let pid = rustix::process::Pid::from_child(&process);
        Ok(Self {
            handle: pidfd_open(pid, PidfdFlags::empty())?,
            process,
            ended: None,
            has_cgroup,
            output,
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// It, its group, and what descends from them.
    pub(super) fn family(&self) -> Vec<u32> {
        let pid = self.pid() as i32;
        let mut family = BTreeSet::from([pid]);
        let all = all_processes().into_iter().flatten().flatten();
        let all: Vec<_> = all.filter_map(|process| process.stat().ok()).collect();
        let mut known = 0;
        while known < family.len() {
            known = family.len();
            for one in &all {
                if one.pgrp == pid || family.contains(&one.ppid) {
                    family.insert(one.pid);
                }
            }
        }
        family.into_iter().map(|pid| pid as u32).collect()
    }

    /// Where it reads from, if that was piped; taken once.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.process.stdin.take()
    }

    /// Opens the gate of a command that [`gated`](super::WardPlace::gated) holds back.
    pub fn release(&mut self) -> std::io::Result<()> {
        self.stdin()
            .map_or(Ok(()), |mut gate| gate.write_all(b"\n"))
    }

    /// How it ended, if it has. What it left in its group ends with it, unless a cgroup
    /// holds that.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() && self.ends_within(Duration::ZERO) {
            // Until it has been waited for, its number is nobody else's.
            if !self.has_cgroup {
                self.signal(Signal::SIGKILL);
            }
            self.ended = self.process.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end, at most so long; `None` where it still runs, or somebody
    /// pressed Ctrl-C.
    pub fn wait(&mut self, longest: Duration) -> Option<ExitStatus> {
        self.wait_unless(interrupted, &[], longest)
    }

    /// The same, and no longer than `other` runs.
    pub fn wait_beside(&mut self, other: &Self, longest: Duration) -> Option<ExitStatus> {
        let is_over = || interrupted() || other.ends_within(Duration::ZERO);
        self.wait_unless(is_over, &[other], longest)
    }

    /// The same, and Ctrl-C does not cut it short: what that began must be brought to its
    /// end.
    pub fn wait_out(&mut self, longest: Duration) -> Option<ExitStatus> {
        self.wait_unless(|| false, &[], longest)
    }

    /// Looks again whether it is `over` when one of the `others` ends.
    fn wait_unless(
        &mut self,
        over: impl Fn() -> bool,
        others: &[&Self],
        longest: Duration,
    ) -> Option<ExitStatus> {
        let begin = Instant::now();
        while self.status().is_none() {
            let left = longest.checked_sub(begin.elapsed())?;
            if over() {
                return None;
            }
            let all = others.iter().copied().chain([&*self]);
            Self::any_ends(all, left.min(Duration::from_millis(200)));
        }
        self.ended
    }

    fn ends_within(&self, longest: Duration) -> bool {
        Self::any_ends([self], longest)
    }

    fn any_ends<'a>(all: impl IntoIterator<Item = &'a Self>, longest: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: longest.as_secs() as i64,
            tv_nsec: longest.subsec_nanos().into(),
        };
        let ends = all.into_iter();
        let mut ends: Vec<_> = ends
            .map(|child| PollFd::new(&child.handle, PollFlags::IN))
            .collect();
        // An interrupted wait only means to look earlier.
        poll(&mut ends, Some(&timeout)).is_ok_and(|ended| ended > 0)
    }

    /// Sends its group a signal; one that is gone has nothing to say.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = killpg(Pid::from_raw(self.pid() as i32), signal);
        }
    }

    /// Asks it to end by each of the signals in turn, with patience for each, and kills
    /// it after the last. Gives the signal it took.
    pub fn stop(&mut self, signals: &[Signal], patience: Duration) -> Signal {
        for &signal in signals {
            self.signal(signal);
            if self.wait_out(patience).is_some() {
                return signal;
            }
        }
        self.kill();
        Signal::SIGKILL
    }

    fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        // Both fail only where it is gone already.
        let _ = self.process.kill();
        if let Ok(status) = self.process.wait() {
            self.ended = Some(status);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status().is_none() {
            self.kill();
        }
    }
}
