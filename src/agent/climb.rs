//! Climbing the ladder of an operation: each rung is proven before it is trusted.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use aya::{Btf, Ebpf};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::Serialize;

use super::ladder::{self, Operation, Rung};
use super::record::{Record, Target};
use super::ring::Ring;
use crate::schema::impact::OwnHooks;
use crate::schema::overhead::{HookReport, TriedRung};

/// A rung that did not hold, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The rung.
    pub rung: Rung,
    /// Why it did not hold: one line.
    pub error: String,
}

/// What climbing the ladder of one operation came to.
#[derive(Debug, Clone, Default, Serialize)]
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

/// The rung of each operation.
#[derive(Debug, Clone, Serialize)]
pub struct Hooks {
    /// How opens are hooked.
    pub open: Hook,
    /// How connects are hooked.
    pub connect: Hook,
    /// How programs that run are; not at all where only this process is audited.
    pub exec: Hook,
}

impl Hooks {
    /// The one of this operation.
    pub fn of(&self, operation: Operation) -> &Hook {
        match operation {
            Operation::Open => &self.open,
            Operation::Connect => &self.connect,
            Operation::Exec => &self.exec,
        }
    }
}

impl From<&Hook> for HookReport {
    fn from(hook: &Hook) -> Self {
        let tried = hook.tried.iter().map(|tried| TriedRung {
            rung: tried.rung.name().into(),
            error: tried.error.clone(),
        });
        Self {
            rung: hook.rung.map(|rung| rung.name().into()),
            tried: tried.collect(),
        }
    }
}

impl From<&Hooks> for OwnHooks {
    fn from(hooks: &Hooks) -> Self {
        Self {
            open: (&hooks.open).into(),
            connect: (&hooks.connect).into(),
            exec: (&hooks.exec).into(),
        }
    }
}

/// Tries the rungs of one operation from the best down, and gives the id of the
/// process that did it as the first that holds shows it.
pub(super) fn climb(
    ebpf: &mut Ebpf,
    ring: &mut Ring,
    btf: Option<&Btf>,
    operation: Operation,
    first: Option<Rung>,
) -> (Hook, Option<u32>) {
    let rungs = operation.rungs();
    let skip = rungs
        .iter()
        .position(|&rung| Some(rung) == first)
        .unwrap_or(0);
    let mut tried = Vec::new();
    for &rung in &rungs[skip..] {
        let held = ladder::load(ebpf, rung, btf)
            .and_then(|()| ladder::attach(ebpf, rung))
            .and_then(|links| {
                let proof = prove(operation, ring);
                drop(links);
                proof
            });
        match held {
            Ok(pid) => {
                return (
                    Hook {
                        rung: Some(rung),
                        tried,
                    },
                    Some(pid),
                );
            }
            Err(error) => tried.push(Tried { rung, error }),
        }
    }
    (Hook { rung: None, tried }, None)
}

/// Does the operation once, in a way that cannot be mistaken for another's, and
/// looks for exactly one record of it in the ring. Gives the process that did it
/// as the kernel knows it, which inside a PID namespace is not the number that
/// `getpid` gives.
fn prove(operation: Operation, ring: &mut Ring) -> Result<u32, String> {
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

/// Does the operation once.
pub(super) fn perform(operation: Operation) -> std::io::Result<()> {
    Mark::make(operation).map(drop)
}

/// What tells the proof's own operation from any other.
enum Mark {
    FileName(std::ffi::OsString),
    Port(u16),
    /// A program by its own name, and by that under which it was called.
    Program(String, String),
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
            Operation::Exec => {
                // A program in memory, since no directory is sure to let programs run.
                let name = format!("probecost-proof-{:x}", fastrand::u64(..));
                let program = memfd_create(&name, MemfdFlags::CLOEXEC)?;
                rustix::io::write(&program, b"#!/bin/true\n")?;
                let called = format!("/proc/{}/fd/{}", std::process::id(), program.as_raw_fd());
                Command::new(&called).stdin(Stdio::null()).status()?;
                Self::Program(name, called)
            }
        })
    }

    fn is_on(&self, record: &Record) -> bool {
        match (self, record.target) {
            (Self::FileName(name), Target::Path(path)) => path.ends_with(name.as_bytes()),
            (Self::Port(port), Target::Address(address)) => address.port() == *port,
            (Self::Program(name, called), Target::Program(path)) => {
                path == called.as_bytes() || memchr::memmem::find(path, name.as_bytes()).is_some()
            }
            _ => false,
        }
    }
}
