//! What the agent's life costs: from its creation to its end, once and again.

mod agent;
mod history;
mod limits;
mod pipeline;
mod starts;
mod steps;

use probecost::agent::is_required;
use probecost_bench::{criterion, fail};

fn main() {
    let mut criterion = criterion();
    pipeline::bench(&mut criterion);
    if let Err(obstacle) = history::bench(&mut criterion) {
        fail(&obstacle);
    }
    if let Err(obstacle) = agent::bench(&mut criterion) {
        if is_required() {
            fail(&obstacle);
        }
        eprintln!("lifecycle: the rows with an agent are skipped: {obstacle}");
    }
    criterion.final_summary();
}

/// How many steps scenarios have.
const STEPS: [u32; 6] = [1, 2, 5, 10, 20, 50];

/// How many scenarios go on at once.
const TASKS: [usize; 4] = [5, 10, 25, 50];

/// A scenario: so many steps, one after the other.
fn run_steps(steps: u32, mut step: impl FnMut()) {
    (0..steps).for_each(|_| step());
}
