//! The proof that an agent was there: what it attached, and that it fires.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use aya::programs::{loaded_links, loaded_programs};

use crate::host::resident_memory;
use crate::process::WardPlace;
use crate::schema::impact::Proof;

/// The eBPF programs and links of the machine at one time, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    programs: BTreeMap<u32, u64>,
    links: BTreeSet<u32>,
    is_blind: bool,
}

/// What an agent was seen to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Programs that were not there before.
    pub programs: BTreeSet<u32>,
    /// Links that were not there before.
    pub links: BTreeSet<u32>,
    /// Whether it traces a process of the program.
    pub traces: bool,
    /// Whether the kernel audits, by rules, for a daemon in the agent's place.
    pub audits: bool,
}

impl Baseline {
    /// What is loaded now, with how often each program ran; nothing where this process may
    /// not ask.
    pub fn now() -> Self {
        let run_counts = |program: aya::programs::ProgramInfo| (program.id(), program.run_count());
        let (mut programs, mut is_blind) = (BTreeMap::new(), false);
        for program in loaded_programs() {
            match program {
                Ok(program) => programs.extend([run_counts(program)]),
                Err(error) => is_blind |= is_refused(&error),
            }
        }
        Self {
            programs,
            links: loaded_links().flatten().map(|link| link.id()).collect(),
            is_blind,
        }
    }

    /// Whether this process may not ask what is loaded.
    pub fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// What was attached since, and these processes hold.
    pub(super) fn held(&self, pids: &[u32]) -> Evidence {
        let mut held = held_by(pids.iter().copied());
        held.programs.retain(|id| !self.programs.contains_key(id));
        held.links.retain(|id| !self.links.contains(id));
        held
    }

    /// What was attached since, and nobody holds: that of the agent in `place`, when its
    /// processes have ended. Without a cgroup, one that left its group may still run: then
    /// what somebody holds counts, too.
    pub(super) fn orphans(&self, place: &WardPlace) -> Evidence {
        match place.cgroup() {
            Some(_) => self.evidence(&place.pids(), &[]),
            None => self.loaded(),
        }
    }

    /// What was attached since.
    fn loaded(&self) -> Evidence {
        let now = Self::now();
        Evidence {
            programs: now
                .programs
                .into_keys()
                .filter(|id| !self.programs.contains_key(id))
                .collect(),
            links: now.links.difference(&self.links).copied().collect(),
            ..Evidence::default()
        }
    }

    /// What the agent of these processes has attached since: everything new but what another
    /// process holds.
    pub fn evidence(&self, tracers: &[u32], program: &[u32]) -> Evidence {
        let mut evidence = Evidence {
            traces: traced_by(program, tracers),
            audits: audited_by(tracers),
            ..self.loaded()
        };
        if !(evidence.programs.is_empty() && evidence.links.is_empty()) {
            let others = held_by_others(tracers);
            evidence.programs.retain(|id| !others.programs.contains(id));
            evidence.links.retain(|id| !others.links.contains(id));
            // What a stranger unloaded while that was looked for is nobody's.
            let loaded = evidence.left();
            (evidence.programs, evidence.links) = (loaded.programs, loaded.links);
        }
        evidence
    }
}

impl Evidence {
    /// What it rests on.
    pub fn proof(&self) -> Proof {
        if !self.programs.is_empty() {
            Proof::Bpf
        } else if self.traces {
            Proof::Ptrace
        } else if self.audits {
            Proof::Audit
        } else {
            Proof::None
        }
    }

    /// Those of its programs and links that are still loaded.
    pub fn left(&self) -> Self {
        let now = Baseline::now();
        Self {
            programs: self
                .programs
                .iter()
                .copied()
                .filter(|id| now.programs.contains_key(id))
                .collect(),
            links: self.links.intersection(&now.links).copied().collect(),
            traces: false,
            audits: false,
        }
    }

