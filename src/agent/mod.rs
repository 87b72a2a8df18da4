//! An eBPF agent inside this process: hooks, ring, consumer, policy.
//!
//! It audits and never denies. Nothing is pinned: however the process ends, the
//! kernel takes the hooks away with it.
//!
//! ```no_run
//! use probecost::agent::{Agent, Options, Operation};
//!
//! let mut agent = Agent::start(Options::default())?;
//! agent.attach()?;             // hooked, and no rule matches
//! agent.set_emitting(true)?;   // every operation matches
//! std::fs::read("/etc/hosts").unwrap();
//! agent.drain()?;
//! assert!(agent.stats()?.open.submitted >= 1);
//! # Ok::<(), probecost::host::Obstacle>(())
//! ```

mod consumer;
mod counters;
mod ladder;
mod load;
mod object;
pub mod pipeline;
mod policy;
pub mod record;
mod ring;
mod settings;
mod spin;

use std::time::Duration;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray};
use aya::programs::{loaded_links, loaded_programs};
use aya::{Btf, Ebpf};
use aya_obj::generated::bpf_prog_type;
use serde::Serialize;

use consumer::Consumer;
use ladder::Link;
use policy::{InodeKey, PathKey};
use ring::Ring;
use settings::Settings;

pub use consumer::{Sink, pin_this_thread};
pub use counters::Counters;
pub use ladder::{Hook, Operation, Rung, Tried};
pub use load::Load;
pub use policy::Rule;
pub use settings::{Fields, Options, Scope, Wakeup};
pub use spin::Spinner;

use crate::host::Obstacle;

/// How long a drain may take before the consumer counts as stalled.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// A running agent. It starts detached and silent.
pub struct Agent {
    ebpf: Ebpf,
    maps: Maps,
    settings: Settings,
    hooks: Hooks,
    links: Vec<Link>,
    consumer: Consumer,
    pid: u32,
}

/// The rung of each operation.
#[derive(Debug, Clone, Serialize)]
pub struct Hooks {
    /// How opens are hooked.
    pub open: Hook,
    /// How connects are hooked.
    pub connect: Hook,
}

/// What the agent has counted since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Opens.
    pub open: Counters,
    /// Connects.
    pub connect: Counters,
    /// Records that the consumer has taken from the ring.
    pub received: u64,
}

impl Hooks {
    /// The one of this operation.
    pub fn of(&self, operation: Operation) -> &Hook {
        match operation {
            Operation::Open => &self.open,
            Operation::Connect => &self.connect,
        }
    }
}

impl Stats {
    /// The counts of this operation.
    pub fn of(&self, operation: Operation) -> Counters {
        match operation {
            Operation::Open => self.open,
            Operation::Connect => self.connect,
        }
    }

    /// The counts of both hooks.
    pub fn total(&self) -> Counters {
        self.open + self.connect
    }
}

/// What the kernel counted for one program while [`Agent::count_run_time`] was on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunTime {
    /// The program's name.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// How long it ran, in nanoseconds, in all.
    pub ns: u64,
}

struct Maps {
    settings: Array<MapData, Settings>,
    counters: PerCpuArray<MapData, counters::Raw>,
    path_rules: HashMap<MapData, u64, PathKey>,
    inode_rules: HashMap<MapData, InodeKey, u32>,
}

impl Agent {
    /// Starts an agent whose consumer decodes every record and keeps none.
    pub fn start(options: Options) -> Result<Self, Obstacle> {
        Self::start_with(options, |record: &[u8]| {
            // The programs of this same build wrote it; decoding is what an
            // agent at least does with it.
            let _ = std::hint::black_box(record::Record::decode(record));
        })
    }

