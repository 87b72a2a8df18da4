//! What processes read from and write to sockets, piece by piece: the kernel half of
//! the HTTP tracer. [`pipeline::http`](crate::pipeline::http) makes requests of it.

use std::ops::Add;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aya::maps::{Array, MapData, PerCpuArray};
use aya::programs::Program;
use aya::{Btf, Ebpf};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::consumer::{Consumer, PATIENCE, Sink};
use super::family::{self, Family};
use super::ladder::{self, Link, Rung};
use super::maps::map_failed;
use super::object;
use super::ring::Ring;
use super::scope::Hierarchy;
use super::settings::Options;
use crate::host::{self, Obstacle};

static OBJECT: &[u8] = aya::include_bytes_aligned!("bpf/http.bpf.o");

/// The tracepoint at which a process exits.
const EXIT: &str = "sched_process_exit";

/// More processes than a tracer ever stops.
const NO_LIMIT: u64 = u64::MAX;

/// How many bytes of a call are looked at, unless said otherwise: what servers read and
/// write at once, so that messages behind one another are all seen.
const CAPTURE: u32 = 16 << 10;

/// What became of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Bytes were read from it.
    In,
    /// Bytes were written to it.
    Out,
    /// The other end sends no more.
    Ended,
    /// A process closed it.
    Closed,
    /// A process ended, and with it what it had of every socket.
    Exited,
}

/// Bytes of one stream that one call moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// When the call returned, in nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// The socket: its inode, so that processes that share it share its stream; 0 where it is
    /// none in particular.
    pub socket: u64,
    /// The process.
    pub pid: u32,
    /// How many pieces, of any stream, had been lost before it for want of room; it wraps.
    pub lost: u32,
    /// What happened.
    pub kind: PieceKind,
    /// How many bytes went through.
    pub length: u64,
    /// The first of them; the rest went unseen.
    pub bytes: &'a [u8],
}

/// `struct head` of bpf/http.bpf.c.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct PieceHead {
    time: u64,
    socket: u64,
    pid: u32,
    lost: u32,
    length: u32,
    captured: u16,
    kind: u8,
    padding: u8,
}

impl<'a> Piece<'a> {
    /// Reads a record; none where it is not one.
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        let (head, bytes) = PieceHead::read_from_prefix(record).ok()?;
        Some(Self {
            time_ns: head.time,
            socket: head.socket,
            pid: head.pid,
            lost: head.lost,
            kind: match head.kind {
                0 => PieceKind::In,
                1 => PieceKind::Out,
                2 => PieceKind::Ended,
                3 => PieceKind::Closed,
                4 => PieceKind::Exited,
                _ => return None,
            },
            length: head.length.into(),
            bytes: bytes.get(..head.captured.into())?,
        })
    }
}

/// `struct scope`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct HttpScope {
    cgroup: u64,
    cgroup_level: u32,
    excluded: u32,
    wakeup_bytes: u32,
    capture: u32,
}

/// What the programs have counted (`struct traffic`). Always seen = submitted + failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C)]
pub struct Traffic {
    /// Pieces of streams.
    pub seen: u64,
    /// Handed to the ring.
    pub submitted: u64,
    /// Lost for want of room in the ring.
    pub failed: u64,
    /// Submitted without their bytes, which were not in memory.
    pub unreadable: u64,
    /// Calls of io_uring, which moves bytes without a call for each.
    pub uring: u64,
    /// Calls that are not followed: `recvmmsg`, `sendmmsg`.
    pub unread: u64,
}

// SAFETY: integers only, and no padding between them.
unsafe impl aya::Pod for HttpScope {}
// SAFETY: integers only, and no padding between them.
unsafe impl aya::Pod for Traffic {}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            submitted: self.submitted + other.submitted,
            failed: self.failed + other.failed,
            unreadable: self.unreadable + other.unreadable,
            uring: self.uring + other.uring,
            unread: self.unread + other.unread,
        }
    }
}

/// Hooks on the calls that move bytes. Gone when dropped.
pub struct HttpHook {
    family: Family,
    scope: Array<MapData, HttpScope>,
    settings: HttpScope,
    traffic: PerCpuArray<MapData, Traffic>,
    consumer: Consumer,
    links: Vec<Link>,
    ebpf: Ebpf,
}

impl HttpHook {
    /// Loads it, watching nobody and attached to nothing. Of the options, scope,
    /// sample rate and rung mean nothing here.
    ///
    /// # Errors
    /// The kernel publishes no BTF, or does not take the programs.
    pub fn start(options: &Options, sink: impl Sink) -> Result<Self, Obstacle> {
        host::btf()?;
        let btf = ladder::kernel_types();
        let mut ebpf = object::with_ring(OBJECT, btf.as_ref(), options.ring_bytes)?;
        let family = Family::take(&mut ebpf, NO_LIMIT)?;
        let scope = object::take_map(&mut ebpf, "SCOPE")?;
        let traffic = object::take_map(&mut ebpf, "TRAFFIC")?;
        let ring = Ring::new(object::take_map(&mut ebpf, "RING")?).map_err(map_failed)?;
        let consumer = Consumer::spawn(ring, options, sink)?;
        let settings = HttpScope {
            excluded: consumer.tid(),
            wakeup_bytes: options.wakeup_bytes(),
            capture: CAPTURE,
            ..HttpScope::default()
        };
        let btf = btf.as_ref();
        let entry = ladder::program(&mut ebpf, "http_enter")
            .and_then(|program| ladder::load_one(program, Rung::TpBtfSysEnter, btf));
        entry.map_err(does_not_hold)?;
        load_exit(&mut ebpf, btf).map_err(does_not_hold)?;
        family::load_raw(&mut ebpf, "exited", EXIT).map_err(does_not_hold)?;
        Family::load(&mut ebpf).map_err(does_not_hold)?;
        let mut hook = Self {
            family,
            scope: scope.try_into().map_err(map_failed)?,
            settings,
            traffic: traffic.try_into().map_err(map_failed)?,
            consumer,
            links: Vec::new(),
            ebpf,
        };
        hook.write()?;
        Ok(hook)
    }

