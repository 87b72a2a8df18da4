//! Ways to hook an operation, best first.

use std::fs::File;

use aya::programs::{CgroupAttachMode, Program, ProgramError};
use aya::{Btf, Ebpf};
use serde::{Deserialize, Serialize};

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
    /// The LSM hook that every program passes before it runs, with the resolved file:
    /// it sees attempts, and the name of whoever makes them.
    #[serde(rename = "lsm/bprm_check_security")]
    LsmBprmCheckSecurity,
    /// The typed tracepoint of programs that run from now on.
    #[serde(rename = "tp_btf/sched_process_exec")]
    TpBtfSchedProcessExec,
    /// Its raw tracepoint.
    #[serde(rename = "raw_tp/sched_process_exec")]
    RawTpSchedProcessExec,
}

impl Rung {
    const OPEN: [Self; 4] = [
        Self::LsmFileOpen,
        Self::TpBtfSysEnter,
        Self::RawTpSysEnter,
        Self::TracepointOpenat,
    ];
    const CONNECT: [Self; 2] = [Self::LsmSocketConnect, Self::CgroupConnect];
    const EXEC: [Self; 3] = [
        Self::LsmBprmCheckSecurity,
        Self::TpBtfSchedProcessExec,
        Self::RawTpSchedProcessExec,
    ];

    /// The name under which the kernel's own documents know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LsmFileOpen => "lsm/file_open",
            Self::TpBtfSysEnter => "tp_btf/sys_enter",
            Self::RawTpSysEnter => "raw_tp/sys_enter",
            Self::TracepointOpenat => "tracepoint/syscalls/sys_enter_openat",
            Self::LsmSocketConnect => "lsm/socket_connect",
            Self::CgroupConnect => "cgroup/connect4+connect6",
            Self::LsmBprmCheckSecurity => "lsm/bprm_check_security",
            Self::TpBtfSchedProcessExec => "tp_btf/sched_process_exec",
            Self::RawTpSchedProcessExec => "raw_tp/sched_process_exec",
        }
    }

    /// Whether the hook sees the inode behind a path.
    pub fn sees_inodes(self) -> bool {
        self == Self::LsmFileOpen
    }

    /// The names of its programs in the object.
    pub(crate) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::LsmFileOpen => &["open_lsm"],
            Self::TpBtfSysEnter => &["open_tp_btf"],
            Self::RawTpSysEnter => &["open_raw_tp"],
            Self::TracepointOpenat => &["open_tracepoint"],
            Self::LsmSocketConnect => &["connect_lsm"],
            Self::CgroupConnect => &["connect_cgroup4", "connect_cgroup6"],
            Self::LsmBprmCheckSecurity => &["exec_lsm"],
            Self::TpBtfSchedProcessExec => &["exec_tp_btf"],
            Self::RawTpSchedProcessExec => &["exec_raw_tp"],
        }
    }

    /// What it hooks in the kernel: the name behind the slash.
    fn place(self) -> &'static str {
        self.name().rsplit('/').next().unwrap_or_default()
    }

    /// Whether it reads what only the kernel's types say the place of, though it is loaded
    /// without them.
    fn follows_kernel_types(self) -> bool {
        self == Self::RawTpSchedProcessExec
    }
}

impl std::str::FromStr for Rung {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = || Operation::ALL.into_iter().flat_map(|o| o.rungs()).copied();
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
    /// Running a program.
    Exec,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Connect, Self::Exec];

    /// The ways to hook it, best first.
    pub fn rungs(self) -> &'static [Rung] {
        match self {
            Self::Open => &Rung::OPEN,
            Self::Connect => &Rung::CONNECT,
            Self::Exec => &Rung::EXEC,
        }
    }
}

/// Something that stays hooked until it is dropped.
pub(crate) type Link = Box<dyn Send + Sync>;

/// The kernel's types, if it publishes them.
pub(crate) fn kernel_types() -> Option<Btf> {
    Btf::from_sys_fs().ok()
}

/// Loads the programs of `rung`.
pub(crate) fn load(ebpf: &mut Ebpf, rung: Rung, btf: Option<&Btf>) -> Result<(), String> {
    for name in rung.programs() {
        load_one(program(ebpf, name)?, rung, btf)?;
    }
    Ok(())
}

/// Loads one program as `rung` says.
pub(crate) fn load_one(program: &mut Program, rung: Rung, btf: Option<&Btf>) -> Result<(), String> {
    let typed = || btf.ok_or("the kernel publishes no BTF (/sys/kernel/btf/vmlinux)".to_string());
    let done = match program {
        Program::Lsm(p) => p.load(rung.place(), typed()?),
        Program::BtfTracePoint(p) => p.load(rung.place(), typed()?),
        Program::RawTracePoint(p) => {
            if rung.follows_kernel_types() {
                typed()?;
            }
            p.load()
        }
        Program::TracePoint(p) => p.load(),
        Program::CgroupSockAddr(p) => p.load(),
        other => return Err(format!("no way to load a {:?}", other.prog_type())),
    };
    done.map_err(|error| format!("load: {}", brief(&error)))
}

/// Hooks the loaded programs of `rung`.
pub(crate) fn attach(ebpf: &mut Ebpf, rung: Rung) -> Result<Vec<Link>, String> {
    let mut links = Vec::new();
    for name in rung.programs() {
        let link =
            attach_one(program(ebpf, name)?, rung).map_err(|error| format!("attach: {error}"))?;
        links.push(link);
    }
    Ok(links)
}

/// Hooks one loaded program as `rung` says.
pub(crate) fn attach_one(program: &mut Program, rung: Rung) -> Result<Link, String> {
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
            let id = p.attach(rung.place()).map_err(brief)?;
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

/// The program called `name`.
pub(crate) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program, String> {
    ebpf.program_mut(name).ok_or_else(|| {
        format!("the object holds no program {name}; rebuild it with tools/build-bpf")
    })
}

/// The cause of a failure without the verifier's whole log: the system's error
/// and the log's last line.
pub(crate) fn brief(error: &ProgramError) -> String {
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
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
