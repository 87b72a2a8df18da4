//! A program that knows its own calls.

use std::fmt::Write;
use std::io;
use std::path::Path;

use syscalls::Sysno;

/// Calls that neither the runtime nor the C library makes by itself, and that do
/// nothing but look: with arguments of zero they take no pointer.
const KINDS: [Sysno; 20] = [
    Sysno::clock_getres,
    Sysno::getcpu,
    Sysno::getegid,
    Sysno::geteuid,
    Sysno::getgid,
    Sysno::getpgid,
    Sysno::getpgrp,
    Sysno::getpid,
    Sysno::getppid,
    Sysno::getpriority,
    Sysno::getsid,
    Sysno::getuid,
    Sysno::inotify_rm_watch,
    Sysno::sched_get_priority_max,
    Sysno::sched_get_priority_min,
    Sysno::sched_getscheduler,
    Sysno::sched_yield,
    Sysno::time,
    Sysno::times,
    Sysno::timer_getoverrun,
];

/// Makes `calls` system calls of 20 kinds, spread over `threads` threads, and writes
/// down into `list` how many of each there were.
///
/// # Errors
/// The list cannot be written.
pub fn make_known_calls(calls: u64, threads: u64, list: &Path) -> io::Result<()> {
    let plan = plan(calls);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let plan = &plan;
            scope.spawn(move || {
                for &(call, times) in plan {
                    let extra = u64::from(thread < times % threads);
                    for _ in 0..times / threads + extra {
                        // SAFETY: with zeros these calls read and write no memory.
                        unsafe { libc::syscall(call.id().into(), 0, 0, 0, 0, 0, 0) };
                    }
                }
            });
        }
    });
    let mut text = String::new();
    for (call, times) in plan {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{call} {times}");
    }
    std::fs::write(list, text)
}

/// How many of each kind: the later in the list, the more.
fn plan(calls: u64) -> Vec<(Sysno, u64)> {
    let parts = (1..=KINDS.len() as u64).sum::<u64>();
    let mut plan: Vec<_> = KINDS
        .into_iter()
        .zip(1..)
        .map(|(call, part)| (call, calls * part / parts))
        .collect();
    let rest = calls - plan.iter().map(|(_, times)| times).sum::<u64>();
    plan[0].1 += rest;
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_has_every_call_once() {
        for calls in [0, 1, 209, 1_000_000] {
            let plan = plan(calls);
            assert_eq!(plan.iter().map(|(_, times)| times).sum::<u64>(), calls);
        }
        let plan = plan(1_000_000);
        assert!(plan.windows(2).skip(1).all(|pair| pair[0].1 < pair[1].1));
    }
}