    /// Starts an agent that hands every record to `sink`.
    ///
    /// Climbs the ladder of each operation; one that finds no rung does not
    /// take the other down. Fails where neither finds one, with what was tried.
    pub fn start_with(options: Options, sink: impl Sink) -> Result<Self, Obstacle> {
        let btf = ladder::kernel_types();
        let mut ebpf = object::load(btf.as_ref(), options.ring_bytes)?;
        let mut maps = Maps::take(&mut ebpf)?;
        let mut ring = Ring::new(object::take_map(&mut ebpf, "RING")?).map_err(map_failed)?;

        let mut settings = Settings {
            on: 1,
            match_all: 1,
            tgid: 0,
            excluded_tid: 0,
            cgroup: 0,
            cgroup_level: 0,
            path_rules: 0,
            inode_rules: 0,
            sample: 1,
            fields: Fields::ALL.bits(),
            wakeup_bytes: 0,
        };
        maps.write(&settings)?;
        let first = options.rung;
        let mut climb = |operation| climb(&mut ebpf, &mut ring, btf.as_ref(), operation, first);
        let (open, open_pid) = climb(Operation::Open);
        let (connect, connect_pid) = climb(Operation::Connect);
        let hooks = Hooks { open, connect };
        let Some(pid) = open_pid.or(connect_pid) else {
            return Err(Obstacle::new(
                format!(
                    "no hook holds here: {}; {}",
                    hooks.open.failures(),
                    hooks.connect.failures()
                ),
                "see what this machine lacks with: cargo run --example check_host",
            ));
        };

        ring.read(u64::MAX, |_| ());
        let consumer = Consumer::spawn(ring, &options, sink).map_err(no_consumer)?;

        settings.match_all = 0;
        settings.excluded_tid = consumer.tid();
        settings.sample = options.sample;
        settings.wakeup_bytes = options.wakeup.bytes();
        match &options.scope {
            Scope::ThisProcess => settings.tgid = pid,
            Scope::Cgroup(path) => {
                let (id, level) = object::cgroup(path)?;
                settings.cgroup = id;
                settings.cgroup_level = level;
            }
            Scope::Everyone => {}
        }
        maps.write(&settings)?;
        maps.clear_counters()?;
        Ok(Self {
            ebpf,
            maps,
            settings,
            hooks,
            links: Vec::new(),
            consumer,
            pid,
        })
    }

    /// How each operation is hooked, and what else was tried.
    pub fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// This process as the kernel knows it: inside a PID namespace not the
    /// number that `getpid` gives.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Hooks every operation that found a rung. Nothing to do if it is hooked.
    pub fn attach(&mut self) -> Result<(), Obstacle> {
        if !self.links.is_empty() {
            return Ok(());
        }
        for rung in [self.hooks.open.rung, self.hooks.connect.rung]
            .into_iter()
            .flatten()
        {
            self.attach_rung(rung)?;
        }
        Ok(())
    }

    /// Hooks one operation only, if it found a rung and nothing is hooked yet.
    pub fn attach_only(&mut self, operation: Operation) -> Result<(), Obstacle> {
        match self.hooks.of(operation).rung {
            Some(rung) if self.links.is_empty() => self.attach_rung(rung),
            _ => Ok(()),
        }
    }

    fn attach_rung(&mut self, rung: Rung) -> Result<(), Obstacle> {
        let links = ladder::attach(&mut self.ebpf, rung).map_err(|error| {
            Obstacle::new(
                format!(
                    "{} held a moment ago and does not now: {error}",
                    rung.name()
                ),
                "try again, and see cargo run --example check_host",
            )
        })?;
        self.links.extend(links);
        Ok(())
    }

    /// What keeps the agent from its work, if anything does. No system call.
    pub fn health(&self) -> Result<(), Obstacle> {
        if self.links.is_empty() {
            return Err(Obstacle::new("the agent is not attached", "attach it"));
        }
        if !self.consumer.is_reading() {
            return Err(Obstacle::new(
                "the agent's consumer has ended or is paused",
                "let it go on, or start the agent anew",
            ));
        }
        Ok(())
    }

    /// Takes every hook away.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Whether the hooks are in place.
    pub fn is_attached(&self) -> bool {
        !self.links.is_empty()
    }

    /// Says whether every operation matches (`event`) or only those that a rule
    /// names, by default none (`hook`). Takes about a microsecond.
    pub fn set_emitting(&mut self, emitting: bool) -> Result<(), Obstacle> {
        self.settings.match_all = emitting.into();
        self.maps.write(&self.settings)
    }

