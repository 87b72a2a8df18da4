//! System calls counted in the kernel, by number: those of a command, all its
//! threads and all that descends from it, from its `execve` on.

use std::process::Command;

use aya::maps::{MapData, PerCpuArray};
use aya::{Ebpf, EbpfLoader};

use super::climb::Tried;
use super::family::{self, Family, Relatives};
use super::ladder::{self, Link, Rung};
use super::maps::map_failed;
use super::object;
use crate::host::{self, Obstacle};

static OBJECT: &[u8] = aya::include_bytes_aligned!("bpf/calls.bpf.o");

/// How many numbers are told apart.
pub const NUMBERS: usize = 512;

/// `struct calls` of bpf/calls.bpf.c, one a CPU.
#[derive(Clone, Copy)]
#[repr(C)]
struct RawCalls {
    made: [u64; NUMBERS],
    first: [u64; NUMBERS],
    killed: [u64; NUMBERS],
    foreign: u64,
    unknown: u64,
    others: u64,
    killed_foreign: u64,
    killed_unknown: u64,
}

// SAFETY: integers only, and no padding between them.
unsafe impl aya::Pod for RawCalls {}

/// What was counted, by system call number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls made.
    pub made: [u64; NUMBERS],
    /// When the first of each was made, in nanoseconds of the monotonic clock; 0
    /// where none was.
    pub first_ns: [u64; NUMBERS],
    /// Calls that a seccomp filter answered with a deadly signal. They never begin,
    /// so they are not among those made.
    pub killed: [u64; NUMBERS],
    /// Calls by the table of another architecture (32-bit programs).
    pub foreign: u64,
    /// Calls by a number that is in no table.
    pub unknown: u64,
    /// Calls of everybody else, and of watched processes before their `execve`.
    pub others: u64,
    /// As `killed`, by the table of another architecture.
    pub killed_foreign: u64,
    /// As `killed`, by a number that is in no table.
    pub killed_unknown: u64,
}

impl CallCounts {
    /// Calls of the watched processes, whatever their number.
    pub fn total(&self) -> u64 {
        self.made.iter().sum::<u64>() + self.foreign + self.unknown
    }
}

/// A counter at the entry of every system call. Gone when dropped.
pub struct CallCounter {
    counts: PerCpuArray<MapData, RawCalls>,
    family: Family,
    rung: Rung,
    tried: Vec<Tried>,
    links: Vec<Link>,
    ebpf: Ebpf,
}

impl CallCounter {
    /// Loads and attaches it. Where more than `most` watched processes live at once,
    /// all of them are killed.
    ///
    /// # Errors
    /// The kernel publishes no BTF, or does not take the programs.
    pub fn start(most: u64) -> Result<Self, Obstacle> {
        host::btf()?;
        let btf = ladder::kernel_types();
        let mut ebpf = EbpfLoader::new()
            .btf(btf.as_ref())
            .load(OBJECT)
            .map_err(object::failed)?;
        let family = Family::take(&mut ebpf, most)?;
        let counts = object::take_map(&mut ebpf, "CALLS")?;
        let mut tried = Vec::new();
        let mut load = |ebpf: &mut Ebpf| {
            for rung in [Rung::TpBtfSysEnter, Rung::RawTpSysEnter] {
                let loaded = ladder::program(ebpf, program(rung))
                    .and_then(|program| ladder::load_one(program, rung, btf.as_ref()));
                match loaded {
                    Ok(()) => return Ok(rung),
                    Err(error) => tried.push(Tried { rung, error }),
                }
            }
            Err(Obstacle::new(
                "no hook on system calls holds here",
                "run as root, or with CAP_BPF and CAP_PERFMON",
            ))
        };
        let rung = load(&mut ebpf)?;
        let mut calls = Self {
            counts: counts.try_into().map_err(map_failed)?,
            family,
            rung,
            tried,
            links: Vec::new(),
            ebpf,
        };
        Family::load(&mut calls.ebpf).map_err(does_not_hold)?;
        family::load_raw(&mut calls.ebpf, "killed", "signal_generate").map_err(does_not_hold)?;
        calls.attach()?;
        Ok(calls)
    }

