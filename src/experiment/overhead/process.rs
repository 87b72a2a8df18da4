//! What needs a process of its own: this same executable, once for each task.

use std::fmt::Display;
use std::process::Command;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::agent::{self, Agent};
use crate::experiment::{Assignment, Failure, Measured, die_with_parent, usage};
use crate::process::watch_signals;
use crate::schema::overhead::Footprint;

/// What a process of the measurement does, in place of the whole.
#[derive(Serialize, Deserialize)]
enum Task {
    Measure(Assignment),
    Footprint(agent::Options),
}

/// Does a task, as the hidden argument `--worker` has it, and prints what it gives.
///
/// # Errors
/// It cannot be done.
pub fn run_task(task: &str) -> Result<(), Failure> {
    die_with_parent().map_err(harness)?;
    // Ctrl-C reaches it as well: it ends its task, soon, and removes its files.
    watch_signals().map_err(harness)?;
    match serde_json::from_str(task).map_err(harness)? {
        Task::Measure(assignment) => println!("{}", json(&assignment.measure()?)),
        Task::Footprint(options) => {
            let mut agent = Agent::start(options)?;
            agent.attach()?;
            let footprint = usage::footprint_of_this_process().map_err(harness)?;
            println!("{}", json(&footprint));
        }
    }
    Ok(())
}

/// Processes of this executable, which wants `subcommand` before `--worker`.
pub(super) struct WorkerProcesses {
    pub(super) subcommand: Option<&'static str>,
}

impl WorkerProcesses {
    fn run<T: DeserializeOwned>(&self, task: &Task) -> Result<T, Failure> {
        let executable = std::env::current_exe().map_err(harness)?;
        let output = Command::new(executable)
            .args(self.subcommand)
            .args(["--worker", &json(task)])
            .output()
            .map_err(harness)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(harness(stderr.trim().trim_start_matches("error: ")));
        }
        serde_json::from_slice(&output.stdout).map_err(harness)
    }

    /// Measures one assignment in a new process.
    pub(super) fn measure(&self, assignment: &Assignment) -> Result<Measured, Failure> {
        self.run(&Task::Measure(assignment.clone()))
    }

    /// The memory of a new process that runs only the agent.
    pub(super) fn footprint(&self, options: &agent::Options) -> Option<Footprint> {
        self.run(&Task::Footprint(options.clone())).ok()
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("results are plain data")
}

fn harness(error: impl Display) -> Failure {
    Failure::Harness(error.to_string())
}
