//! Walk a tree of 400 files and stat each: without an agent, hooked, and audited.

mod arms;

use criterion::Throughput;
use probecost::workload::Name;

fn main() {
    arms::bench(&[(Name::StatWalk, Some(Throughput::Elements(400)))]);
}
