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

pub mod calls;
mod climb;
pub(crate) mod clock;
pub(crate) mod consumer;
mod counters;
mod family;
pub(crate) mod heap;
pub mod http;
pub(crate) mod ladder;
pub(crate) mod maps;
pub(crate) mod object;
mod others;
pub mod record;
pub(crate) mod ring;
mod rule;
mod scope;
pub(crate) mod settings;

use std::time::Duration;

use aya::Ebpf;

use climb::climb;
use consumer::Consumer;
use ladder::Link;
use maps::{Maps, map_failed};
use ring::Ring;
use rule::PathKey;
use scope::Hierarchy;
use settings::Settings;

pub use climb::{Hook, Hooks, Tried};
pub use consumer::{Sink, pin_this_thread};
pub use counters::{Counters, RunTime, Stats};
pub use family::Relatives;
pub use ladder::{Operation, Rung};
pub use others::others;
pub use rule::Rule;
pub use settings::{Fields, Options, Scope, Wakeup};

use crate::host::Obstacle;

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

        let mut settings = Settings::everything();
        maps.write(&settings)?;
        let first = options.rung;
        let mut climb = |operation| climb(&mut ebpf, &mut ring, btf.as_ref(), operation, first);
        let (open, open_pid) = climb(Operation::Open);
        let (connect, connect_pid) = climb(Operation::Connect);
        // What this process runs is another process, or its end.
        let exec = match options.scope {
            Scope::ThisProcess => Hook::default(),
            Scope::Cgroup(_) | Scope::Cgroups(_) | Scope::Everyone => climb(Operation::Exec).0,
        };
        let hooks = Hooks {
            open,
            connect,
            exec,
        };
        let Some(pid) = open_pid.or(connect_pid) else {
            return Err(Obstacle::new(
                format!(
                    "no hook holds here: {}; {}",
                    hooks.open.failures(),
                    hooks.connect.failures()
                ),
                "see what this machine lacks with: cargo run -- host",
            ));
        };

        match &options.scope {
            Scope::ThisProcess => settings.tgid = pid,
            Scope::Cgroup(path) => {
                let (id, level) = Hierarchy::explore()?.place(path)?;
                settings.cgroup = id;
                settings.cgroup_level = level;
            }
            Scope::Cgroups(paths) if paths.is_empty() => {
                return Err(Obstacle::new(
                    "an allow-list without a cgroup allows nothing",
                    "name one, or audit Scope::Everyone",
                ));
            }
            Scope::Cgroups(paths) => {
                let hierarchy = Hierarchy::explore()?;
                for path in paths {
                    let (id, level) = hierarchy.place(path)?;
                    maps.cgroups.insert(id, 1, 0).map_err(map_failed)?;
                    settings.cgroup_levels |= 1_u64 << level;
                }
            }
            Scope::Everyone => {}
        }
        ring.read(u64::MAX, |_| ());
        let consumer = Consumer::spawn(ring, &options, sink)?;

        settings.match_all = 0;
        settings.excluded_tid = consumer.tid();
        settings.sample = options.sample;
        settings.wakeup_bytes = options.wakeup_bytes();
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
        let rungs = self.rungs();
        rungs
            .into_iter()
            .try_for_each(|rung| self.attach_rung(rung))
    }

    /// Hooks one operation only, if it found a rung and nothing is hooked yet.
    pub fn attach_only(&mut self, operation: Operation) -> Result<(), Obstacle> {
        match self.hooks.of(operation).rung {
            Some(rung) if self.links.is_empty() => self.attach_rung(rung),
            _ => Ok(()),
        }
    }

    /// Those in use.
    fn rungs(&self) -> Vec<Rung> {
        let of = |operation| self.hooks.of(operation).rung;
        Operation::ALL.into_iter().filter_map(of).collect()
    }

    fn attach_rung(&mut self, rung: Rung) -> Result<(), Obstacle> {
        let links = ladder::attach(&mut self.ebpf, rung).map_err(|error| {
            Obstacle::new(
                format!(
                    "{} held a moment ago and does not now: {error}",
                    rung.name()
                ),
                "try again, and see cargo run -- host",
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
            Rule::File(file) => {
                if !self.hooks.open.rung.is_some_and(Rung::sees_inodes) {
                    return Err(Obstacle::new(
                        "file rules need the rung lsm/file_open, which did not hold here",
                        "write the rule as a path",
                    ));
                }
                self.maps
                    .inode_rules
                    .insert(file, 1, 0)
                    .map_err(map_failed)?;
                self.settings.inode_rules += 1;
            }
        }
        self.maps.write(&self.settings)
    }

    /// The counts so far. Two system calls; cheap enough for every block.
    pub fn stats(&self) -> Result<Stats, Obstacle> {
        self.maps.stats(self.consumer.received())
    }

    /// Waits until the consumer has taken every record submitted so far, and
    /// gives the counts. Fails where the consumer stalls.
    pub fn drain(&self) -> Result<Stats, Obstacle> {
        self.drain_within(consumer::PATIENCE)
    }

    /// The same with a limit of one's own.
    pub fn drain_within(&self, patience: Duration) -> Result<Stats, Obstacle> {
        let submitted = self.stats()?.total().submitted;
        self.consumer.wait_for(submitted, patience)?;
        self.stats()
    }

    /// The CPU time that the consumer thread has used.
    pub fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        self.consumer.cpu_time()
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
        let rungs = self.rungs().into_iter();
        rungs
            .flat_map(Rung::programs)
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
