//! One process of a measurement.
//!
//! What differs between two processes (where memory, code and buffers happen to
//! lie) is larger than what differs between two rounds within one, and no number
//! of rounds averages it out. So each workload is measured by many short
//! processes, and each counts as one observation.

use std::path::PathBuf;

use rustix::process::{Signal, getppid, kill_process, set_parent_process_death_signal};

use serde::{Deserialize, Serialize};

use super::{Failure, Measured, Plan, interleave};
use crate::agent::{self, Agent, Rule, pin_this_thread};
use crate::host::Obstacle;
use crate::workload::Name;

/// What one process measures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// The workload.
    pub workload: Name,
    /// The file of `open_close`.
    pub file: PathBuf,
    /// How its arms are interleaved.
    pub plan: Plan,
    /// The CPU of the workload.
    pub cpu: usize,
    /// The agent; none to measure only `off`.
    pub agent: Option<agent::Options>,
    /// Path rules in the agent's policy that match nothing.
    pub rules: usize,
}

impl Assignment {
    /// Starts its agent with its rules.
    pub(super) fn start_agent(&self) -> Result<Option<Agent>, Obstacle> {
        let Some(options) = &self.agent else {
            return Ok(None);
        };
        let mut agent = Agent::start(options.clone())?;
        for number in 0..self.rules {
            agent.add_rule(&Rule::Path(format!("/no/such/file/{number}").into()))?;
        }
        Ok(Some(agent))
    }

    /// Measures it in this process.
    ///
    /// # Errors
    /// The workload or the agent cannot be set up, or the measurement contradicts itself.
    pub fn measure(&self) -> Result<Measured, Failure> {
        let mut workload = self.workload.set_up(&self.file)?;
        workload.check()?;
        let mut agent = self.start_agent()?;
        pin_workload(self.cpu)?;
        let measured = interleave(&mut *workload, agent.as_mut(), &self.plan)?;
        workload.check()?;
        Ok(measured)
    }
}

/// Ties this thread to the workload's CPU.
pub(super) fn pin_workload(cpu: usize) -> Result<(), Obstacle> {
    pin_this_thread(cpu).map_err(|error| {
        Obstacle::new(
            format!("this process may not run on CPU {cpu}: {error}"),
            "name another with --cpu",
        )
    })
}

/// Has the kernel kill this process when its parent ends, so that a measurement
/// that is killed takes its processes, and with them every hook, away.
pub fn die_with_parent() -> std::io::Result<()> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended just before.
    if getppid() != parent {
        kill_process(rustix::process::getpid(), Signal::KILL)?;
    }
    Ok(())
}
