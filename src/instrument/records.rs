//! A load on the ring: records in any number, as fast as the kernel makes them.

use std::time::Duration;

use aya::Ebpf;
use aya::maps::{Array, MapData};

use crate::agent::consumer::{Consumer, PATIENCE};
use crate::agent::ladder::{self, Link, Rung};
use crate::agent::maps::{Maps, map_failed};
use crate::agent::ring::Ring;
use crate::agent::settings::Settings;
use crate::agent::{Options, Sink, Stats, object};
use crate::host::Obstacle;

static OBJECT: &[u8] = aya::include_bytes_aligned!("../agent/bpf/load.bpf.o");
const PROGRAM: &str = "load";
const RUNG: Rung = Rung::TpBtfSysEnter;

/// Hooks `getppid` of this process: every call submits a stated number of the
/// agent's own records of 64 bytes. They go to a sink, as the agent's do; calls
/// of the consumer's own thread submit none. Gone when dropped.
pub struct RecordLoad {
    consumer: Consumer,
    maps: Maps,
    per_call: Array<MapData, u32>,
    link: Option<Link>,
    ebpf: Ebpf,
}

impl RecordLoad {
    /// The most records that one call submits.
    pub const MOST_PER_CALL: u32 = 64;

    /// Attaches the program, one record a call. `pid` is this process as the
    /// kernel knows it (see [`Agent::pid`](crate::agent::Agent::pid)); of the options,
    /// scope and sample rate mean nothing here.
    pub fn start(pid: u32, options: &Options, sink: impl Sink) -> Result<Self, Obstacle> {
        let btf = ladder::kernel_types();
        let mut ebpf = object::with_ring(OBJECT, btf.as_ref(), options.ring_bytes)?;
        let mut maps = Maps::take(&mut ebpf)?;
        let ring = Ring::new(object::take_map(&mut ebpf, "RING")?).map_err(map_failed)?;
        let per_call = object::take_map(&mut ebpf, "RECORDS_PER_CALL")?;
        let consumer = Consumer::spawn(ring, options, sink)?;
        maps.write(&Settings {
            tgid: pid,
            excluded_tid: consumer.tid(),
            wakeup_bytes: options.wakeup_bytes(),
            ..Settings::everything()
        })?;
        ladder::program(&mut ebpf, PROGRAM)
            .and_then(|program| ladder::load_one(program, RUNG, btf.as_ref()))
            .map_err(does_not_hold)?;
        let mut load = Self {
            consumer,
            maps,
            per_call: per_call.try_into().map_err(map_failed)?,
            link: None,
            ebpf,
        };
        load.set_per_call(1)?;
        load.attach()?;
        Ok(load)
    }

    /// Hooks the calls again. Nothing to do if they are hooked.
    pub fn attach(&mut self) -> Result<(), Obstacle> {
        if self.link.is_none() {
            let program = ladder::program(&mut self.ebpf, PROGRAM);
            let link = program.and_then(|program| ladder::attach_one(program, RUNG));
            self.link = Some(link.map_err(does_not_hold)?);
        }
        Ok(())
    }

    /// Takes the hook away: calls submit nothing until it is attached again.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// From now on every call submits so many records, at most
    /// [`MOST_PER_CALL`](Self::MOST_PER_CALL).
    pub fn set_per_call(&mut self, records: u32) -> Result<(), Obstacle> {
        self.per_call.set(0, records, 0).map_err(map_failed)
    }

    /// One call.
    pub fn call(&self) {
        std::hint::black_box(rustix::process::getppid());
    }

    /// The counts so far, the records as opens.
    pub fn stats(&self) -> Result<Stats, Obstacle> {
        self.maps.stats(self.consumer.received())
    }

    /// How many records the consumer has taken.
    pub fn received(&self) -> u64 {
        self.consumer.received()
    }

    /// Waits until the consumer has taken every record submitted so far, and
    /// gives the counts. Fails where the consumer stalls.
    pub fn drain(&self) -> Result<Stats, Obstacle> {
        let submitted = self.stats()?.total().submitted;
        self.consumer.wait_for(submitted, PATIENCE)?;
        self.stats()
    }

    /// The CPU time that the consumer thread has used.
    pub fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        self.consumer.cpu_time()
    }

    /// Keeps the consumer from reading, or lets it go on.
    pub fn pause_consumer(&self, paused: bool) {
        self.consumer.pause(paused);
    }
}

fn does_not_hold(error: String) -> Obstacle {
    Obstacle::new(
        format!("the load generator does not hold: {error}"),
        "run as root, on a kernel with BTF",
    )
}
