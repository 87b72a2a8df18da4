//! Ways to hook an operation, tried best first, each proven before it is trusted.

use std::fs::File;
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;

use aya::programs::{CgroupAttachMode, Program, ProgramError};
use aya::{Btf, Ebpf};
use serde::{Deserialize, Serialize};

use super::record::{Record, Target};
use super::ring::Ring;
use crate::host;

/// One way to hook an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rung {
    /// The LSM hook that every open passes, with the resolved file.
    #[serde(rename = "lsm/file_open")]
    LsmFileOpen,
    /// The typed tracepoint at the entry of every system call. Reading the
    /// caller's name and cgroup off the task makes its events cheaper than
    /// those of the raw tracepoint.
    #[serde(rename = "tp_btf/sys_enter")]
    TpBtfSysEnter,
    /// The raw tracepoint at the entry of every system call; needs no BTF.
    #[serde(rename = "raw_tp/sys_enter")]
    RawTpSysEnter,
    /// The classic tracepoint of `openat` alone; needs a mounted tracefs.
    #[serde(rename = "tracepoint/syscalls/sys_enter_openat")]
    TracepointOpenat,
    /// The LSM hook that every connect passes.
    #[serde(rename = "lsm/socket_connect")]
    LsmSocketConnect,
    /// The cgroup (v2) hooks for IPv4 and IPv6 connects.
    #[serde(rename = "cgroup/connect4+connect6")]
    CgroupConnect,
}

impl Rung {
    const OPEN: [Self; 4] = [
        Self::LsmFileOpen,
        Self::TpBtfSysEnter,
        Self::RawTpSysEnter,
        Self::TracepointOpenat,
    ];
    const CONNECT: [Self; 2] = [Self::LsmSocketConnect, Self::CgroupConnect];

    /// The name under which the kernel's own documents know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LsmFileOpen => "lsm/file_open",
            Self::TpBtfSysEnter => "tp_btf/sys_enter",
            Self::RawTpSysEnter => "raw_tp/sys_enter",
            Self::TracepointOpenat => "tracepoint/syscalls/sys_enter_openat",
            Self::LsmSocketConnect => "lsm/socket_connect",
            Self::CgroupConnect => "cgroup/connect4+connect6",
        }
    }

    /// Whether the hook runs at every system call of every thread.
    pub fn taxes_every_call(self) -> bool {
        matches!(self, Self::TpBtfSysEnter | Self::RawTpSysEnter)
    }

    /// Whether the hook sees the inode behind a path.
    pub fn sees_inodes(self) -> bool {
        self == Self::LsmFileOpen
    }

    /// The names of its programs in the object.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::LsmFileOpen => &["open_lsm"],
            Self::TpBtfSysEnter => &["open_tp_btf"],
            Self::RawTpSysEnter => &["open_raw_tp"],
            Self::TracepointOpenat => &["open_tracepoint"],
            Self::LsmSocketConnect => &["connect_lsm"],
            Self::CgroupConnect => &["connect_cgroup4", "connect_cgroup6"],
        }
    }
}

impl std::str::FromStr for Rung {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = || Self::OPEN.into_iter().chain(Self::CONNECT);
        all().find(|rung| rung.name() == text).ok_or_else(|| {
            let names: Vec<_> = all().map(Self::name).collect();
            format!("no rung is called so; there are {}", names.join(", "))
        })
    }
}

/// The operations that the agent hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opening a file.
    Open,
    /// Connecting a socket.
    Connect,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Open, Self::Connect];

    /// The ways to hook it, best first.
    pub fn rungs(self) -> &'static [Rung] {
        match self {
            Self::Open => &Rung::OPEN,
            Self::Connect => &Rung::CONNECT,
        }
    }
}

/// A rung that did not hold, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The rung.
    pub rung: Rung,
    /// Why it did not hold: one line.
    pub error: String,
}

/// What climbing the ladder of one operation came to.
#[derive(Debug, Clone, Serialize)]
pub struct Hook {
    /// The rung taken; none where all failed.
    pub rung: Option<Rung>,
    /// Those that failed before it.
    pub tried: Vec<Tried>,
}

