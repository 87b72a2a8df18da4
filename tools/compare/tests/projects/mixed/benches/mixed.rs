//! Four kinds of system call and four user-space loops, from 2 µs to 1 ms.
//!
//! Every operation is 20 units of work. `PROBECOST_PLANT_PCT=10` makes it 22:
//! a slowdown of 10 % that is really spent, in work of the same kind.
//! `PROBECOST_PLANT=sort` plants only in the benchmarks whose name contains it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::process::parent_id;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

const UNITS: u64 = 20;

fn units(bench: &str) -> u64 {
    let spared = std::env::var("PROBECOST_PLANT").is_ok_and(|part| !bench.contains(&part));
    let percent = match std::env::var("PROBECOST_PLANT_PCT") {
        Ok(text) if !spared => text.parse().expect("PROBECOST_PLANT_PCT is a whole number"),
        _ => 0,
    };
    UNITS + UNITS * percent / 100
}

fn bench(c: &mut Criterion, name: &str, mut unit: impl FnMut()) {
    let units = units(name);
    c.bench_function(name, |b| b.iter(|| (0..units).for_each(|_| unit())));
}

fn system_calls(c: &mut Criterion) {
    bench(c, "syscall/getppid", || {
        black_box(parent_id() ^ parent_id());
    });
    bench(c, "syscall/open_close", || {
        black_box(File::open("/etc/hosts").unwrap());
    });
    bench(c, "syscall/stat", || {
        black_box(std::fs::metadata("/etc/hosts").unwrap());
    });
    let (mut read, mut write) = std::io::pipe().unwrap();
    let mut buffer = [7u8; 64];
    bench(c, "syscall/pipe", || {
        write.write_all(&buffer).unwrap();
        read.read_exact(&mut buffer).unwrap();
    });
}

fn loops(c: &mut Criterion) {
    let numbers: Vec<u64> = (0..4096u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
    bench(c, "loop/xor_shift", || {
        black_box(black_box(&numbers).iter().fold(1u64, |a, n| (a ^ n).rotate_left(7)));
    });
    let small = &numbers[..1024];
    let mut scratch = small.to_vec();
    bench(c, "loop/sort", || {
        scratch.copy_from_slice(small);
        black_box(&mut scratch).sort_unstable();
    });
    let table: HashMap<u64, u64> = numbers.iter().map(|n| (*n, !n)).collect();
    bench(c, "loop/hash_lookup", || {
        black_box(numbers.iter().filter_map(|n| table.get(n)).fold(0, |a, b| a ^ b));
    });
    bench(c, "loop/tree_insert", || {
        black_box(small[..256].iter().map(|n| (*n, *n)).collect::<BTreeMap<u64, u64>>());
    });
}

criterion_group! {
    name = mixed;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(500))
        .sample_size(40)
        .nresamples(2000)
        .without_plots();
    targets = system_calls, loops
}
criterion_main!(mixed);
