//! The whole instrument: every arm of every workload, and the controls.

mod args;
mod controls;
mod judging;
mod process;
mod request;
mod rows;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use args::OverheadArgs;
pub use judging::{OverheadBudget, exit};
use process::WorkerProcesses;
pub use process::run_task;
pub use request::OverheadRequest;

use super::assignment::{Assignment, pin_workload};
use super::{Failure, Measured, kernel_time};
use indicatif::{ProgressBar, ProgressStyle};

use crate::agent::{self, Agent, Wakeup};
use crate::file;
use crate::host::{self, Obstacle, Right, Watch};
use crate::process::{interrupted, interruption, watch_signals};
use crate::schema::overhead::{
    AgentReport, Controls, FILE, OffAgainstOff, OverheadReport, OverheadRow, OverheadSettings,
    PairedComparison, SCHEMA, WorkloadPlace,
};
use crate::schema::{Host, OverheadArm};
use crate::stats::{CONFIDENCE, median, runs_for_median_interval};
use crate::workload::{Name, Workload};

/// How long one process measures: a few rounds.
const PROCESS: Duration = Duration::from_millis(600);

/// What the report of a measurement that was cut off says of itself.
const UNFINISHED: &str = "the measurement was cut off: there would have been more rows";

/// Measures what the arguments ask for with a progress bar, keeping what there is in
/// their directory; none where they ask for nothing. `subcommand` is what this
/// executable wants before `--worker`.
///
/// # Errors
/// Nothing could be measured.
pub fn run(
    arguments: &OverheadArgs,
    subcommand: Option<&'static str>,
) -> Result<Option<OverheadReport>, Obstacle> {
    let request = arguments.request()?;
    if request.workloads.is_empty() {
        return Ok(None);
    }
    // Before measuring, so that a typo costs nothing.
    file::make_directory(&arguments.out)?;
    watch_signals().map_err(|error| Obstacle::new(error.to_string(), "start it again"))?;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {msg} {elapsed}").expect("a valid template"),
    );
    let progress = |what: &str, done: f64| {
        bar.set_message(what.to_string());
        bar.set_position((1000.0 * done) as u64);
    };
    let keep = |report: &OverheadReport| file::write_json(&arguments.out.join(FILE), report);
    let workers = WorkerProcesses { subcommand };
    let report = overhead(&request, &workers, judging::budgets()?, progress, keep)?;
    bar.finish_and_clear();
    Ok(Some(report))
}

/// Measures it all. `progress` is told what is being measured, and the share of
/// it that is done; `keep` is given the report whenever a workload has been
/// measured, so that an interruption loses no more than the one under way.
///
/// Fails only where nothing could be measured: what goes wrong with one
/// workload is a row that says so.
fn overhead(
    request: &OverheadRequest,
    workers: &WorkerProcesses,
    budget: impl Fn(Name) -> OverheadBudget,
    mut progress: impl FnMut(&str, f64),
    keep: impl Fn(&OverheadReport) -> Result<(), Obstacle>,
) -> Result<OverheadReport, Obstacle> {
    let host = Host::read().map_err(|e| Obstacle::new(e.to_string(), "mount /proc and /sys"))?;
    let (mut workloads, mut places) = (Vec::new(), Vec::new());
    for &name in &request.workloads {
        let mut workload = name.set_up(&request.assignment.file)?;
        workload.check()?;
        if let Some(path) = workload.place() {
            places.push(WorkloadPlace {
                workload: name.to_string(),
                file_system: host::file_system(path)?,
                path: path.to_owned(),
            });
        }
        workloads.push((name, workload));
    }
    pin_workload(request.assignment.cpu)?;
    let watch = Watch::start();
    let mut warnings = warnings(&request.assignment);
    warnings.push(UNFINISHED.into());

    progress("agent", 0.0);
    let mut agent = match request.assignment.start_agent() {
        Err(obstacle) if !request.agent_optional => return Err(obstacle),
        other => other,
    };
    let mut report = OverheadReport {
        schema: SCHEMA,
        provenance: Some(host::provenance()),
        host,
        settings: settings(request, places),
        agent: match &agent {
            Ok(Some(agent)) => AgentReport {
                footprint: request
                    .assignment
                    .agent
                    .as_ref()
                    .and_then(|options| workers.footprint(options)),
                ..AgentReport::of(agent)
            },
            Ok(None) => AgentReport::default(),
            Err(obstacle) => AgentReport::missing(obstacle),
        },
        rows: Vec::new(),
        controls: Controls::default(),
        system_load: None,
        warnings,
    };
    let mut a_a = BTreeMap::new();
    for (name, workload) in &mut workloads {
        let mut told = |done: f64| progress(name.as_str(), done);
        let one = measure(
            *name,
            &mut **workload,
            &mut agent,
            request,
            workers,
            &budget,
            &mut told,
        );
        // What a workload works on goes with it, and what was measured before is kept.
        if interrupted() {
            return Err(interruption());
        }
        match one {
            Ok(one) => {
                report.rows.extend(one.rows);
                a_a.extend(one.a_a.map(|versus| (name.to_string(), versus.ratio)));
                let share = &mut report.agent.consumer_cpu_share;
                *share = share
                    .iter()
                    .copied()
                    .chain(one.consumer_cpu_share)
                    .reduce(f64::max);
                report.settings.clock_ns = Some(one.clock_ns);
            }
            Err(failure) => report
                .rows
                .extend(rows::failed(*name, &failure.to_string())),
        }
        report.controls.a_a = OffAgainstOff::of(a_a.clone());
        // Cut off from here on, it has no controls.
        let mut unproven = report.clone();
        judging::distrust_unproven(&mut unproven.rows, UNFINISHED);
        keep(&unproven)?;
    }
    for (name, ratio) in report.controls.a_a.iter().flat_map(|a_a| &a_a.workloads) {
        if !ratio.contains(1.0) {
            judging::distrust_unsteady(&mut report.rows, name);
        }
    }
    let agent = agent.as_mut().ok().and_then(Option::as_mut);
    let unmeasured = controls::measure(
        &mut report.controls,
        &mut workloads,
        agent,
        request,
        &mut progress,
    );
    if interrupted() {
        return Err(interruption());
    }
    for failure in unmeasured {
        let why = format!("a control could not be measured: {failure}");
        judging::distrust_unproven(&mut report.rows, &why);
        report.warnings.push(why);
    }
    let open = judging::judge_controls(&mut report.controls, &mut report.rows);
    report.warnings.extend(open);
    report.warnings.retain(|warning| warning != UNFINISHED);
    let system_load = watch.stop();
    report.warnings.extend(system_load.disturbances());
    report.system_load = Some(system_load);
    keep(&report)?;
    Ok(report)
}