impl Hook {
    /// All failures in one sentence.
    pub fn failures(&self) -> String {
        self.tried
            .iter()
            .map(|tried| format!("{}: {}", tried.rung.name(), tried.error))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Something that stays hooked until it is dropped.
pub(super) type Link = Box<dyn Send + Sync>;

/// The kernel's types, if it publishes them.
pub(super) fn kernel_types() -> Option<Btf> {
    Btf::from_sys_fs().ok()
}

/// Loads the programs of `rung`.
pub(super) fn load(ebpf: &mut Ebpf, rung: Rung, btf: Option<&Btf>) -> Result<(), String> {
    for name in rung.programs() {
        load_one(program(ebpf, name)?, rung, btf)?;
    }
    Ok(())
}

fn load_one(program: &mut Program, rung: Rung, btf: Option<&Btf>) -> Result<(), String> {
    let typed = || btf.ok_or("the kernel publishes no BTF (/sys/kernel/btf/vmlinux)".to_string());
    let done = match program {
        Program::Lsm(p) if rung == Rung::LsmFileOpen => p.load("file_open", typed()?),
        Program::Lsm(p) => p.load("socket_connect", typed()?),
        Program::BtfTracePoint(p) => p.load("sys_enter", typed()?),
        Program::RawTracePoint(p) => p.load(),
        Program::TracePoint(p) => p.load(),
        Program::CgroupSockAddr(p) => p.load(),
        other => return Err(format!("no way to load a {:?}", other.prog_type())),
    };
    done.map_err(|error| format!("load: {}", brief(&error)))
}

/// Hooks the loaded programs of `rung`.
pub(super) fn attach(ebpf: &mut Ebpf, rung: Rung) -> Result<Vec<Link>, String> {
    let mut links = Vec::new();
    for name in rung.programs() {
        let link =
            attach_one(program(ebpf, name)?, rung).map_err(|error| format!("attach: {error}"))?;
        links.push(link);
    }
    Ok(links)
}

fn attach_one(program: &mut Program, rung: Rung) -> Result<Link, String> {
    let brief = |error: ProgramError| brief(&error);
    Ok(match program {
        Program::Lsm(p) => {
            let id = p.attach().map_err(brief)?;
            Box::new(p.take_link(id).map_err(brief)?)
        }
        Program::BtfTracePoint(p) => {
            let id = p.attach().map_err(brief)?;
            Box::new(p.take_link(id).map_err(brief)?)
        }
        Program::RawTracePoint(p) => {
            let id = p.attach("sys_enter").map_err(brief)?;
            Box::new(p.take_link(id).map_err(brief)?)
        }
        Program::TracePoint(p) => {
            host::tracefs_mount().map_err(|missing| missing.to_string())?;
            let id = p.attach("syscalls", "sys_enter_openat").map_err(brief)?;
            Box::new(p.take_link(id).map_err(brief)?)
        }
        Program::CgroupSockAddr(p) => {
            let root = host::cgroup2_mount().map_err(|missing| missing.to_string())?;
            let root = File::open(&root).map_err(|error| format!("{}: {error}", root.display()))?;
            // No flag: a link to a cgroup always stands beside others.
            let id = p.attach(root, CgroupAttachMode::Single).map_err(brief)?;
            Box::new(p.take_link(id).map_err(brief)?)
        }
        other => {
            return Err(format!(
                "no way to attach a {:?} as {}",
                other.prog_type(),
                rung.name()
            ));
        }
    })
}

/// Loads and hooks the program with a known cost.
pub(super) fn attach_spin(ebpf: &mut Ebpf) -> Result<Link, String> {
    let program = program(ebpf, "spin")?;
    if let Program::RawTracePoint(p) = &mut *program {
        p.load()
            .map_err(|error| format!("load: {}", brief(&error)))?;
    }
    attach_one(program, Rung::RawTpSysEnter)
}

/// Loads the program that submits records in any number.
pub(super) fn load_generator(ebpf: &mut Ebpf, btf: Option<&Btf>) -> Result<(), String> {
    load_one(program(ebpf, "load")?, Rung::TpBtfSysEnter, btf)
}

/// Hooks it.
pub(super) fn attach_generator(ebpf: &mut Ebpf) -> Result<Link, String> {
    attach_one(program(ebpf, "load")?, Rung::TpBtfSysEnter)
}

/// The program called `name`.
pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program, String> {
    ebpf.program_mut(name).ok_or_else(|| {
        format!("the object holds no program {name}; rebuild it with tools/build-bpf")
    })
}

/// Does the operation once, in a way that cannot be mistaken for another's, and
/// looks for exactly one record of it in the ring. Gives this process' id as
/// the kernel knows it, which inside a PID namespace is not the one that
/// `getpid` gives.
pub(super) fn prove(operation: Operation, ring: &mut Ring) -> Result<u32, String> {
    ring.read(u64::MAX, |_| ());
    let mark =
        Mark::make(operation).map_err(|error| format!("the proof could not run: {error}"))?;
    let mut pids = Vec::new();
    ring.read(u64::MAX, |bytes| {
        if let Ok(record) = Record::decode(bytes)
            && mark.is_on(&record)
        {
            pids.push(record.pid());
        }
    });
    match pids[..] {
        [pid] => Ok(pid),
        [] => Err("attached, but one operation gave no event".into()),
        _ => Err(format!(
            "attached, but one operation gave {} events",
            pids.len()
        )),
    }
}

/// What tells the proof's own operation from any other.
enum Mark {
    FileName(std::ffi::OsString),
    Port(u16),
}

impl Mark {
    /// Does the operation.
    fn make(operation: Operation) -> std::io::Result<Self> {
        Ok(match operation {
            Operation::Open => {
                let file = tempfile::NamedTempFile::with_prefix("probecost-proof-")?;
                // The file's own creation was an event, too, so it is opened
                // under another name.
                let linked = file.path().with_extension("linked");
                std::fs::hard_link(file.path(), &linked)?;
                let opened = File::open(&linked);
                std::fs::remove_file(&linked)?;
                opened?;
                Self::FileName(linked.file_name().unwrap_or_default().to_owned())
            }
            Operation::Connect => {
                let server = UdpSocket::bind("127.0.0.1:0")?;
                UdpSocket::bind("127.0.0.1:0")?.connect(server.local_addr()?)?;
                Self::Port(server.local_addr()?.port())
            }
        })
    }

    fn is_on(&self, record: &Record) -> bool {
        match (self, record.target) {
            (Self::FileName(name), Target::Path(path)) => path.ends_with(name.as_bytes()),
            (Self::Port(port), Target::Address(address)) => address.port() == *port,
            _ => false,
        }
    }
}

/// The cause of a failure without the verifier's whole log: the system's error
/// and the log's last line.
pub(super) fn brief(error: &ProgramError) -> String {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    else {
        return chain(error);
    };
    let log = verifier_log.to_string();
    let said = log
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !line.starts_with("processed "));
    match said {
        Some(line) => format!("{io_error} ({line})"),
        None => io_error.to_string(),
    }
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
