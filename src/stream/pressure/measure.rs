//! The blocks: every policy in turn, while two groups go on touching their pages.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::time::ClockId;

use super::delay::{Moment, delays};
use super::groups::{Groups, Rank};
use super::load::{PAGE, read_number, write_number};
use super::psi::{MACHINE, Stalled, WINDOW_US, stalled};
use super::toucher::{Toucher, broken, this_program};
use super::{PressureArgs, judge};
use crate::agent::clock::now_ns;
use crate::gate;
use crate::host::{self, Host, Obstacle};
use crate::schema::Finding;
use crate::schema::pressure::{
    MonitorBlock, PressureBlock, PressurePolicy, PressureReport, PressureSettings, SCHEMA,
};
use crate::stats::median;
use crate::stream::Scratch;

const MB: u64 = 1_000_000;
/// The stall by window that wakes the monitor.
const THRESHOLD_US: u64 = 100_000;
/// How long an arm has been on when it begins to count: a window, in which the kernel
/// calls for the first time.
const SETTLE: Duration = Duration::from_micros(WINDOW_US);
/// How often the account is read to see when it passes the threshold.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Measures, and stops everything again. `progress` is told the share that is done.
///
/// # Errors
/// Nothing can be measured here: no account of stalls, no cgroup that limits memory.
pub fn measure(
    args: &PressureArgs,
    budgets: &gate::PressureBudgets,
    progress: impl FnMut(f64),
) -> Result<PressureReport, Obstacle> {
    stalled(Path::new(MACHINE))?;
    let host = Host::read().map_err(|e| Obstacle::new(e.to_string(), "mount /proc and /sys"))?;
    let scratch = Scratch::new(&args.dir)?;
    let groups = Groups::new(args.limit * MB)?;
    let bench = PressureBench::start(args, groups, scratch)?;

    let mut policies = vec![PressurePolicy::Off, PressurePolicy::Observe];
    policies.extend(&args.policy);
    let mut blocks = Vec::new();
    let failed = bench.rounds(&policies, progress, &mut blocks).err();
    if let Some(obstacle) = failed.as_ref().filter(|_| blocks.is_empty()) {
        return Err(obstacle.clone());
    }
    let frozen = bench.groups.frozen(Rank::Low) || bench.groups.frozen(Rank::High);
    let settings = bench.settings();
    drop(bench);
    let (arms, mut rows) = judge::judge(&blocks, &policies, frozen, budgets, args.seed);
    rows.extend(failed.map(|obstacle| Finding::cut_off(obstacle.to_string())));
    Ok(PressureReport {
        schema: SCHEMA,
        provenance: host::provenance(),
        host,
        settings,
        arms,
        notes: notes(judge::unsteady(&blocks, budgets.steady_pct)),
        blocks,
        rows,
    })
}

/// What a reader should know whatever came out.
fn notes(unsteady: Option<String>) -> Vec<String> {
    let mut notes = vec![
        "the window of a trigger is a multiple of 2 s, since any other takes CAP_SYS_RESOURCE; \
         the kernel then looks every 2 s, which bounds how soon anything can be done"
            .to_owned(),
    ];
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() < 2 {
        notes.push("this machine has no swap: pressure is pages of files read again".into());
    }
    notes.extend(unsteady);
    notes
}

struct PressureBench<'a> {
    args: &'a PressureArgs,
    high: Toucher,
    low: Toucher,
    low_pages: PathBuf,
    // Removed after the processes in it have ended.
    groups: Groups,
    _scratch: Scratch,
}

impl<'a> PressureBench<'a> {
    fn start(args: &'a PressureArgs, groups: Groups, scratch: Scratch) -> Result<Self, Obstacle> {
        let place = scratch.path().to_owned();
        let high = Toucher::start(args, &groups, Rank::High, &place.join("high"))?;
        let low = match Toucher::start(args, &groups, Rank::Low, &place.join("low")) {
            Ok(low) => low,
            Err(obstacle) => {
                drop(high);
                return Err(obstacle);
            }
        };
        Ok(Self {
            args,
            high,
            low,
            low_pages: place.join("low.pages"),
            groups,
            _scratch: scratch,
        })
    }

    fn settings(&self) -> PressureSettings {
        let freezes = self.groups.freezer(Rank::Low).is_some();
        let reclaims = self.groups.reclaimer(Rank::Low).is_some();
        PressureSettings {
            rounds: self.args.rounds as usize,
            seconds: f64::from(self.args.seconds),
            limit_mb: self.args.limit,
            touched_mb: self.args.touched,
            threshold_ms: THRESHOLD_US / 1000,
            window_ms: WINDOW_US / 1000,
            slice_ms: self.args.slice,
            cgroup: self.groups.version(),
            held_by: if freezes { "cgroup.freeze" } else { "SIGSTOP" }.into(),
            reclaimed_by: if reclaims {
                "memory.reclaim"
            } else {
                "a cache that shrinks"
            }
            .into(),
            seed: self.args.seed,
        }
    }

