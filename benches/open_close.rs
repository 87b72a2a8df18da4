//! Open a file, read one byte, close it: without an agent, hooked, and audited.

mod arms;

use criterion::Throughput;
use probecost::workload::Name;

fn main() {
    arms::bench(&[(Name::OpenClose, Some(Throughput::Elements(1)))]);
}