    /// Says which parts of an event are filled in.
    pub fn set_fields(&mut self, fields: Fields) -> Result<(), Obstacle> {
        self.settings.fields = fields.bits();
        self.maps.write(&self.settings)
    }

    /// Adds a rule: from now on such calls are events.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<(), Obstacle> {
        match rule {
            Rule::Path(path) => {
                let key = PathKey::new(path)?;
                self.maps
                    .path_rules
                    .insert(key.hash(), key, 0)
                    .map_err(map_failed)?;
                self.settings.path_rules += 1;
            }
            Rule::Inode { inode, device } => {
                if !self.hooks.open.rung.is_some_and(Rung::sees_inodes) {
                    return Err(Obstacle::new(
                        "inode rules need the rung lsm/file_open, which did not hold here",
                        "write the rule as a path",
                    ));
                }
                let key = InodeKey {
                    inode: *inode,
                    device: *device,
                };
                self.maps
                    .inode_rules
                    .insert(key, 1, 0)
                    .map_err(map_failed)?;
                self.settings.inode_rules += 1;
            }
        }
        self.maps.write(&self.settings)
    }

    /// The counts so far. Two system calls; cheap enough for every block.
    pub fn stats(&self) -> Result<Stats, Obstacle> {
        stats(&self.maps, &self.consumer)
    }

    /// Waits until the consumer has taken every record submitted so far, and
    /// gives the counts. Fails where the consumer stalls.
    pub fn drain(&self) -> Result<Stats, Obstacle> {
        self.drain_within(DRAIN_PATIENCE)
    }

    /// The same with a limit of one's own.
    pub fn drain_within(&self, patience: Duration) -> Result<Stats, Obstacle> {
        drain(&self.maps, &self.consumer, patience)
    }

    /// The CPU time that the consumer thread has used.
    pub fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        cpu_time(&self.consumer)
    }

    /// Why the agent does not see opens, or connects, where it does not.
    pub fn blind_to(&self, opens: bool, connects: bool) -> Option<String> {
        let missing = |name: &str, hook: &Hook, wanted: bool| {
            (wanted && hook.rung.is_none())
                .then(|| format!("no hook for {name} holds here: {}", hook.failures()))
        };
        missing("open", &self.hooks.open, opens)
            .or_else(|| missing("connect", &self.hooks.connect, connects))
    }

    /// Keeps the consumer from reading, or lets it go on.
    pub fn pause_consumer(&self, paused: bool) {
        self.consumer.pause(paused);
    }

    /// Lets the kernel count the run time of programs until the guard is
    /// dropped. Counting itself costs time, so nothing else is timed meanwhile.
    pub fn count_run_time(&self) -> Result<impl Drop + use<>, Obstacle> {
        aya::sys::enable_stats(aya::sys::Stats::RunTime).map_err(|error| {
            Obstacle::new(
                format!("the kernel does not count run times: {error}"),
                "run as root, or with CAP_SYS_ADMIN",
            )
        })
    }

    /// What the kernel counted for each program in use.
    pub fn run_times(&self) -> Result<Vec<RunTime>, Obstacle> {
        let rungs = [self.hooks.open.rung, self.hooks.connect.rung];
        let names = rungs.into_iter().flatten().flat_map(Rung::programs);
        names
            .map(|name| {
                let program = self.ebpf.program(name).ok_or_else(|| object::lacks(name))?;
                let info = program
                    .info()
                    .map_err(|error| Obstacle::new(format!("{name}: {error}"), "run as root"))?;
                Ok(RunTime {
                    program: (*name).to_string(),
                    runs: info.run_count(),
                    ns: info.run_time().as_nanos() as u64,
                })
            })
            .collect()
    }
}

/// Whether `PROBECOST_REQUIRE_AGENT=1` forbids to go on without an agent.
pub fn is_required() -> bool {
    std::env::var_os("PROBECOST_REQUIRE_AGENT").is_some_and(|value| value == "1")
}

