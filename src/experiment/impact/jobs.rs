//! Jobs: each arm runs the program to its end, in rounds of randomised order.

use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::resource::{UsageWho, getrusage};

use super::log::{ArmLog, ProgramBlock, ProgramMeasured};
use crate::arm::{Arm, SETTLE, Standing, stir, timed};
use crate::experiment::interleave::mirrored;
use crate::host::{MachineTime, Obstacle};
use crate::process::{Child, Ward, WardPlace, interrupted, interruption};
use crate::schema::impact::{ImpactMeasure, Proof};
use crate::stats::{CONFIDENCE, runs_for_median_interval};
use crate::workload::Job;

/// How long, and in which order.
#[derive(Debug, Clone, Copy)]
pub struct RoundsPlan {
    /// How long all rounds may take.
    pub length: Duration,
    /// So many rounds in place of that time.
    pub rounds: Option<usize>,
    /// The seed of the order of arms.
    pub seed: u64,
}

impl RoundsPlan {
    /// Whether to end after so many rounds, the longest of which took `longest`, with so
    /// much time left: not before there is an interval, unless the time is over.
    pub(super) fn is_over(&self, rounds: usize, left: Duration, longest: Duration) -> bool {
        let enough = PAIRS * rounds >= runs_for_median_interval(CONFIDENCE);
        match self.rounds {
            Some(wanted) => rounds >= wanted,
            None => left < longest && (enough || left.is_zero()),
        }
    }
}

/// Pairs of blocks in a round: observations.
const PAIRS: usize = 2;

/// The kind of error that a job can make.
const FAILED: &str = "failed";

/// The longest that one run of a job may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs `job` under each of `arms` (the first is `off`) until the time is over, in rounds
/// in which each arm comes twice, in an order and its mirror. An arm that fails ends, and
/// the others go on. `progress` is told the share of the time that has passed.
pub fn jobs(
    job: &mut dyn Job,
    arms: &[Arm],
    ward: &Ward,
    plan: &RoundsPlan,
    progress: impl FnMut(f64),
) -> Result<ProgramMeasured, Obstacle> {
    let mut logs: Vec<ArmLog> = arms.iter().map(ArmLog::new).collect();
    let place = ward.place("program");
    let mut runner = Runner { job, place };
    let mut standing: Vec<Standing> = arms.iter().map(|arm| Standing::new(arm, ward)).collect();
    // Caches fill, and a job that cannot run says so before anything is measured.
    let (block, child) = runner.run(
        &mut Standing::new(&Arm::Off, ward),
        &mut ArmLog::new(&Arm::Off),
        0,
    )?;
    if !block.failed.is_empty() {
        return Err(failing(runner.job.name(), &child));
    }
    let begin = Instant::now();
    let done = runner.rounds(plan, &mut standing, &mut logs, progress);
    end(&mut standing, &mut logs);
    done?;
    Ok(ProgramMeasured {
        program: runner.job.name().into(),
        wanted: &[ImpactMeasure::Seconds],
        arms: logs,
        length: begin.elapsed(),
        note: interrupted().then(|| "interrupted: what was measured until then".to_owned()),
    })
}

/// Ends the agents that stayed between blocks.
pub(super) fn end(standing: &mut [Standing], logs: &mut [ArmLog]) {
    for (arm, log) in standing.iter_mut().zip(logs) {
        match arm.end() {
            Ok(ended) => log.left(ended.unwrap_or_default()),
            Err(obstacle) => log.ended = log.ended.take().or(Some(obstacle)),
        }
    }
}

struct Runner<'a> {
    job: &'a mut dyn Job,
    place: WardPlace,
}

