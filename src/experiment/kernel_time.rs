//! The kernel's own count of how long the agent's programs run.

use std::time::Duration;

use super::{Failure, Timer};
use crate::agent::Agent;
use crate::schema::overhead::KernelTime;
use crate::workload::Workload;

/// Runs `workload` with the agent attached, silent or emitting, while the
/// kernel counts. A pass of its own, since counting itself costs time.
pub fn kernel_time(
    workload: &mut dyn Workload,
    agent: &mut Agent,
    emitting: bool,
    length: Duration,
) -> Result<KernelTime, Failure> {
    let timer = Timer::new(workload)?;
    let counting = agent.count_run_time()?;
    agent.set_emitting(emitting)?;
    agent.attach()?;
    timer.settle(workload, Duration::from_millis(1))?;
    let before = totals(agent)?;
    let (ops, _) = timer.batches(workload, length)?;
    let after = totals(agent)?;
    drop(counting);
    agent.detach();
    agent.drain()?;
    Ok(KernelTime {
        program_ns: (after.0 - before.0) as f64 / ops as f64,
        runs: (after.1 - before.1) as f64 / ops as f64,
    })
}

/// Nanoseconds and runs of all programs.
fn totals(agent: &Agent) -> Result<(u64, u64), Failure> {
    let times = agent.run_times()?;
    Ok(times
        .iter()
        .fold((0, 0), |(ns, runs), one| (ns + one.ns, runs + one.runs)))
}