    /// With those programs and links of another.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.programs.extend(other.programs);
        self.links.extend(other.links);
        self
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How long the kernel may take to unload what nobody wants any more.
const UNLOADED: Duration = Duration::from_secs(3);

/// What is `left` when it has been given a moment to go.
pub(super) fn what_stays(left: impl Fn() -> Evidence) -> Evidence {
    let begin = Instant::now();
    loop {
        let now = left();
        if now.is_empty() || begin.elapsed() > UNLOADED {
            return now;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether an error says that this process lacks the right.
fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied)
        || error.source().is_some_and(is_refused)
}

/// Counts the runs of an agent's programs, which costs time: never while a block is timed.
pub struct Probe {
    before: BTreeMap<u32, u64>,
    /// Counts until it is closed.
    _counting: std::os::fd::OwnedFd,
}

impl Probe {
    /// Starts to count; `None` where this process may not.
    pub fn start() -> Option<Self> {
        let counting = aya::sys::enable_stats(aya::sys::Stats::RunTime).ok()?;
        Some(Self {
            before: Baseline::now().programs,
            _counting: counting,
        })
    }

    /// How often the programs of `evidence` ran since the start.
    pub fn runs(&self, evidence: &Evidence) -> u64 {
        let now = Baseline::now().programs;
        let since = |id| Some(now.get(id)? - self.before.get(id).copied().unwrap_or(0));
        evidence.programs.iter().filter_map(since).sum()
    }
}

/// Does what agents commonly watch: runs a program, opens a file, connects a socket.
pub fn stir() {
    // Whether they succeed matters to no one: the calls are made.
    let _ = Command::new("/bin/true").status();
    let _ = fs::read("/etc/hosts");
    let _ = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.connect("127.0.0.1:9"));
}

/// Kernel memory of the maps that these processes hold, in bytes, each map once.
pub(super) fn map_memory(pids: &[u32]) -> u64 {
    let mut maps = BTreeMap::new();
    for pid in pids {
        for_each_descriptor(*pid, |info| {
            if let (Some(id), Some(bytes)) = (value(info, "map_id:"), value(info, "memlock:")) {
                maps.insert(id, bytes);
            }
        });
    }
    maps.values().sum()
}

/// Programs and links that some process but `ours` holds.
fn held_by_others(ours: &[u32]) -> Evidence {
    // In a PID namespace, the processes outside are not seen: then what they hold counts
    // as the agent's, as it does where nobody holds it.
    held_by(processes().filter(|pid| !ours.contains(pid)))
}

/// Programs and links that these processes hold.
fn held_by(pids: impl IntoIterator<Item = u32>) -> Evidence {
    let mut held = Evidence::default();
    for pid in pids {
        for_each_descriptor(pid, |info| {
            held.programs
                .extend(value(info, "prog_id:").map(|id| id as u32));
            held.links
                .extend(value(info, "link_id:").map(|id| id as u32));
        });
    }
    held
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Looks at what the kernel says of each eBPF descriptor of a process.
fn for_each_descriptor(pid: u32, mut look: impl FnMut(&str)) {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    for entry in descriptors.flatten() {
        // Most are files and sockets; only their names tell eBPF objects apart cheaply.
        let is_bpf = fs::read_link(entry.path())
            .is_ok_and(|to| to.to_string_lossy().starts_with("anon_inode:"));
        if !is_bpf {
            continue;
        }
        let name = entry.file_name();
        let info = format!("/proc/{pid}/fdinfo/{}", name.to_string_lossy());
        if let Ok(info) = fs::read_to_string(info) {
            look(&info);
        }
    }
}

fn value(info: &str, key: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().parse().ok()
}

/// Whether a thread of `program` has one of `tracers` as its tracer.
fn traced_by(program: &[u32], tracers: &[u32]) -> bool {
    program.iter().any(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        value(&status, "TracerPid:").is_some_and(|tracer| tracers.contains(&(tracer as u32)))
    })
}

/// Whether the kernel sends what it audits to one of `daemons`, and has rules to audit by.
fn audited_by(daemons: &[u32]) -> bool {
    // To ask takes a process, and on most machines nobody listens.
    let sockets = fs::read_to_string("/proc/net/netlink").unwrap_or_default();
    if daemons.is_empty() || !is_audit_heard(&sockets) {
        return false;
    }
    let says = |option| {
        let output = Command::new("auditctl").arg(option).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    says("-s").is_some_and(|status| audits_for(&status, daemons))
        && says("-l").is_some_and(|rules| rules.lines().any(|line| line.starts_with('-')))
}

/// Whether a process has a socket of the kernel's audit (protocol 9), by `/proc/net/netlink`.
fn is_audit_heard(sockets: &str) -> bool {
    sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        // 0 is the kernel itself.
        fields.next() == Some("9") && fields.next() != Some("0")
    })
}

/// Whether the kernel audits, its rules locked or not, for one of `daemons`, by `auditctl -s`.
fn audits_for(status: &str, daemons: &[u32]) -> bool {
    let pid = value(status, "pid ");
    let mut daemons = daemons.iter().map(|pid| Some(u64::from(*pid)));
    matches!(value(status, "enabled "), Some(1 | 2)) && daemons.any(|daemon| daemon == pid)
}

/// Whether one of these processes runs, or waits for a CPU or a disk.
pub(super) fn wants_to_run(pids: &[u32]) -> bool {
    pids.iter().any(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        matches!(state, Some('R' | 'D'))
    })
}

/// Resident memory of these processes, in bytes.
pub(super) fn resident(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| resident_memory(*pid)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_audits_for_any_daemon_that_it_names() {
        for (status, is_ours) in [
            ("enabled 1\nfailure 1\npid 7\nrate_limit 0\n", true),
            ("enabled 2\nfailure 1\npid 8\n", true),
            ("enabled 0\npid 7\n", false),
            ("enabled 1\npid 77\n", false),
            ("enabled 1\npid 0\n", false),
            ("", false),
        ] {
            assert_eq!(audits_for(status, &[7, 8]), is_ours, "{status}");
        }
    }

    #[test]
    fn only_a_process_hears_audit() {
        let kernel = "sk Eth Pid Groups\n00000000a1b2 9 0 00000000 0\n00000000c3d4 0 9 0 0\n";
        assert!(!is_audit_heard(kernel));
        assert!(is_audit_heard(&format!(
            "{kernel}00000000e5f6 9 321 00000000 0\n"
        )));
    }
}
