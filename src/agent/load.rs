//! A load on the ring: records in any number, as fast as the kernel makes them.

use std::time::Duration;

use aya::Ebpf;
use aya::maps::{Array, MapData};

use super::consumer::Consumer;
use super::ladder::{self, Link};
use super::ring::Ring;
use super::settings::{Fields, Options, Settings};
use super::{Maps, Stats, map_failed, object};
use crate::host::Obstacle;

/// Hooks `getppid` of this process: every call submits a stated number of the
/// agent's own records of 64 bytes. They go to a sink, as the agent's do; calls
/// of the consumer's own thread submit none. Gone when dropped.
pub struct Load {
    consumer: Consumer,
    maps: Maps,
    per_call: Array<MapData, u32>,
    link: Option<Link>,
    ebpf: Ebpf,
}

impl Load {
    /// The most records that one call submits.
    pub const MOST_PER_CALL: u32 = 64;

    /// Attaches the program, one record a call. `pid` is this process as the
    /// kernel knows it (see [`Agent::pid`](super::Agent::pid)); of the options,
    /// scope and sample rate mean nothing here.
    pub fn start(pid: u32, options: &Options, sink: impl super::Sink) -> Result<Self, Obstacle> {
        let btf = ladder::kernel_types();
        let mut ebpf = object::load_generator(btf.as_ref(), options.ring_bytes)?;
        let mut maps = Maps::take(&mut ebpf)?;
        let ring = Ring::new(object::take_map(&mut ebpf, "RING")?).map_err(map_failed)?;
        let per_call = object::take_map(&mut ebpf, "RECORDS_PER_CALL")?;
        let consumer = Consumer::spawn(ring, options, sink).map_err(super::no_consumer)?;
        maps.write(&Settings {
            on: 1,
            match_all: 1,
            tgid: pid,
            excluded_tid: consumer.tid(),
            cgroup: 0,
            cgroup_level: 0,
            path_rules: 0,
            inode_rules: 0,
            sample: 1,
            fields: Fields::ALL.bits(),
            wakeup_bytes: options.wakeup.bytes(),
        })?;
        ladder::load_generator(&mut ebpf, btf.as_ref()).map_err(does_not_hold)?;
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
            self.link = Some(ladder::attach_generator(&mut self.ebpf).map_err(does_not_hold)?);
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
        super::stats(&self.maps, &self.consumer)
    }

    /// How many records the consumer has taken.
    pub fn received(&self) -> u64 {
        self.consumer.received()
    }

    /// Waits until the consumer has taken every record submitted so far, and
    /// gives the counts. Fails where the consumer stalls.
    pub fn drain(&self) -> Result<Stats, Obstacle> {
        super::drain(&self.maps, &self.consumer, super::DRAIN_PATIENCE)
    }

    /// The CPU time that the consumer thread has used.
    pub fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        super::cpu_time(&self.consumer)
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
