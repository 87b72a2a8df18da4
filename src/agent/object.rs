//! The compiled programs, as they are committed beside their sources.

use aya::maps::Map;
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};

use super::ladder;
use crate::host::Obstacle;

static AGENT: &[u8] = aya::include_bytes_aligned!("bpf/agent.bpf.o");

/// Creates the agent's maps and makes its programs ready to load.
pub(crate) fn load(btf: Option<&Btf>, ring_bytes: u32) -> Result<Ebpf, Obstacle> {
    with_ring(AGENT, btf, ring_bytes)
}

/// The same for another object with a ring.
pub(crate) fn with_ring(
    object: &[u8],
    btf: Option<&Btf>,
    ring_bytes: u32,
) -> Result<Ebpf, Obstacle> {
    let page = rustix::param::page_size() as u32;
    if !ring_bytes.is_power_of_two() || ring_bytes < page {
        return Err(Obstacle::new(
            format!("a ring of {ring_bytes} bytes cannot be"),
            format!("its size is a power of two from {page} on"),
        ));
    }
    EbpfLoader::new()
        .btf(btf)
        .map_max_entries("RING", ring_bytes)
        .load(object)
        .map_err(failed)
}

/// The map called `name`.
pub(crate) fn take_map(ebpf: &mut Ebpf, name: &str) -> Result<Map, Obstacle> {
    ebpf.take_map(name).ok_or_else(|| lacks(name))
}

/// The refusal where the object and this code no longer fit each other.
pub(crate) fn lacks(name: &str) -> Obstacle {
    Obstacle::new(
        format!("the eBPF object holds no {name}"),
        "rebuild it with tools/build-bpf",
    )
}

/// The obstacle where the kernel refuses an object's maps.
pub(crate) fn failed(error: EbpfError) -> Obstacle {
    Obstacle::new(
        format!(
            "the kernel did not take the agent's maps ({})",
            ladder::chain(&error)
        ),
        "run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN",
    )
}