    /// Every round of every policy, as far as it goes.
    fn rounds(
        &self,
        policies: &[PressurePolicy],
        mut progress: impl FnMut(f64),
        blocks: &mut Vec<PressureBlock>,
    ) -> Result<(), Obstacle> {
        let mut rng = Rng::with_seed(self.args.seed);
        let rounds = self.args.rounds as usize;
        let steps = rounds * policies.len();
        sleep(SETTLE);
        for round in 0..rounds {
            let mut order = policies.to_vec();
            rng.shuffle(&mut order);
            for policy in order {
                progress(blocks.len() as f64 / steps as f64);
                blocks.push(self.block(round, policy)?);
            }
        }
        Ok(())
    }

    /// One block of one policy.
    fn block(&self, round: usize, policy: PressurePolicy) -> Result<PressureBlock, Obstacle> {
        let monitor = match policy {
            PressurePolicy::Off => None,
            _ => Some(PressureMonitor::start(self, policy)?),
        };
        // In every arm, so that none has more to do than another.
        let mut account = Vec::new();
        self.watch(SETTLE, &mut account)?;
        let (cpu, begin) = (
            monitor.as_ref().map(PressureMonitor::cpu_ns),
            Instant::now(),
        );
        let half = Duration::from_secs(u64::from(self.args.seconds)) / 2;
        let first = self.look()?;
        self.watch(half, &mut account)?;
        let middle = self.look()?;
        self.watch(half, &mut account)?;
        let looks = [first, middle, self.look()?];
        let seconds = begin.elapsed().as_secs_f64();
        let a_second = |of: fn(&Look) -> u64, from: usize, to: usize| {
            let gained = of(&looks[to]).saturating_sub(of(&looks[from]));
            gained as f64 / looks[to].at.duration_since(looks[from].at).as_secs_f64()
        };
        let monitor = match (monitor, cpu) {
            (Some(monitor), Some(before)) => {
                let after = monitor.cpu_ns();
                let memory_mb = monitor.resident_mb();
                // First, whatever else failed: the low group goes on.
                let reactions = monitor.end(self)?;
                let cpu_ns = after?.saturating_sub(before?);
                Some(MonitorBlock {
                    reactions: reactions.len() as u64,
                    cpu_pct: cpu_ns as f64 / 1e9 / seconds * 100.0,
                    memory_mb,
                    delay_ms: median(&delays(&account, &reactions, THRESHOLD_US)),
                })
            }
            _ => None,
        };
        Ok(PressureBlock {
            round,
            policy,
            some_us_s: a_second(|l| l.both.some, 0, 2),
            halves_us_s: [
                a_second(|l| l.both.some, 0, 1),
                a_second(|l| l.both.some, 1, 2),
            ],
            full_us_s: a_second(|l| l.both.full, 0, 2),
            machine_some_us_s: a_second(|l| l.machine.some, 0, 2),
            high_some_us_s: a_second(|l| l.high.some, 0, 2),
            high_pages_s: a_second(|l| l.high_pages, 0, 2),
            low_pages_s: a_second(|l| l.low_pages, 0, 2),
            swapped_pages_s: a_second(|l| l.swapped, 0, 2),
            monitor,
        })
    }

    /// Waits, and notes how the account of both groups grows meanwhile.
    fn watch(&self, time: Duration, noted: &mut Vec<Moment>) -> Result<(), Obstacle> {
        let account = self.groups.account(None);
        let end = Instant::now() + time;
        loop {
            noted.push(Moment {
                stalled: stalled(&account)?.some,
                at: now_ns(ClockId::Monotonic),
            });
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(LOOK_EVERY.min(left));
        }
    }

    fn look(&self) -> Result<Look, Obstacle> {
        let pages = |toucher: &Toucher| read_number(&toucher.progress).map_err(|e| broken(&e));
        Ok(Look {
            at: Instant::now(),
            both: stalled(&self.groups.account(None))?,
            high: stalled(&self.groups.account(Some(Rank::High)))?,
            machine: stalled(Path::new(MACHINE))?,
            high_pages: pages(&self.high)?,
            low_pages: pages(&self.low)?,
            swapped: swapped(),
        })
    }

    /// Has the low group go on, with all of its pages, whatever a monitor left behind.
    fn release(&self) -> Result<(), Obstacle> {
        let all = OpenOptions::new().write(true).open(&self.low_pages);
        let pages = self.args.touched * MB / PAGE;
        all.and_then(|file| write_number(&file, pages))
            .map_err(|error| broken(&error))?;
        match self.groups.freezer(Rank::Low) {
            Some(freezer) => fs::write(freezer, "0").map_err(|error| broken(&error)),
            None => {
                let low = rustix::process::Pid::from_child(&self.low.process);
                let go_on = rustix::process::Signal::CONT;
                rustix::process::kill_process(low, go_on).map_err(|error| broken(&error.into()))
            }
        }
    }
}

