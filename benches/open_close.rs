//! Open a file, read one byte, close it: without an agent, hooked, and audited.

use criterion::Throughput;
use probecost::workload::Name;
use probecost_bench::arms;

fn main() {
    arms::bench(&[(Name::OpenClose, Some(Throughput::Elements(1)))]);
}