    /// Hooks the calls again. Nothing to do if they are hooked.
    ///
    /// # Errors
    /// The kernel attaches no program.
    pub fn attach(&mut self) -> Result<(), Obstacle> {
        if self.links.is_empty() {
            let mut links = Family::attach(&mut self.ebpf).map_err(does_not_hold)?;
            let killed = family::attach_raw(&mut self.ebpf, "killed", "signal_generate");
            links.push(killed.map_err(does_not_hold)?);
            let entry = ladder::program(&mut self.ebpf, program(self.rung))
                .and_then(|program| ladder::attach_one(program, self.rung));
            links.push(entry.map_err(does_not_hold)?);
            self.links = links;
        }
        Ok(())
    }

    /// How the calls are hooked.
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// The better ways that did not hold.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// Lets `command` be watched from its `execve` on, that call included, when it
    /// is spawned.
    pub fn enlist(&self, command: &mut Command) {
        self.family.enlist(command);
    }

    /// The counts so far.
    pub fn counts(&self) -> Result<CallCounts, Obstacle> {
        let per_cpu = self.counts.get(&0, 0).map_err(map_failed)?;
        let mut sum = CallCounts {
            made: [0; NUMBERS],
            first_ns: [0; NUMBERS],
            killed: [0; NUMBERS],
            foreign: 0,
            unknown: 0,
            others: 0,
            killed_foreign: 0,
            killed_unknown: 0,
        };
        for cpu in per_cpu.iter() {
            for nr in 0..NUMBERS {
                sum.made[nr] += cpu.made[nr];
                sum.killed[nr] += cpu.killed[nr];
                let first = [sum.first_ns[nr], cpu.first[nr]];
                sum.first_ns[nr] = first.into_iter().filter(|&ns| ns > 0).min().unwrap_or(0);
            }
            sum.foreign += cpu.foreign;
            sum.unknown += cpu.unknown;
            sum.others += cpu.others;
            sum.killed_foreign += cpu.killed_foreign;
            sum.killed_unknown += cpu.killed_unknown;
        }
        Ok(sum)
    }

    /// The processes watched.
    pub fn relatives(&self) -> Result<Relatives, Obstacle> {
        self.family.relatives()
    }

    /// Asks every watched process to end; in a PID namespace of its own nobody is reached.
    pub fn terminate(&self) {
        self.family.signal(rustix::process::Signal::TERM);
    }

    /// Kills every watched process, and each that it has yet to start.
    pub fn kill(&mut self) -> Result<(), Obstacle> {
        self.family.kill()
    }

    /// Takes every hook away. The counts stay.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Lets the kernel count runs of programs until the guard is dropped: of every
    /// run where it is called before the start.
    pub fn count_kernel_runs() -> Result<impl Drop, Obstacle> {
        aya::sys::enable_stats(aya::sys::Stats::RunTime).map_err(|error| {
            Obstacle::new(
                format!("the kernel does not count runs of programs: {error}"),
                "run as root, or with CAP_SYS_ADMIN",
            )
        })
    }

    /// How often the kernel ran the program at the entry of system calls while it
    /// counted runs.
    pub fn kernel_runs(&self) -> Result<u64, Obstacle> {
        let name = program(self.rung);
        let program = self.ebpf.program(name).ok_or_else(|| object::lacks(name))?;
        let info = program
            .info()
            .map_err(|error| Obstacle::new(format!("{name}: {error}"), "run as root"))?;
        Ok(info.run_count())
    }
}

fn program(rung: Rung) -> &'static str {
    match rung {
        Rung::TpBtfSysEnter => "calls_tp_btf",
        _ => "calls_raw_tp",
    }
}

fn does_not_hold(error: String) -> Obstacle {
    Obstacle::new(
        format!("system calls cannot be counted here: {error}"),
        "run as root, or with CAP_BPF and CAP_PERFMON",
    )
}