/// Everything that grows, at one moment.
struct Look {
    at: Instant,
    both: Stalled,
    high: Stalled,
    machine: Stalled,
    high_pages: u64,
    low_pages: u64,
    swapped: u64,
}

/// A monitor that runs.
struct PressureMonitor {
    process: Child,
    reactions: Arc<Mutex<Vec<u64>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl PressureMonitor {
    fn start(bench: &PressureBench<'_>, policy: PressurePolicy) -> Result<Self, Obstacle> {
        let groups = &bench.groups;
        let mut command = this_program("monitor")?;
        command.arg("--watch").arg(MACHINE);
        command.arg("--watch").arg(groups.account(None));
        command.args(["--threshold-us", &THRESHOLD_US.to_string()]);
        command.args(["--slice-ms", &bench.args.slice.to_string()]);
        match (
            policy,
            groups.freezer(Rank::Low),
            groups.reclaimer(Rank::Low),
        ) {
            (PressurePolicy::Throttle, Some(freezer), _) => command.arg("--freeze").arg(freezer),
            (PressurePolicy::Throttle, None, _) => {
                command.args(["--stop", &bench.low.process.id().to_string()])
            }
            (PressurePolicy::Reclaim, _, Some(reclaimer)) => {
                command.arg("--reclaim").arg(reclaimer)
            }
            (PressurePolicy::Reclaim, _, None) => command.arg("--pages").arg(&bench.low_pages),
            (PressurePolicy::Off | PressurePolicy::Observe, ..) => &mut command,
        };
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| broken(&error))?;
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped"));
        // The first line says that it watches.
        let mut ready = String::new();
        let read = lines
            .read_line(&mut ready)
            .map_err(|error| broken(&error))?;
        if read == 0 {
            let _ = process.wait();
            return Err(Obstacle::new(
                "the monitor of pressure did not start",
                "see what it says above",
            ));
        }
        let reactions: Arc<Mutex<Vec<u64>>> = Arc::default();
        let noted = Arc::clone(&reactions);
        let reader = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                noted.extend(line.parse::<u64>());
            }
        });
        Ok(Self {
            process,
            reactions,
            reader: Some(reader),
        })
    }

    /// Nanoseconds that it has been on a CPU.
    fn cpu_ns(&self) -> Result<u64, Obstacle> {
        let path = format!("/proc/{}/schedstat", self.process.id());
        let text = fs::read_to_string(&path);
        text.and_then(|text| on_cpu_ns(&text)).map_err(|error| {
            Obstacle::new(
                format!("the CPU time of the monitor cannot be read: {path}: {error}"),
                "mount /proc, and have the kernel count it: sysctl kernel.task_delayacct=1",
            )
        })
    }

    fn resident_mb(&self) -> f64 {
        let bytes = host::resident_memory(self.process.id());
        bytes.map_or(f64::NAN, |bytes| bytes as f64 / 1e6)
    }

    /// Ends it, and gives the times of its reactions.
    ///
    /// # Errors
    /// It has ended by itself: what it should have done it did not do to the end of the
    /// block.
    fn end(mut self, bench: &PressureBench<'_>) -> Result<Vec<u64>, Obstacle> {
        let running = still_runs(&mut self.process);
        self.stop();
        bench.release()?;
        running?;
        let mut reactions = self
            .reactions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut reactions))
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The time on a CPU in a `schedstat` of a process that has run: there is none where the
/// kernel does not count it.
fn on_cpu_ns(text: &str) -> io::Result<u64> {
    let first = text.split_whitespace().next();
    first
        .and_then(|ns| ns.parse().ok())
        .filter(|ns| *ns > 0)
        .ok_or_else(|| io::Error::other("it does not begin with a time"))
}

fn still_runs(process: &mut Child) -> Result<(), Obstacle> {
    match process.try_wait().map_err(|error| broken(&error))? {
        None => Ok(()),
        Some(status) => Err(Obstacle::new(
            format!("the monitor of pressure ended amid a block: {status}"),
            "see what it says above",
        )),
    }
}

impl Drop for PressureMonitor {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Pages swapped in and out since the machine started.
fn swapped() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let counts = text.lines().filter_map(|line| {
        let (name, count) = line.split_once(' ')?;
        ["pswpin", "pswpout"]
            .contains(&name)
            .then(|| count.parse::<u64>().ok())?
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_time_that_the_kernel_does_not_count_is_none() {
        assert_eq!(on_cpu_ns("1500000 42 7\n").unwrap(), 1_500_000);
        for text in ["", "0 0 0\n", "words"] {
            assert!(on_cpu_ns(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_monitor_that_failed_is_no_monitor() {
        let mut fails = Command::new("false").spawn().unwrap();
        let begin = Instant::now();
        while still_runs(&mut fails).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(30));
            sleep(LOOK_EVERY);
        }
        let why = still_runs(&mut fails).unwrap_err().to_string();
        assert!(why.contains("ended amid a block"), "{why}");
        let mut runs = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(still_runs(&mut runs).is_ok());
        runs.kill().unwrap();
        runs.wait().unwrap();
    }
}
