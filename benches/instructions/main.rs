//! How many instructions each step takes, and what it asks of the heap, counted by
//! valgrind: the same in every run of one binary, however busy the machine.

#[cfg(not(feature = "valgrind"))]
fn main() {
    println!(
        "instructions: not counted here; to count them: apt-get install valgrind && \
         cargo install gungraun-runner --version 0.20.0 && \
         cargo bench --features valgrind --bench instructions"
    );
}

#[cfg(feature = "valgrind")]
mod counted;

#[cfg(feature = "valgrind")]
use {
    counted::steps,
    gungraun::{Dhat, main, prelude::*},
};

#[cfg(feature = "valgrind")]
main!(
    config = LibraryBenchmarkConfig::default().tool(Dhat::default()),
    library_benchmark_groups = steps
);
