//! Connect a UDP socket over loopback: without an agent, hooked, and audited.

use criterion::Throughput;
use probecost::workload::Name;
use probecost_bench::arms;

fn main() {
    arms::bench(&[(Name::UdpConnect, Some(Throughput::Elements(1)))]);
}
