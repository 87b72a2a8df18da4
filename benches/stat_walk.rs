//! Walk a tree of 400 files and stat each: without an agent, hooked, and audited.

use criterion::Throughput;
use probecost::workload::Name;
use probecost_bench::arms;

fn main() {
    arms::bench(&[(Name::StatWalk, Some(Throughput::Elements(400)))]);
}