/// What other eBPF programs are attached where the agent's would be, each in a
/// few words. Empty where this process may not ask.
pub fn others() -> Vec<String> {
    let programs: Vec<_> = loaded_programs().filter_map(Result::ok).collect();
    loaded_links()
        .filter_map(Result::ok)
        .filter_map(|link| {
            let program = programs.iter().find(|p| p.id() == link.program_id())?;
            let shared = matches!(
                program.program_type(),
                bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT
                    | bpf_prog_type::BPF_PROG_TYPE_TRACEPOINT
                    | bpf_prog_type::BPF_PROG_TYPE_TRACING
                    | bpf_prog_type::BPF_PROG_TYPE_LSM
                    | bpf_prog_type::BPF_PROG_TYPE_CGROUP_SOCK_ADDR
            );
            let name = program.name_as_str().unwrap_or("without a name");
            shared.then(|| format!("the eBPF program {name} (link {})", link.id()))
        })
        .collect()
}

/// Tries the rungs of one operation from the best down, and gives this process'
/// id as the first that holds shows it.
fn climb(
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
                let proof = ladder::prove(operation, ring);
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

impl Maps {
    fn take(ebpf: &mut Ebpf) -> Result<Self, Obstacle> {
        let mut take = |name| object::take_map(ebpf, name);
        Ok(Self {
            settings: take("SETTINGS")?.try_into().map_err(map_failed)?,
            counters: take("COUNTERS")?.try_into().map_err(map_failed)?,
            path_rules: take("PATH_RULES")?.try_into().map_err(map_failed)?,
            inode_rules: take("INODE_RULES")?.try_into().map_err(map_failed)?,
        })
    }

    fn write(&mut self, settings: &Settings) -> Result<(), Obstacle> {
        self.settings.set(0, settings, 0).map_err(map_failed)
    }

    fn counters(&self, kind: u32) -> Result<Counters, Obstacle> {
        let per_cpu = self.counters.get(&kind, 0).map_err(map_failed)?;
        Ok(per_cpu
            .iter()
            .map(|&raw| Counters::from(raw))
            .fold(Counters::default(), |sum, one| sum + one))
    }

    fn clear_counters(&mut self) -> Result<(), Obstacle> {
        for kind in 0..2 {
            let cpus = self.counters.get(&kind, 0).map_err(map_failed)?.len();
            let zeros = aya::maps::PerCpuValues::try_from(vec![counters::Raw::ZERO; cpus])
                .map_err(|error| Obstacle::new(error.to_string(), "report this"))?;
            self.counters.set(kind, zeros, 0).map_err(map_failed)?;
        }
        Ok(())
    }
}

fn stats(maps: &Maps, consumer: &Consumer) -> Result<Stats, Obstacle> {
    Ok(Stats {
        open: maps.counters(0)?,
        connect: maps.counters(1)?,
        received: consumer.received(),
    })
}

fn drain(maps: &Maps, consumer: &Consumer, patience: Duration) -> Result<Stats, Obstacle> {
    let submitted = stats(maps, consumer)?.total().submitted;
    if !consumer.wait_for(submitted, patience) {
        return Err(Obstacle::new(
            format!(
                "the consumer took {} of {submitted} records and then none for {} s",
                consumer.received(),
                patience.as_secs_f64()
            ),
            "give it a CPU of its own, or a sink that keeps up",
        ));
    }
    stats(maps, consumer)
}

fn no_consumer(error: std::io::Error) -> Obstacle {
    Obstacle::new(
        format!("the consumer thread could not start: {error}"),
        "name a CPU that this process may use",
    )
}

fn cpu_time(consumer: &Consumer) -> Result<Duration, Obstacle> {
    consumer.cpu_time().map_err(|error| {
        Obstacle::new(
            format!("the consumer's CPU time cannot be read: {error}"),
            "mount /proc",
        )
    })
}

fn map_failed(error: MapError) -> Obstacle {
    Obstacle::new(
        format!("the agent cannot reach its maps: {error}"),
        "run as root, or with CAP_BPF",
    )
}
