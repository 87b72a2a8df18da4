//! A program whose cost is known, to calibrate the instrument with.

use std::time::Duration;

use aya::maps::{Array, MapData};
use aya::{Ebpf, EbpfLoader};

use crate::agent::ladder::{self, Link, Rung};
use crate::agent::maps::map_failed;
use crate::agent::object;
use crate::host::Obstacle;

static OBJECT: &[u8] = aya::include_bytes_aligned!("../agent/bpf/spin.bpf.o");

/// `struct spin`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Spin {
    tgid: u32,
    target_ns: u32,
}

// SAFETY: integers only.
unsafe impl aya::Pod for Spin {}

/// Hooks `getppid` of this process with a program that spins for a stated time.
/// Gone when dropped.
pub struct Spinner {
    target: Array<MapData, Spin>,
    tgid: u32,
    _link: Link,
    _ebpf: Ebpf,
}

impl Spinner {
    /// Attaches the program, spinning for no time. `pid` is this process as the
    /// kernel knows it (see [`Agent::pid`](crate::agent::Agent::pid)).
    pub fn start(pid: u32) -> Result<Self, Obstacle> {
        let mut ebpf = EbpfLoader::new().load(OBJECT).map_err(object::failed)?;
        let target = object::take_map(&mut ebpf, "SPIN")?;
        let program = ladder::program(&mut ebpf, "spin");
        let link = program.and_then(|program| {
            ladder::load_one(program, Rung::RawTpSysEnter, None)?;
            ladder::attach_one(program, Rung::RawTpSysEnter)
        });
        let link = link.map_err(|error| Obstacle::new(format!("spin: {error}"), "run as root"))?;
        let mut spinner = Self {
            target: target.try_into().map_err(map_failed)?,
            tgid: pid,
            _link: link,
            _ebpf: ebpf,
        };
        spinner.set(Duration::ZERO)?;
        Ok(spinner)
    }

    /// From now on every `getppid` takes so much longer, to the nanosecond.
    pub fn set(&mut self, spin: Duration) -> Result<(), Obstacle> {
        let spin = Spin {
            tgid: self.tgid,
            target_ns: u32::try_from(spin.as_nanos()).unwrap_or(u32::MAX),
        };
        self.target.set(0, spin, 0).map_err(map_failed)
    }
}
