use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use loops::{ALL, Work, summary};

const BYTES: usize = 1024;
const SET_UP: Duration = Duration::from_secs(0);

fn loops(c: &mut Criterion) {
    let work = Work::new(BYTES);
    let started = Instant::now();
    let mut sum = summary(&work);
    while started.elapsed() < SET_UP {
        sum ^= summary(black_box(&work));
    }
    black_box(sum);
    for &(id, run) in ALL {
        c.bench_function(id, |b| b.iter(|| run(black_box(&work))));
    }
}

