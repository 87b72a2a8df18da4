//! Jobs: each arm runs the program to its end, in rounds of randomised order.

use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::resource::{UsageWho, getrusage};

use super::log::{ArmLog, ProgramBlock, ProgramMeasured};
use crate::arm::{Arm, Held, Leftovers, SETTLE, Standing, stir, timed};
use crate::experiment::interleave::mirrored;
use crate::host::{MachineTime, Obstacle};
use crate::process::{Child, Ward, WardPlace, interrupted, interruption};
use crate::schema::impact::ImpactMeasure;
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
/// the others go on. `left` is what agents left loaded, under which nothing can be measured.
/// Where the job itself cannot go on, what was measured until then is kept. `progress` is
/// told the share of the time that has passed.
pub fn jobs(
    job: &mut dyn Job,
    arms: &[Arm],
    ward: &Ward,
    left: &mut Leftovers,
    plan: &RoundsPlan,
    progress: impl FnMut(f64),
) -> Result<ProgramMeasured, Obstacle> {
    left.must_be_gone()?;
    let mut logs: Vec<ArmLog> = arms.iter().map(ArmLog::new).collect();
    let mut runner = Runner {
        job,
        place: ward.place("program"),
        untimed: ward.place("program/untimed"),
        left,
    };
    let mut standing: Vec<Standing> = arms.iter().map(|arm| Standing::new(arm, ward)).collect();
    // Caches fill, and a job that cannot run says so before anything is measured.
    let mut child = runner.gated()?;
    let block = runner.run(
        &mut child,
        &mut Standing::new(&Arm::Off, ward),
        &mut ArmLog::new(&Arm::Off),
    )?;
    if !block.failed.is_empty() {
        return Err(failing(runner.job.name(), &child));
    }
    let begin = Instant::now();
    let done = runner.rounds(plan, &mut standing, &mut logs, progress);
    end(&mut standing, &mut logs, runner.left);
    Ok(ProgramMeasured {
        program: runner.job.name().into(),
        wanted: &[ImpactMeasure::Seconds],
        is_control: runner.job.is_control(),
        arms: logs,
        length: begin.elapsed(),
        note: interrupted().then(|| "interrupted: what was measured until then".to_owned()),
        ended: done.err(),
    })
}

/// Ends the agents that stayed between blocks.
pub(super) fn end(standing: &mut [Standing], logs: &mut [ArmLog], left: &mut Leftovers) {
    for (arm, log) in standing.iter_mut().zip(logs) {
        match arm.end() {
            Ok(ended) => log.left(ended.unwrap_or_default()),
            Err(obstacle) => {
                left.note(&log.name, arm.left());
                log.ended = log.ended.take().or(Some(obstacle));
            }
        }
    }
}

struct Runner<'a> {
    job: &'a mut dyn Job,
    place: WardPlace,
    /// Within that place, for runs while another waits at its gate.
    untimed: WardPlace,
    left: &'a mut Leftovers,
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
            for (turn, place) in mirrored(&mut rng, live.len()).into_iter().enumerate() {
                let (arm, half) = (live[place], turn / live.len());
                if interrupted() || logs[arm].ended.is_some() {
                    continue;
                }
                self.left.must_be_gone()?;
                // Where that fails, no arm is to blame.
                let mut child = self.gated()?;
                match self.run(&mut child, &mut standing[arm], &mut logs[arm]) {
                    Ok(mut block) => {
                        (block.round, block.half) = (round, half);
                        logs[arm].blocks.push(block);
                    }
                    Err(_) if interrupted() => {}
                    Err(obstacle) if arm == 0 => return Err(obstacle),
                    Err(obstacle) => {
                        self.left.note(&logs[arm].name, standing[arm].left());
                        logs[arm].ended = Some(obstacle);
                    }
                }
                progress(begin.elapsed().as_secs_f64() / plan.length.as_secs_f64());
            }
            longest = longest.max(round_begin.elapsed());
            round += 1;
        }
        Ok(())
    }

    /// The job, held back at a gate.
    fn gated(&mut self) -> Result<Child, Obstacle> {
        let command = self.job.prepare()?;
        self.place.gated(&command, &[])
    }

    /// One run under one arm: the arm is on, proven, and off again when it is over.
    fn run(
        &mut self,
        child: &mut Child,
        arm: &mut Standing,
        log: &mut ArmLog,
    ) -> Result<ProgramBlock, Obstacle> {
        let pids = [child.pid()];
        let (held, on_ms) = timed(|| arm.on(&pids));
        let mut held = held?;
        log.turned_on(on_ms);
        let seen = held.prove(&pids, stir);
        // It may watch what only the program does.
        let wants_more = seen.runs == Some(0) && (log.blocks.is_empty() || log.is_stirred());
        let more = wants_more.then(|| held.prove(&pids, || self.run_untimed()));
        log.saw(&seen, more.as_ref());
        std::thread::sleep(SETTLE);
        // Before the job has begun, nothing excuses an agent that has ended.
        held.alive()?;
        // What takes longer under an agent comes first and last, so that all else is read
        // over the same time for every arm.
        let (counted, taken) = (held.counted(), held.taken());
        let cpu = |held: &Held| (self.cpu(), held.cpu_seconds());
        let (switched, before, begin) = (switches(), cpu(&held), Instant::now());
        let released = child.release();
        let status = held.watch(child, PATIENCE);
        let seconds = begin.elapsed().as_secs_f64();
        let (after, switched) = (cpu(&held), switched.zip(switches()));
        // What it left would run beside whatever is measured next.
        self.place.kill();
        let status = status?;
        let mut block = ProgramBlock {
            seconds,
            tries: 1,
            ..ProgramBlock::default()
        };
        if !(released.is_ok() && status.is_some_and(|s| s.success())) {
            block.failed.insert(FAILED, 1);
        }
        block.used(before, after);
        block.values.insert(ImpactMeasure::Seconds, seconds);
        let switched = switched.map(|(before, after)| (ImpactMeasure::Switches, after - before));
        block.values.extend(switched);
        block.took(taken, held.taken());
        if let (Some(before), Some(after)) = (counted, held.counted()) {
            log.counts(before, after);
        }
        let (ended, off_ms) = timed(|| arm.off(held));
        log.turned_off(off_ms, ended?);
        if status.is_none() {
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
        Ok(block)
    }

    fn run_untimed(&mut self) {
        // Whether it succeeds shows in the run that is timed.
        if let Ok(command) = self.job.prepare()
            && let Ok(mut child) = self.untimed.start(command, &[])
        {
            child.wait(PATIENCE);
        }
        self.untimed.kill();
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
