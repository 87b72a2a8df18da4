//! A command that runs to its end with its system calls counted.

use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::agent::Relatives;
use crate::agent::calls::{CallCounter, CallCounts};
use crate::host::Obstacle;
use crate::process::{Ward, WardPlace};
use crate::schema::coverage::Kernel;

/// How long processes that outlive their command may take to end.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long it may run.
    pub time: Duration,
    /// How many processes may live at once.
    pub processes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            processes: 2000,
        }
    }
}

/// How a command came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// It was ended when its time was over.
    OutOfTime,
}

/// What commands run in, so that nothing of them outlives this process, however it ends.
pub struct Enclosure {
    place: WardPlace,
    _ward: Ward,
}

impl Enclosure {
    /// A fresh one. Where this process may make no cgroups, only the command itself dies
    /// with it.
    ///
    /// # Errors
    /// No directory or no process can be made.
    pub fn new() -> Result<Self, Obstacle> {
        let ward = Ward::new()?;
        let place = ward.place("watched");
        Ok(Self { place, _ward: ward })
    }

    /// Has `command` run in it. First of all that is asked of the command: a filter of its
    /// calls need not allow this.
    ///
    /// # Errors
    /// The cgroup takes no process.
    pub fn hold(&self, command: &mut Command) -> Result<(), Obstacle> {
        self.place.hold(command).map_err(|error| {
            Obstacle::new(
                format!("no cgroup holds the command: {error}"),
                "see that nothing else removes cgroups that begin with probecost-",
            )
        })
    }
}

/// A command that has run.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its calls and those of all that descend from it.
    pub counts: CallCounts,
    /// How many processes there were.
    pub relatives: Relatives,
    /// How it ended.
    pub ending: Ending,
    /// How many processes outlived it and were ended.
    pub survivors: u64,
}

impl Watched {
    /// Runs `command` under `calls` until it and all that descends from it have
    /// ended, or are made to.
    ///
    /// # Errors
    /// It cannot be started, has too many processes, or does not end.
    pub fn run(
        enclosure: &Enclosure,
        calls: &mut CallCounter,
        command: &mut Command,
        bounds: Bounds,
    ) -> Result<Self, Obstacle> {
        enclosure.hold(command)?;
        calls.enlist(command);
        let child = spawn(command)?;
        Self::wait(calls, child, bounds)
    }

    /// The same for a command that was enlisted and started.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn wait(
        calls: &mut CallCounter,
        mut child: Child,
        bounds: Bounds,
    ) -> Result<Self, Obstacle> {
        let ending = end_of(calls, &mut child, bounds)?;
        let survivors = bury(calls)?;
        let relatives = calls.relatives()?;
        if relatives.crowded() {
            return Err(Obstacle::new(
                format!(
                    "the command had more than {} processes at once and was stopped",
                    bounds.processes
                ),
                "allow it more with --processes",
            ));
        }
        Ok(Self {
            counts: calls.counts()?,
            relatives,
            ending,
            survivors,
        })
    }
}

/// Starts a command whose output goes where our messages go: standard output is
/// the report's.
///
/// # Errors
/// It cannot be started.
pub fn spawn(command: &mut Command) -> Result<Child, Obstacle> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| {
        Obstacle::new(
            format!("{name} cannot be started: {error}"),
            "name a program as the shell would find it",
        )
    };
    let output = std::io::stderr().as_fd().try_clone_to_owned();
    command.stdout(Stdio::from(output.map_err(failed)?));
    command.spawn().map_err(failed)
}

fn end_of(calls: &mut CallCounter, child: &mut Child, bounds: Bounds) -> Result<Ending, Obstacle> {
    let start = Instant::now();
    let lost = |error| {
        Obstacle::new(
            format!("the command was lost sight of: {error}"),
            "try again",
        )
    };
    loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(Ending::Exited(status));
        }
        let crowded = calls.relatives()?.crowded();
        if crowded || start.elapsed() > bounds.time {
            if !crowded {
                calls.terminate();
                // Where it is not known by the number that the kernel gave it first.
                let _ = kill_process(Pid::from_child(child), Signal::TERM);
                wait_for_none(calls, GRACE)?;
            }
            calls.kill()?;
            let _ = child.kill();
            child.wait().map_err(lost)?;
            return Ok(Ending::OutOfTime);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits for what the command left behind, then ends it. Gives how many there were.
fn bury(calls: &mut CallCounter) -> Result<u64, Obstacle> {
    if wait_for_none(calls, GRACE)? == 0 {
        return Ok(0);
    }
    let survivors = calls.relatives()?.alive;
    calls.terminate();
    if wait_for_none(calls, GRACE)? > 0 {
        calls.kill()?;
    }
    match wait_for_none(calls, GRACE)? {
        0 => Ok(survivors),
        left => Err(Obstacle::new(
            format!("{left} processes of the command cannot be killed"),
            "see what they wait for: ps -eo pid,stat,wchan,args",
        )),
    }
}

fn wait_for_none(calls: &CallCounter, patience: Duration) -> Result<u64, Obstacle> {
    let start = Instant::now();
    loop {
        let alive = calls.relatives()?.alive;
        if alive == 0 || start.elapsed() > patience {
            return Ok(alive);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The kernel's own count of the counter's runs, and what became of them.
///
/// # Errors
/// Neither can be read.
pub fn kernel_runs(calls: &CallCounter) -> Result<Kernel, Obstacle> {
    let runs = calls.kernel_runs()?;
    // After it: a run that is under way elsewhere is counted a moment later, and counted
    // before it would look like one that was missed.
    let counts = calls.counts()?;
    Ok(Kernel {
        runs,
        counted: counts.total() + counts.others,
    })
}

/// The name of the system call with this number.
pub fn name_of(nr: usize) -> String {
    syscalls::Sysno::new(nr).map_or_else(|| format!("number {nr}"), |call| call.name().to_owned())
}

/// What was not seen of a command, and why: a sentence each.
pub fn missed(watched: &Watched) -> Vec<String> {
    let counts = &watched.counts;
    let numbers = |nr: &usize| syscalls::Sysno::new(*nr).is_none() && counts.made[*nr] > 0;
    let without_a_name: u64 = (0..counts.made.len())
        .filter(numbers)
        .map(|nr| counts.made[nr])
        .sum();
    [
        (
            counts.foreign,
            "by the table of another architecture (a 32-bit program): counted, and not named",
        ),
        (
            counts.unknown + without_a_name,
            "by a number that has no name here",
        ),
    ]
    .into_iter()
    .filter(|&(calls, _)| calls > 0)
    .map(|(calls, why)| format!("{calls} calls {why}"))
    .chain(unwatched(watched))
    .collect()
}

/// What is to be said where processes were not watched.
pub fn unwatched(watched: &Watched) -> Option<String> {
    let processes = watched.relatives.unwatched;
    (processes > 0).then(|| {
        format!("the calls of {processes} processes for which the kernel's table had no room")
    })
}
