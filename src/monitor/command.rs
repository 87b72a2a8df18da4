//! A process watched until it ends.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use procfs::process::Process;
use procfs::ticks_per_second;
use rustix::process::Signal;

use super::Monitor;
use super::log::Log;
use super::tree::{Tree, peak_resident};
use crate::host::{Obstacle, provenance};
use crate::process::ProcessEnd;
use crate::results::Results;
use crate::schema::monitor::{MonitorEnding, MonitorReport, MonitorSample, MonitorTotals, SCHEMA};

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);
/// The least time between two looks.
const SHORTEST: Duration = Duration::from_millis(200);
/// How long a command may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be watched.
#[derive(Debug)]
pub enum MonitoredCommand {
    /// A process that runs.
    Pid(u32),
    /// A command to start, with its arguments.
    Command(Vec<String>),
}

/// Watches until the process ends, or `stop` is set; each sample is written to `results` at
/// once. A command is to be the only child of this process.
///
/// # Errors
/// There is no such process, the command cannot be started, or nothing can be written.
pub fn watch(
    watched: &MonitoredCommand,
    results: &Results,
    stop: &Arc<AtomicBool>,
) -> Result<MonitorReport, Obstacle> {
    let mut log = Log::create(results.path())?;
    let (_adoption, mut child) = match watched {
        MonitoredCommand::Pid(_) => (None, None),
        MonitoredCommand::Command(command) => (Some(Adoption::begin()), Some(start(command)?)),
    };
    let pid = match (watched, &child) {
        (MonitoredCommand::Pid(pid), _) => *pid,
        (_, Some(child)) => child.id(),
        (MonitoredCommand::Command(_), None) => unreachable!("a command was started"),
    };
    let own_before = own_cpu_s();
    let seen = samples(pid, child.is_some(), stop, &mut log, results);
    let own_cpu_s = own_cpu_s() - own_before;
    let ending = child.as_mut().and_then(|child| end(child, stop));
    let seen = seen?;
    let totals = MonitorTotals {
        own_cpu_s,
        ..totals(&seen, ending.is_some())
    };
    Ok(MonitorReport {
        schema: SCHEMA,
        provenance: provenance(),
        pid: pid as i32,
        command: match watched {
            MonitoredCommand::Command(command) => command.clone(),
            MonitoredCommand::Pid(_) => seen.command,
        },
        totals,
        ending,
        samples: seen.samples,
    })
}

/// What was seen of the processes.
struct SeenProcesses {
    /// The command line of the first.
    command: Vec<String>,
    samples: Vec<MonitorSample>,
    seconds: f64,
    /// The most resident memory of one of them, in bytes.
    peak_resident: u64,
    /// The most that they had taken by any look, as [`Tree::taken`].
    most_taken: [u64; 4],
}

/// Has the command's processes that lose their parent become children of this one, until it is
/// dropped: they are found and waited for.
struct Adoption;

impl Adoption {
    fn begin() -> Self {
        // Every kernel has had it since 3.4.
        let _ = set_child_subreaper(true);
        Self
    }
}

impl Drop for Adoption {
    fn drop(&mut self) {
        let _ = set_child_subreaper(false);
    }
}

/// What it prints goes to standard error: standard output is the report's.
fn start(command: &[String]) -> Result<Child, Obstacle> {
    let failed =
        |why: String| Obstacle::new(why, "name a command after --: probecost monitor -- ls");
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| failed("there is no command".into()))?;
    let stderr = rustix::io::dup(std::io::stderr()).map_err(|e| failed(e.to_string()))?;
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::from(stderr))
        .spawn()
        .map_err(|error| failed(format!("{program} cannot be started: {error}")))
}

/// Looks from second to second. Of a process that `is_ours` what ended without a parent is
/// waited for meanwhile.
fn samples(
    pid: u32,
    is_ours: bool,
    stop: &AtomicBool,
    log: &mut Log,
    results: &Results,
) -> Result<SeenProcesses, Obstacle> {
    let mut monitor = Monitor::of(pid)?;
    let end = ProcessEnd::of(pid)?;
    let command = Process::new(pid as i32).and_then(|process| process.cmdline());
    let begin = Instant::now();
    let mut samples = Vec::new();
    let mut looked = Duration::ZERO;
    let seconds = loop {
        let next = next_look(begin.elapsed());
        let has_ended = end.wait(begin + next, stop);
        let seconds = begin.elapsed();
        // A zombie keeps its account. Of a shorter time a tick of the kernel's clock (10 ms)
        // would be too large a share.
        if let Some(early) = (looked + SHORTEST).checked_sub(seconds) {
            std::thread::sleep(early);
        }
        looked = begin.elapsed();
        let Some(sample) = monitor.look() else {
            break seconds;
        };
        if is_ours {
            reap(pid);
        }
        log.add(&sample)?;
        results.turn_latest()?;
        samples.push(sample);
        if has_ended || stop.load(Ordering::Relaxed) {
            break seconds;
        }
    };
    Ok(SeenProcesses {
        command: command.unwrap_or_default(),
        samples,
        seconds: seconds.as_secs_f64(),
        peak_resident: monitor.peak_resident(),
        most_taken: monitor.most_taken,
    })
}

/// When to look next after so much time: at the next whole second that is not about to come.
/// After a pause of the monitor looks would follow each other at once.
fn next_look(passed: Duration) -> Duration {
    let whole = passed.as_secs() as u32 + 1;
    match whole * EVERY - passed < EVERY / 2 {
        true => (whole + 1) * EVERY,
        false => whole * EVERY,
    }
}