impl Runner<'_> {
    /// Rounds until the time is over.
    fn rounds(
        &mut self,
        plan: &RoundsPlan,
        standing: &mut [Standing],
        logs: &mut [ArmLog],
        mut progress: impl FnMut(f64),
    ) -> Result<(), Obstacle> {
        let mut rng = Rng::with_seed(plan.seed);
        let (begin, mut round, mut longest) = (Instant::now(), 0, Duration::ZERO);
        while !interrupted() {
            let left = plan.length.saturating_sub(begin.elapsed());
            if plan.is_over(round, left, longest) {
                break;
            }
            let round_begin = Instant::now();
            let live: Vec<usize> = (0..logs.len())
                .filter(|&i| logs[i].ended.is_none())
                .collect();
            if live.len() < 2 {
                break;
            }
            for place in mirrored(&mut rng, live.len()) {
                let arm = live[place];
                if interrupted() || logs[arm].ended.is_some() {
                    continue;
                }
                match self.run(&mut standing[arm], &mut logs[arm], round) {
                    Ok((block, _)) => logs[arm].blocks.push(block),
                    Err(_) if interrupted() => {}
                    Err(obstacle) if arm == 0 => return Err(obstacle),
                    Err(obstacle) => logs[arm].ended = Some(obstacle),
                }
                progress(begin.elapsed().as_secs_f64() / plan.length.as_secs_f64());
            }
            longest = longest.max(round_begin.elapsed());
            round += 1;
        }
        Ok(())
    }

    /// One run under one arm: the arm is on, proven, and off again when it is over.
    fn run(
        &mut self,
        arm: &mut Standing,
        log: &mut ArmLog,
        round: usize,
    ) -> Result<(ProgramBlock, Child), Obstacle> {
        let command = self.job.prepare()?;
        let mut child = self.place.gated(&command, &[])?;
        let pids = [child.pid()];
        let (held, on_ms) = timed(|| arm.on(&pids));
        let mut held = held?;
        log.turned_on(on_ms);
        let mut seen = held.prove(&pids, stir);
        if seen.proof == Proof::Bpf && seen.runs == Some(0) && log.blocks.is_empty() {
            // It may watch what only the program does.
            seen.runs = held.prove(&pids, || self.run_untimed()).runs;
        }
        log.saw(&seen);
        std::thread::sleep(SETTLE);
        let counted = held.counted();
        let (taken, cpu, switched) = (held.taken(), self.cpu(), switches());
        let begin = Instant::now();
        let released = child.release();
        let status = child.wait(PATIENCE);
        let seconds = begin.elapsed().as_secs_f64();
        let (took, used) = (held.taken(), self.cpu());
        held.alive()?;
        if let (Some(before), Some(after)) = (counted, held.counted()) {
            log.counts(before, after);
        }
        let mut block = ProgramBlock {
            round,
            seconds,
            tries: 1,
            ..ProgramBlock::default()
        };
        if !(released.is_ok() && status.is_some_and(|s| s.success())) {
            block.failed.insert(FAILED, 1);
        }
        block.took(taken, took);
        block.cpu = used
            .zip(cpu)
            .map(|(after, before)| after - before + block.agent_cpu.unwrap_or(0.0));
        block.values.insert(ImpactMeasure::Seconds, seconds);
        block.values.extend(
            switched
                .zip(switches())
                .map(|(before, after)| (ImpactMeasure::Switches, after - before)),
        );
        let (ended, off_ms) = timed(|| arm.off(held));
        log.turned_off(off_ms, ended?);
        if status.is_none() {
            // What left its group would run beside whatever is measured next.
            self.place.kill();
            return Err(match interrupted() {
                true => interruption(),
                false => Obstacle::new(
                    format!(
                        "{} runs for more than {} s",
                        self.job.name(),
                        PATIENCE.as_secs()
                    ),
                    "measure something shorter",
                ),
            });
        }
        Ok((block, child))
    }

    fn run_untimed(&mut self) {
        // Whether it succeeds shows in the run that is timed.
        if let Ok(command) = self.job.prepare()
            && let Ok(mut child) = self.place.start(command, &[])
        {
            child.wait(PATIENCE);
        }
        let _ = self.job.prepare();
    }

    /// CPU time of the program so far: of all that ran in its cgroup, or, without one, of
    /// the machine.
    fn cpu(&self) -> Option<f64> {
        self.place
            .cpu_seconds()
            .or_else(|| Some(MachineTime::now()?.busy))
    }
}

/// Context switches of all processes that ended and were waited for, by us or by one of them.
fn switches() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let switches = usage.voluntary_context_switches() + usage.involuntary_context_switches();
    Some(switches as f64)
}

fn failing(name: &str, child: &Child) -> Obstacle {
    child.output.settle(Duration::from_millis(100));
    let said = child.output.last_line().unwrap_or_default();
    Obstacle::new(
        format!("{name} fails without any agent: {said}"),
        "run it by hand and see",
    )
}
