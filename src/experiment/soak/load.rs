//! What makes the events of a soak: records from a program of our own, or storms of opens
//! and connects under the agent's audit hooks. Either way they go through the whole user
//! half.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::super::Failure;
use crate::agent::{Agent, Options, Stats};
use crate::host::{self, Obstacle};
use crate::instrument::{Aged, Ages, RecordLoad};
use crate::pipeline::{
    Binary, Cgroups, Hashing, Pattern, Pipeline, Policy, Registry, TallyWatch, Writer,
};
use crate::workload::{OpenClose, UdpConnect, Workload, default_file};

/// A load that is held.
pub(super) trait SoakLoad {
    /// Events of one call: few enough that the calls come evenly.
    const PER_CALL: u32;
    /// Whether nothing else in this process makes events.
    const ALONE: bool;

    /// One call.
    fn call(&mut self) -> Result<(), Failure>;
    /// The counts so far.
    fn stats(&self) -> Result<Stats, Obstacle>;
    /// Waits until the consumer has taken every record, and gives the counts.
    fn drain(&self) -> Result<Stats, Obstacle>;
    /// The events so far that went the whole way, to the output.
    fn matched(&self) -> u64;
    /// The CPU time that the consumer thread has used.
    fn consumer_cpu_time(&self) -> Result<Duration, Obstacle>;
    /// Keeps the consumer from reading, or lets it go on.
    fn pause_consumer(&self, paused: bool);
}

type Whole = Pipeline<Writer<Binary, std::io::Sink>>;

/// The user half, watching for what the load does.
fn pipeline(watched: impl IntoIterator<Item = Pattern>) -> Whole {
    let output = Writer::new(Binary, std::io::sink(), 1 << 16);
    let registry = Registry::new(Policy::from_iter(watched));
    let cgroups = Cgroups::new(host::cgroup2_mount().ok());
    Pipeline::new(registry, cgroups, Hashing::random(), output)
}

/// The agent's own records, from a program on a call that costs next to nothing.
pub(super) struct Records {
    load: RecordLoad,
    tally: TallyWatch,
}

impl Records {
    pub(super) fn start(options: &Options, ages: &Ages) -> Result<Self, Obstacle> {
        let pid = Agent::start(Options::default())?.pid();
        let pipeline = pipeline([Pattern::Below((*b"/load").into())]);
        let tally = pipeline.watch();
        let mut load = RecordLoad::start(pid, options, Aged::new(pipeline, ages))?;
        load.set_per_call(Self::PER_CALL)?;
        Ok(Self { load, tally })
    }
}

impl SoakLoad for Records {
    const PER_CALL: u32 = 4;
    const ALONE: bool = true;

    fn call(&mut self) -> Result<(), Failure> {
        self.load.call();
        Ok(())
    }

    fn stats(&self) -> Result<Stats, Obstacle> {
        self.load.stats()
    }

    fn drain(&self) -> Result<Stats, Obstacle> {
        self.load.drain()
    }

    fn matched(&self) -> u64 {
        self.tally.tally().matched
    }

    fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        self.load.consumer_cpu_time()
    }

    fn pause_consumer(&self, paused: bool) {
        self.load.pause_consumer(paused);
    }
}

/// An open and a connect a call, audited by the agent. What this process opens besides, to
/// look at itself, is an event as well.
pub(super) struct Storm {
    agent: Agent,
    open: OpenClose,
    connect: UdpConnect,
    tally: TallyWatch,
}

impl Storm {
    pub(super) fn start(options: &Options, ages: &Ages) -> Result<Self, Obstacle> {
        let file = default_file();
        let pipeline = pipeline(watched(&file));
        let tally = pipeline.watch();
        let mut agent = Agent::start_with(options.clone(), Aged::new(pipeline, ages))?;
        if let Some(why) = agent.blind_to(true, true) {
            return Err(Obstacle::new(why, "see cargo run -- host --rungs"));
        }
        agent.set_emitting(true)?;
        agent.attach()?;
        Ok(Self {
            agent,
            open: OpenClose::new(&file)?,
            connect: UdpConnect::new()?,
            tally,
        })
    }
}

impl SoakLoad for Storm {
    const PER_CALL: u32 = 2;
    const ALONE: bool = false;

    fn call(&mut self) -> Result<(), Failure> {
        let done = self.open.operate().and_then(|_| self.connect.operate());
        done.map(drop)
            .map_err(|error| Failure::Harness(format!("an open or a connect failed: {error}")))
    }

    fn stats(&self) -> Result<Stats, Obstacle> {
        self.agent.stats()
    }

    fn drain(&self) -> Result<Stats, Obstacle> {
        self.agent.drain()
    }

    fn matched(&self) -> u64 {
        self.tally.tally().matched
    }

    fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        self.agent.consumer_cpu_time()
    }

    fn pause_consumer(&self, paused: bool) {
        self.agent.pause_consumer(paused);
    }
}

/// What a storm does: opens of `file`, whose name a hook may see as it was written or as the
/// kernel resolved it, and connects.
fn watched(file: &Path) -> impl Iterator<Item = Pattern> {
    let names = [Some(file.to_owned()), file.canonicalize().ok()];
    let opens = names.into_iter().flatten();
    let opens = opens.map(|name| Pattern::Path(name.as_os_str().as_bytes().into()));
    opens.chain([Pattern::Connects])
}