/// Ends the command and all that descends from it where it still runs or the monitor was told
/// to `stop`: whoever did that wanted neither. How it ended; none where that cannot be known.
fn end(child: &mut Child, stop: &AtomicBool) -> Option<MonitorEnding> {
    let has_ended = child.try_wait().ok()?.is_some();
    if !has_ended || stop.load(Ordering::Relaxed) {
        end_all(child.id());
    }
    let status = child.wait().ok()?;
    reap(child.id());
    match (status.code(), status.signal()) {
        (Some(code), _) => Some(MonitorEnding::Exited(code)),
        (None, Some(signal)) => Some(MonitorEnding::Killed(signal)),
        (None, None) => None,
    }
}

/// Ends all that descends from this process, children before their parents. Who is orphaned by
/// that, or was before, has become a child of this process.
fn end_all(command: u32) {
    let never = AtomicBool::new(false);
    for signal in [Signal::TERM, Signal::KILL] {
        let until = Instant::now() + PATIENCE;
        // What was started meanwhile is told as well.
        while Instant::now() < until {
            reap(command);
            let left = descendants();
            if left.is_empty() {
                return;
            }
            left.iter().for_each(|process| process.signal(signal));
            for process in &left {
                process.wait(until, &never);
            }
        }
    }
}

/// Those of this process that have not ended, children before their parents.
fn descendants() -> Vec<ProcessEnd> {
    let tree = Tree::read(std::process::id() as i32).unwrap_or_default();
    let below = tree.pids.iter().skip(1).rev();
    // One that has ended this moment needs no end.
    let processes = below.flat_map(|&pid| ProcessEnd::of(pid));
    processes.filter(|process| !process.has_come()).collect()
}

/// Waits for children that have ended, all but the command: its own handle does that.
fn reap(command: u32) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    let next = || waitid(Id::All, ended | WaitPidFlag::WNOWAIT).ok()?.pid();
    while let Some(pid) = next().filter(|pid| pid.as_raw() as u32 != command) {
        // It was there a moment ago, and nobody else waits for it.
        let _ = waitid(Id::Pid(pid), ended);
    }
}

/// From the kernel's own accounts where a command `of_ours` has ended, and from what was seen
/// where that is more: nobody need have waited for a process. Else from samples.
fn totals(of: &SeenProcesses, of_ours: bool) -> MonitorTotals {
    let samples = &of.samples;
    let most = |value: fn(&MonitorSample) -> u64| samples.iter().map(value).max().unwrap_or(0);
    let sum = |value: fn(&MonitorSample) -> u64| samples.iter().map(value).sum();
    let seen = MonitorTotals {
        seconds: of.seconds,
        user_s: cpu_s(samples, |s| s.user_pct),
        system_s: cpu_s(samples, |s| s.system_pct),
        peak_resident: most(|s| s.resident),
        peak_descriptors: most(|s| s.descriptors),
        voluntary_switches: sum(|s| s.voluntary_switches),
        involuntary_switches: sum(|s| s.involuntary_switches),
        ..MonitorTotals::default()
    };
    // The monitor has no other children.
    match getrusage(UsageWho::RUSAGE_CHILDREN) {
        Ok(children) if of_ours => {
            let [user_s, system_s] = times(&children);
            let [user, system, wanted, forced] = of.most_taken;
            let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
            let switches = |counted: i64, seen: u64| counted.unsigned_abs().max(seen);
            MonitorTotals {
                user_s: user_s.max(seconds(user)),
                system_s: system_s.max(seconds(system)),
                peak_resident: peak(
                    children.max_rss().unsigned_abs() * 1024,
                    own_peak_resident(),
                    of.peak_resident,
                ),
                voluntary_switches: switches(children.voluntary_context_switches(), wanted),
                involuntary_switches: switches(children.involuntary_context_switches(), forced),
                ..seen
            }
        }
        _ => seen,
    }
}

/// The peak of a command in bytes, of which the kernel counts at least that of this process,
/// whose memory the command had until its `execve`: what is no more than that may be ours, and
/// then the most that was seen holds. That holds, too, of one that nobody waited for.
fn peak(counted: u64, own: u64, seen: u64) -> u64 {
    match counted > own {
        true => counted.max(seen),
        false => seen,
    }
}

/// The most resident memory that this process has had, in bytes.
fn own_peak_resident() -> u64 {
    let status = Process::myself().and_then(|process| process.status());
    status.map_or(0, |status| peak_resident(&status))
}

/// CPU time of this thread, in seconds: what watching takes of a process that does more.
fn own_cpu_s() -> f64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0.0, |own| times(&own).iter().sum())
}

/// Seconds of CPU time from shares of the time between looks.
fn cpu_s(samples: &[MonitorSample], share: fn(&MonitorSample) -> f64) -> f64 {
    let starts = std::iter::once(0.0).chain(samples.iter().map(|s| s.at_s));
    let spans = samples.iter().zip(starts);
    spans
        .map(|(s, start)| share(s) / 100.0 * (s.at_s - start))
        .sum()
}

fn times(usage: &Usage) -> [f64; 2] {
    [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_keep_to_seconds_and_apart() {
        for (passed, next) in [(0, 1000), (1002, 2000), (1400, 2000), (13_700, 15_000)] {
            let [passed, next] = [passed, next].map(Duration::from_millis);
            assert_eq!(next_look(passed), next);
        }
    }

    #[test]
    fn what_the_kernel_counts_may_be_our_own() {
        assert_eq!(peak(30, 12, 20), 30);
        assert_eq!(peak(12, 12, 2), 2);
        assert_eq!(peak(30, 12, 40), 40);
    }
}
