//! Connect a UDP socket over loopback: without an agent, hooked, and audited.

mod arms;

use criterion::Throughput;
use probecost::workload::Name;

fn main() {
    arms::bench(&[(Name::UdpConnect, Some(Throughput::Elements(1)))]);
}
