//! The processes that a program watches (bpf/follow.h): those named, and all that
//! descend from them.

use std::os::unix::process::CommandExt;
use std::process::Command;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData};
use aya::programs::{Program, ProgramError, RawTracePoint};

use super::ladder::{self, Link};
use super::maps::map_failed;
use super::object;
use crate::host::{Obstacle, in_first_pid_namespace};

/// The programs that follow births and deaths, and their tracepoints.
const FOLLOWERS: [(&str, &str); 2] = [
    ("born", "sched_process_fork"),
    ("gone", "sched_process_exit"),
];

/// `NAMED` of bpf/follow.h.
const NAMED: u32 = 3;
/// `BPF_NOEXIST` of the kernel: what is in the table stays as it is.
const NOEXIST: u64 = 1;

/// The watched processes of one object.
pub(crate) struct Family {
    processes: HashMap<MapData, u32, u32>,
    orders: Array<MapData, Orders>,
    relatives: Array<MapData, Relatives>,
    token: u64,
    limit: u64,
}

/// `struct orders`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Orders {
    token: u64,
    limit: u64,
    stopping: u64,
}

/// How many processes were watched, those named aside (`struct family`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Relatives {
    /// That run at this moment.
    pub alive: u64,
    /// In all.
    pub born: u64,
    /// Children that the table had no room for.
    pub unwatched: u64,
    /// Not 0 where there were more at once than allowed; all were stopped.
    crowded: u64,
}

// SAFETY: integers only, and no padding between them.
unsafe impl aya::Pod for Orders {}
// SAFETY: integers only, and no padding between them.
unsafe impl aya::Pod for Relatives {}

impl Relatives {
    /// Whether there were more at once than allowed; all were stopped then.
    pub fn crowded(&self) -> bool {
        self.crowded != 0
    }
}

impl Family {
    /// Takes the maps. Where more than `limit` processes live at once, all are
    /// stopped.
    pub(crate) fn take(ebpf: &mut Ebpf, limit: u64) -> Result<Self, Obstacle> {
        let mut take = |name| object::take_map(ebpf, name);
        let mut family = Self {
            processes: take("PROCESSES")?.try_into().map_err(map_failed)?,
            orders: take("ORDERS")?.try_into().map_err(map_failed)?,
            relatives: take("FAMILY")?.try_into().map_err(map_failed)?,
            token: fastrand::u64(1..),
            limit,
        };
        family.order(false)?;
        Ok(family)
    }

    /// Loads what follows births and deaths.
    pub(crate) fn load(ebpf: &mut Ebpf) -> Result<(), String> {
        FOLLOWERS
            .into_iter()
            .try_for_each(|(program, tracepoint)| load_raw(ebpf, program, tracepoint))
    }

    /// Hooks it.
    pub(crate) fn attach(ebpf: &mut Ebpf) -> Result<Vec<Link>, String> {
        FOLLOWERS
            .into_iter()
            .map(|(program, tracepoint)| attach_raw(ebpf, program, tracepoint))
            .collect()
    }

    /// Lets `command` be watched from its `execve` on, that call included. The
    /// programs must be attached when it is spawned.
    pub(crate) fn enlist(&self, command: &mut Command) {
        let token = self.token;
        // SAFETY: it allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(move || {
                ask_to_be_watched(token);
                Ok(())
            });
        }
    }

    /// The number of this process in the kernel's first namespace, which `getpid` does not
    /// give everywhere: it asks to be watched and looks under which number it is, before that
    /// comes to anything. Whatever hears it must be attached.
    ///
    /// # Errors
    /// The kernel's table has no room, or this process is watched already.
    pub(crate) fn own_number(&mut self) -> Result<u32, Obstacle> {
        let before = self.relatives()?;
        let known: Vec<u32> = self.processes.keys().filter_map(Result::ok).collect();
        ask_to_be_watched(self.token);
        let own = self
            .processes
            .keys()
            .filter_map(Result::ok)
            .find(|pid| !known.contains(pid));
        let own = own.ok_or_else(|| {
            Obstacle::new(
                "the kernel does not say by which number it knows this process",
                "watch either a cgroup or this process, by a tracer each",
            )
        })?;
        self.processes.remove(&own).map_err(map_failed)?;
        self.relatives.set(0, before, 0).map_err(map_failed)?;
        Ok(own)
    }

    /// Watches a process that runs, named as the kernel's first namespace does, and
    /// all that it starts from now on.
    ///
    /// # Errors
    /// The kernel's table has no room, or numbers mean something else here.
    pub(crate) fn watch(&mut self, pid: u32) -> Result<(), Obstacle> {
        if !in_first_pid_namespace() {
            return Err(Obstacle::new(
                format!("process {pid} has another number in the kernel's first PID namespace"),
                "start this outside of the container, or name no number: --cgroup DIR, or \
                 -- COMMAND",
            ));
        }
        match self.processes.insert(pid, NAMED, NOEXIST) {
            // Whoever is in the table already, perhaps since this moment by its birth, is
            // counted, or named before.
            Err(_) if self.processes.get(&pid, 0).is_ok() => Ok(()),
            inserted => inserted.map_err(map_failed),
        }
    }

    pub(crate) fn relatives(&self) -> Result<Relatives, Obstacle> {
        self.relatives.get(&0, 0).map_err(map_failed)
    }

    /// Kills every process that is watched: those that call the kernel by the
    /// program at their next call, so that none escapes by having children, and
    /// those that do not by a signal, as far as [`Self::signal`] reaches.
    pub(crate) fn kill(&mut self) -> Result<(), Obstacle> {
        self.order(true)?;
        self.signal(rustix::process::Signal::KILL);
        Ok(())
    }

    /// Sends every watched process a signal; none in a PID namespace of its own, where the
    /// kernel's numbers are those of others.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        if !in_first_pid_namespace() {
            return;
        }
        for pid in self.processes.keys().filter_map(Result::ok) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
                // It may have ended since.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }

    fn order(&mut self, stopping: bool) -> Result<(), Obstacle> {
        let orders = Orders {
            token: self.token,
            limit: self.limit,
            stopping: stopping.into(),
        };
        self.orders.set(0, orders, 0).map_err(map_failed)
    }
}

fn ask_to_be_watched(token: u64) {
    // SAFETY: one system call that takes no pointer and cannot fail.
    unsafe {
        libc::syscall(libc::SYS_getppid, token);
    }
}

/// Loads the program of a raw tracepoint.
pub(crate) fn load_raw(ebpf: &mut Ebpf, program: &str, tracepoint: &str) -> Result<(), String> {
    raw(ebpf, program)?
        .load()
        .map_err(|error| refused(tracepoint, &error))
}

/// Hooks it.
pub(crate) fn attach_raw(ebpf: &mut Ebpf, program: &str, tracepoint: &str) -> Result<Link, String> {
    let failed = |error: ProgramError| refused(tracepoint, &error);
    let program = raw(ebpf, program)?;
    let id = program.attach(tracepoint).map_err(failed)?;
    Ok(Box::new(program.take_link(id).map_err(failed)?))
}

fn raw<'a>(ebpf: &'a mut Ebpf, program: &str) -> Result<&'a mut RawTracePoint, String> {
    match ladder::program(ebpf, program)? {
        Program::RawTracePoint(program) => Ok(program),
        _ => Err(format!("{program} is no raw tracepoint")),
    }
}

fn refused(tracepoint: &str, error: &ProgramError) -> String {
    format!("raw_tp/{tracepoint}: {}", ladder::brief(error))
}
