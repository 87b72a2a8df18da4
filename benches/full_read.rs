//! Read a file to its end, three sizes: without an agent, hooked, and audited.

use criterion::Throughput;
use probecost::workload::Name;
use probecost_bench::arms;

fn main() {
    arms::bench(&[
        (Name::FullRead, Some(Throughput::Bytes(4 << 10))),
        (Name::FullRead64k, Some(Throughput::Bytes(64 << 10))),
        (Name::FullRead1m, Some(Throughput::Bytes(1 << 20))),
    ]);
}
