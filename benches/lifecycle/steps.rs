//! A scenario on the agent, step by step.

use std::fs::File;
use std::hint::black_box;

use probecost::agent::Agent;
use probecost::workload::default_file;

use crate::run_steps;

/// Each step opens a file, which is an event, and looks at the counts.
pub fn agent_steps(agent: &Agent, steps: u32) {
    run_steps(steps, || {
        let _ = black_box(File::open(default_file()));
        let _ = black_box(agent.stats());
    });
}
