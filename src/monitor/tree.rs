//! A process and its children, at one moment.

use std::collections::HashMap;

use procfs::process::{Process, Status};
use procfs::{page_size, ticks_per_second};

use crate::schema::monitor::MonitorSample;

/// What the processes hold, and what they have taken so far.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Their numbers, each parent's before its children's.
    pub(super) pids: Vec<u32>,
    threads: u64,
    /// Ticks in user mode and in the kernel, of the processes and of their children that
    /// have ended and were waited for.
    ticks: [u64; 2],
    resident: u64,
    /// The most resident memory that one of the processes has had so far.
    pub(super) peak_resident: u64,
    virtual_memory: u64,
    descriptors: u64,
    /// Context switches of each thread, wanted and not.
    switches: HashMap<i32, [u64; 2]>,
}

impl Tree {
    /// The tree below a process; none where there is no such process.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let mut tree = Self::default();
        let mut left = tree.add(pid)?;
        while let Some(child) = left.pop() {
            // It may have ended since its parent was read.
            left.extend(tree.add(child).unwrap_or_default());
        }
        Some(tree)
    }

    /// Adds one process, and gives the numbers of its children.
    fn add(&mut self, pid: i32) -> Option<Vec<i32>> {
        let process = Process::new(pid).ok()?;
        let stat = process.stat().ok()?;
        // The times of children count from their wait on, and may not be negative.
        let waited = |ticks: i64| u64::try_from(ticks).unwrap_or(0);
        self.pids.push(pid.unsigned_abs());
        self.threads += u64::try_from(stat.num_threads).unwrap_or(0);
        self.ticks[0] += stat.utime + waited(stat.cutime);
        self.ticks[1] += stat.stime + waited(stat.cstime);
        self.resident += stat.rss * page_size();
        self.virtual_memory += stat.vsize;
        self.descriptors += process.fd_count().unwrap_or(0) as u64;
        let mut children = Vec::new();
        for task in process.tasks().into_iter().flatten().flatten() {
            let known = task.children().unwrap_or_default();
            children.extend(known.into_iter().filter_map(|pid| i32::try_from(pid).ok()));
            if let Ok(status) = task.status() {
                self.peak_resident = self.peak_resident.max(peak_resident(&status));
                let wanted = status.voluntary_ctxt_switches.unwrap_or(0);
                let forced = status.nonvoluntary_ctxt_switches.unwrap_or(0);
                self.switches.insert(task.tid, [wanted, forced]);
            }
        }
        Some(children)
    }

    /// All that was taken so far: ticks in user mode and in the kernel, and context switches,
    /// wanted and not, of the threads that there are.
    pub(super) fn taken(&self) -> [u64; 4] {
        let switches = |kind: usize| self.switches.values().map(|both| both[kind]).sum();
        [self.ticks[0], self.ticks[1], switches(0), switches(1)]
    }

    /// What was taken since `then`, so many seconds ago, and what is held now.
    pub(super) fn since(&self, then: &Self, seconds: f64) -> MonitorSample {
        // A child that ended without being waited for takes its ticks with it.
        let percent = |kind: usize| {
            let ticks = self.ticks[kind].saturating_sub(then.ticks[kind]);
            ticks as f64 / ticks_per_second() as f64 / seconds * 100.0
        };
        let mut switches = [0, 0];
        for (thread, now) in &self.switches {
            let then = then.switches.get(thread).copied().unwrap_or_default();
            for (sum, (now, then)) in switches.iter_mut().zip(now.iter().zip(then)) {
                // The number of a thread that ended may be another's by now.
                *sum += now.checked_sub(then).unwrap_or(*now);
            }
        }
        MonitorSample {
            processes: self.pids.len() as u64,
            threads: self.threads,
            user_pct: percent(0),
            system_pct: percent(1),
            resident: self.resident,
            virtual_memory: self.virtual_memory,
            descriptors: self.descriptors,
            voluntary_switches: switches[0],
            involuntary_switches: switches[1],
            ..MonitorSample::default()
        }
    }
}

/// The most resident memory that a process has had since its last `execve`, in bytes; 0 where
/// it has ended.
pub(super) fn peak_resident(status: &Status) -> u64 {
    status.vmhwm.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn children_of_children_are_in_it() {
        let mut shell = Command::new("sh")
            .args(["-c", "sh -c 'read x; :'; :"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = shell.id() as i32;
        let mut tree = Tree::default();
        for _ in 0..500 {
            tree = Tree::read(pid).unwrap();
            if tree.pids.len() == 2 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!((tree.pids.len(), tree.threads), (2, 2));
        assert_eq!(tree.pids[0], shell.id());
        assert!(tree.descriptors >= 6 && tree.resident > 0, "{tree:?}");
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(Tree::read(pid).is_none());
    }

    #[test]
    fn shares_are_of_one_cpu_and_never_negative() {
        let at = |user, system| Tree {
            ticks: [user, system],
            ..Tree::default()
        };
        let second = ticks_per_second();
        let sample = at(3 * second, second).since(&at(second, second), 2.0);
        assert_eq!((sample.user_pct, sample.system_pct), (100.0, 0.0));
        assert_eq!(at(0, 0).since(&at(second, second), 1.0).user_pct, 0.0);
    }

    #[test]
    fn new_threads_count_from_their_start() {
        let with = |switches: &[(i32, [u64; 2])]| Tree {
            switches: switches.iter().copied().collect(),
            ..Tree::default()
        };
        let then = with(&[(1, [10, 5]), (2, [7, 7])]);
        let sample = with(&[(1, [13, 6]), (3, [2, 1])]).since(&then, 1.0);
        assert_eq!(
            (sample.voluntary_switches, sample.involuntary_switches),
            (5, 2)
        );
    }
}