fn warnings(assignment: &Assignment) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(options) = &assignment.agent else {
        return warnings;
    };
    if options.cpu == Some(assignment.cpu) {
        warnings.push(
            "the consumer shares the workload's CPU, so the event arm pays for its work, too"
                .into(),
        );
    }
    if let Err(obstacle) = Right::SysAdmin.check() {
        warnings.push(format!(
            "what the programs ran for, and other agents, cannot be seen: {}",
            obstacle.why
        ));
    }
    warnings.extend(agent::others().into_iter().map(|other| {
        format!("{other} is attached already: off is not free of agents, and all costs stand on top of it")
    }));
    warnings
}

struct One {
    rows: Vec<OverheadRow>,
    a_a: Option<PairedComparison>,
    consumer_cpu_share: Option<f64>,
    clock_ns: f64,
}

/// One workload: a process after the other, and the kernel's count in a pass of
/// its own.
fn measure(
    name: Name,
    workload: &mut dyn Workload,
    agent: &mut Result<Option<Agent>, Obstacle>,
    request: &OverheadRequest,
    workers: &WorkerProcesses,
    budget: &impl Fn(Name) -> OverheadBudget,
    progress: &mut impl FnMut(f64),
) -> Result<One, Failure> {
    let calls = workload.calls();
    // A workload whose calls found no rung is measured without the agent, and
    // its other rows say why.
    let blind = match agent {
        Ok(Some(agent)) => agent.blind_to(calls.opens > 0, calls.connects > 0),
        Ok(None) => None,
        Err(obstacle) => Some(obstacle.to_string()),
    };
    let mut assignment = Assignment {
        workload: name,
        ..request.assignment.clone()
    };
    if blind.is_some() {
        assignment.agent = None;
    }
    let fewest = runs_for_median_interval(CONFIDENCE);
    let count = (request.length.div_duration_f64(PROCESS) as usize).max(fewest);
    assignment.plan.length = request.length / count as u32;
    let mut processes: Vec<Measured> = Vec::new();
    let begin = Instant::now();
    while processes.len() < fewest || begin.elapsed() < request.length {
        if interrupted() {
            return Err(interruption().into());
        }
        assignment.plan.seed = request
            .assignment
            .plan
            .seed
            .wrapping_add(processes.len() as u64);
        processes.push(workers.measure(&assignment)?);
        let done = begin.elapsed().div_duration_f64(request.length);
        progress(done.min(processes.len() as f64 / fewest as f64));
    }
    let mut rows = rows::rows(name, calls, &processes, budget(name));
    let a_a = rows.first().and_then(OverheadRow::compared);
    // The kernel counts only for those who may see all programs.
    if let (None, Ok(Some(agent)), Ok(_)) = (&blind, agent, Right::SysAdmin.check()) {
        for row in rows.iter_mut().filter(|row| row.arm != OverheadArm::Off) {
            let pass = Duration::from_millis(200);
            row.kernel = Some(kernel_time(
                workload,
                agent,
                row.arm == OverheadArm::Event,
                pass,
            )?);
        }
    }
    if let Some(why) = blind {
        rows.extend(rows::skipped(name, &why));
    }
    let shares: Vec<f64> = processes
        .iter()
        .filter_map(Measured::consumer_cpu_share)
        .collect();
    let clocks: Vec<f64> = processes.iter().map(|process| process.clock_ns).collect();
    Ok(One {
        rows,
        a_a,
        consumer_cpu_share: median(&shares),
        clock_ns: median(&clocks).unwrap_or(0.0),
    })
}

fn settings(request: &OverheadRequest, places: Vec<WorkloadPlace>) -> OverheadSettings {
    let assignment = &request.assignment;
    let options = assignment.agent.clone().unwrap_or_default();
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    OverheadSettings {
        seconds: request.length.as_secs_f64(),
        block_ms: milliseconds(assignment.plan.block),
        seed: assignment.plan.seed,
        cpu: assignment.cpu,
        consumer_cpu: options.cpu,
        ring_bytes: options.ring_bytes,
        wakeup: match options.wakeup {
            Wakeup::Never => "never".into(),
            Wakeup::Default => "default".into(),
            Wakeup::Bytes(bytes) => bytes.to_string(),
        },
        drain_ms: milliseconds(options.drain_every),
        rules: assignment.rules,
        file: assignment.file.clone(),
        places,
        clock_ns: None,
    }
}