    /// Watches a process, by its number in the kernel's first namespace, and all that
    /// descends from it: what it has started, and what it starts while this is
    /// attached. Called before it is, what is started in between goes unseen.
    ///
    /// # Errors
    /// The kernel's table has no room, or this runs in a PID namespace of its own, where
    /// processes have other numbers.
    pub fn watch(&mut self, pid: u32) -> Result<(), Obstacle> {
        self.family.watch(pid)?;
        children(pid).try_for_each(|child| self.watch(child))
    }

    /// Watches the processes of this cgroup (v2) and those below it, and no others; not this
    /// process, which may send elsewhere what it has seen.
    ///
    /// # Errors
    /// It is no cgroup.
    pub fn watch_cgroup(&mut self, path: &Path) -> Result<(), Obstacle> {
        (self.settings.cgroup, self.settings.cgroup_level) = Hierarchy::explore()?.place(path)?;
        let _listening = match self.is_attached() {
            true => None,
            false => Some(self.hook("http_enter")?),
        };
        self.settings.excluded = self.family.own_number()?;
        self.write()
    }

    /// Says how many bytes of a call are looked at (about 64 KiB are the most); the
    /// others are counted. What is looked at is copied, bodies among it.
    ///
    /// # Errors
    /// The map cannot be reached.
    pub fn set_capture(&mut self, bytes: u32) -> Result<(), Obstacle> {
        self.settings.capture = bytes;
        self.write()
    }

    /// Lets `command` be watched from its `execve` on, if this is attached when it is
    /// spawned.
    pub fn enlist(&self, command: &mut Command) {
        self.family.enlist(command);
    }

    /// Hooks the calls. Nothing to do if they are hooked.
    ///
    /// # Errors
    /// The kernel attaches no program.
    pub fn attach(&mut self) -> Result<(), Obstacle> {
        if self.links.is_empty() {
            // Before what forgets a process when it exits.
            let exit = family::attach_raw(&mut self.ebpf, "exited", EXIT);
            let mut links = vec![exit.map_err(does_not_hold)?];
            links.extend(Family::attach(&mut self.ebpf).map_err(does_not_hold)?);
            for name in ["http_exit", "http_enter"] {
                links.push(self.hook(name)?);
            }
            self.links = links;
        }
        Ok(())
    }

    fn hook(&mut self, name: &str) -> Result<Link, Obstacle> {
        ladder::program(&mut self.ebpf, name)
            .and_then(|program| ladder::attach_one(program, Rung::TpBtfSysEnter))
            .map_err(does_not_hold)
    }

    /// Takes every hook away. Who is watched stays.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Whether the calls are hooked.
    pub fn is_attached(&self) -> bool {
        !self.links.is_empty()
    }

    /// The counts so far.
    pub fn traffic(&self) -> Result<Traffic, Obstacle> {
        let per_cpu = self.traffic.get(&0, 0).map_err(map_failed)?;
        Ok(per_cpu
            .iter()
            .fold(Traffic::default(), |sum, &cpu| sum + cpu))
    }

    /// Processes that were to be watched and for which the kernel's table had no room.
    pub fn unwatched(&self) -> Result<u64, Obstacle> {
        Ok(self.family.relatives()?.unwatched)
    }

    /// Waits until every piece submitted so far has reached the sink.
    ///
    /// # Errors
    /// The consumer stalls.
    pub fn drain(&self) -> Result<Traffic, Obstacle> {
        let traffic = self.traffic()?;
        self.consumer.wait_for(traffic.submitted, PATIENCE)?;
        Ok(traffic)
    }

    /// The CPU time that the consumer thread has used.
    pub fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        self.consumer.cpu_time()
    }

    fn write(&mut self) -> Result<(), Obstacle> {
        self.scope.set(0, self.settings, 0).map_err(map_failed)
    }
}

fn children(pid: u32) -> impl Iterator<Item = u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let lists = threads
        .flatten()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| {
        let children = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        children.collect::<Vec<_>>()
    })
}

fn load_exit(ebpf: &mut Ebpf, btf: Option<&Btf>) -> Result<(), String> {
    let btf = btf.ok_or("the kernel publishes no BTF")?;
    match ladder::program(ebpf, "http_exit")? {
        Program::BtfTracePoint(program) => program
            .load("sys_exit", btf)
            .map_err(|error| format!("tp_btf/sys_exit: {}", ladder::brief(&error))),
        _ => Err("http_exit is no typed tracepoint".into()),
    }
}

fn does_not_hold(error: String) -> Obstacle {
    Obstacle::new(
        format!("reads and writes cannot be hooked here: {error}"),
        "run as root, or with CAP_BPF and CAP_PERFMON, on a kernel with BTF",
    )
}
