//! Services: arms alternate under one load that keeps running.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::RoundsPlan;
use super::jobs::end;
use super::log::{ArmLog, ProgramBlock, ProgramMeasured};
use super::source::{Source, Span};
use crate::arm::{Arm, SETTLE, Standing, stir, timed};
use crate::experiment::interleave::mirrored;
use crate::host::Obstacle;
use crate::load::{self, Regime};
use crate::monitor::Monitor;
use crate::process::{Ward, interrupted};
use crate::schema::impact::{ImpactMeasure, Proof};
use crate::schema::load::RequestError;
use crate::stats::median;
use crate::workload::Service;

/// How long the server is asked as fast as it answers, to learn how fast that is.
const TRIAL: Duration = Duration::from_secs(2);

/// The shortest and the longest block. A stall of the machine spoils the short block it
/// falls into, and leaves many others.
const BLOCK: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(4)];

/// The fewest requests of a block: fifty lie above the 95th percentile.
const REQUESTS: f64 = 1000.0;

/// How many times what switching takes a block is long.
const SWITCHES: f64 = 10.0;

/// Rounds that the time should do for, if that takes shorter blocks.
const ROUNDS: u32 = 16;

/// What a service is measured for: at half of its rate, and as fast as it answers.
const WANTED: [ImpactMeasure; 5] = [
    ImpactMeasure::P50,
    ImpactMeasure::P95,
    ImpactMeasure::P99,
    ImpactMeasure::Max,
    ImpactMeasure::Throughput,
];

/// Measures `service` under each of `arms` (the first is `off`): latency at half of the rate
/// that it can answer, then throughput as fast as it answers. `cpu` is the load's.
pub fn running(
    service: &mut Service,
    arms: &[Arm],
    ward: &Ward,
    plan: &RoundsPlan,
    cpu: Option<usize>,
    mut progress: impl FnMut(f64),
) -> Result<ProgramMeasured, Obstacle> {
    let begin = Instant::now();
    let mut logs: Vec<ArmLog> = arms.iter().map(ArmLog::new).collect();
    let mut standing: Vec<Standing> = arms.iter().map(|arm| Standing::new(arm, ward)).collect();
    let most = capacity(service, ward, cpu)?;
    let mut stage = Stage {
        service,
        ward,
        cpu,
        rng: Rng::with_seed(plan.seed),
        rate: most / 2.0,
        round: 0,
        misled: 0,
    };
    stage.try_arms(&mut standing, &mut logs);
    let half = RoundsPlan {
        length: plan.length.saturating_sub(begin.elapsed()) / 2,
        ..*plan
    };
    let done = [Regime::Rate(stage.rate), Regime::Saturation]
        .into_iter()
        .enumerate()
        .try_for_each(|(phase, regime)| {
            let told = |share: f64| progress((phase as f64 + share) / 2.0);
            stage.phase(regime, &half, &mut standing, &mut logs, told)
        });
    end(&mut standing, &mut logs);
    done?;
    let mut note = format!("at saturation {most:.0} a second; latencies at half of that");
    if stage.misled > 0 {
        note += &format!(
            "; {} blocks left out, in which the load fell behind by itself",
            stage.misled
        );
    }
    if interrupted() {
        note += "; interrupted: what was measured until then";
    }
    Ok(ProgramMeasured {
        program: stage.service.name.clone(),
        wanted: &WANTED,
        arms: logs,
        // Both regimes have as many rounds.
        length: begin.elapsed(),
        note: Some(note),
    })
}

/// Answers a second, asked as fast as they come.
fn capacity(service: &Service, ward: &Ward, cpu: Option<usize>) -> Result<f64, Obstacle> {
    let source = Source::start(service, Regime::Saturation, ward, cpu)?;
    // The first half is for caches.
    std::thread::sleep(TRIAL / 2);
    let from = Instant::now();
    std::thread::sleep(TRIAL / 2);
    let blocks = source.finish(&[(from, Instant::now())])?;
    let block = blocks.first().filter(|block| block.tally.answered > 0);
    let block = block.ok_or_else(|| {
        Obstacle::new(
            format!("{} answers nothing", service.name),
            "see its log, or name another --url",
        )
    })?;
    Ok(block.throughput())
}

struct Stage<'a> {
    service: &'a mut Service,
    ward: &'a Ward,
    cpu: Option<usize>,
    rng: Rng,
    /// Requests a second, in the slower regime.
    rate: f64,
    round: usize,
    /// Blocks in which the load itself was late.
    misled: usize,
}

/// A block that has been measured but for what the load saw of it.
struct Pending {
    arm: usize,
    span: Span,
    block: ProgramBlock,
}

impl Stage<'_> {
    /// Turns every arm on and off once: how long that takes decides how long blocks are, and
    /// one that cannot be turned on has no blocks at all.
    fn try_arms(&mut self, standing: &mut [Standing], logs: &mut [ArmLog]) {
        for (arm, log) in standing.iter_mut().zip(logs) {
            if let Err(obstacle) = self.switch(arm, log, None) {
                log.ended = Some(obstacle);
            }
        }
    }

    /// How long a block is: long beside what switching took, but no longer than lets
    /// enough rounds of them all into the time; and never too short for percentiles.
    fn block_length(logs: &[ArmLog], length: Duration, rate: f64) -> Duration {
        let switches: Vec<f64> = logs.iter().filter_map(ArmLog::switch_ms).collect();
        let longest = switches.iter().copied().fold(0.0, f64::max);
        let round = (length / ROUNDS).as_secs_f64() / 2.0 - switches.iter().sum::<f64>() / 1e3;
        let fits = round.max(0.0) / logs.len() as f64;
        let block = fits.min(SWITCHES * longest / 1e3).max(REQUESTS / rate);
        Duration::try_from_secs_f64(block)
            .unwrap_or(BLOCK[1])
            .clamp(BLOCK[0], BLOCK[1])
    }

    /// Rounds under one load.
    fn phase(
        &mut self,
        regime: Regime,
        plan: &RoundsPlan,
        standing: &mut [Standing],
        logs: &mut [ArmLog],
        mut progress: impl FnMut(f64),
    ) -> Result<(), Obstacle> {
        let mut source = Source::start(self.service, regime, self.ward, self.cpu)?;
        std::thread::sleep(Duration::from_millis(500));
        let (begin, mut pending, first) = (Instant::now(), Vec::new(), self.round);
        let mut longest = Duration::ZERO;
        loop {
            let left = plan.length.saturating_sub(begin.elapsed());
            if interrupted() || plan.is_over(self.round - first, left, longest) {
                break;
            }
            let live: Vec<usize> = (0..logs.len())
                .filter(|&i| logs[i].ended.is_none())
                .collect();
            if live.len() < 2 {
                break;
            }
            let round = Instant::now();
            let block = Self::block_length(logs, plan.length, self.rate);
            for place in mirrored(&mut self.rng, live.len()) {
                let arm = live[place];
                if interrupted() || logs[arm].ended.is_some() {
                    continue;
                }
                match self.switch(&mut standing[arm], &mut logs[arm], Some(block)) {
                    Ok((span, block)) => pending.push(Pending { arm, span, block }),
                    Err(_) if interrupted() => {}
                    Err(obstacle) if arm == 0 => return Err(obstacle),
                    Err(obstacle) => logs[arm].ended = Some(obstacle),
                }
                self.service.alive()?;
                source.alive()?;
                progress(begin.elapsed().as_secs_f64() / plan.length.as_secs_f64().max(1e-3));
            }
            longest = longest.max(round.elapsed());
            self.round += 1;
        }
        let spans: Vec<Span> = pending.iter().map(|pending| pending.span).collect();
        let seen = source.finish(&spans)?;
        for (pending, seen) in pending.into_iter().zip(seen) {
            if matches!(regime, Regime::Rate(_)) && seen.tally.fell_behind() {
                self.misled += 1;
                continue;
            }
            logs[pending.arm]
                .blocks
                .push(filled(pending.block, &seen, regime));
        }
        Ok(())
    }

    /// One block of one arm: on, proven, so long under load, off. Without a length it is only
    /// switched.
    fn switch(
        &mut self,
        arm: &mut Standing,
        log: &mut ArmLog,
        length: Option<Duration>,
    ) -> Result<(Span, ProgramBlock), Obstacle> {
        let pids = self.service.pids();
        let (held, on_ms) = timed(|| arm.on(&pids));
        let mut held = held?;
        log.turned_on(on_ms);
        let mut seen = held.prove(&pids, stir);
        if seen.proof == Proof::Bpf && seen.runs == Some(0) {
            // It may watch what only the program does, which is under load.
            let wait = || std::thread::sleep(Duration::from_millis(50));
            seen.runs = held.prove(&pids, wait).runs;
        }
        log.saw(&seen);
        std::thread::sleep(SETTLE);
        let counted = held.counted();
        let mut monitor = Monitor::of(self.service.pid()).ok();
        let (taken, cpu, from) = (held.taken(), self.service.cpu_seconds(), Instant::now());
        let length = length.unwrap_or_default();
        // In slices, so that Ctrl-C is heard.
        while from.elapsed() < length && !interrupted() {
            std::thread::sleep(
                (length - from.elapsed().min(length)).min(Duration::from_millis(200)),
            );
        }
        let to = Instant::now();
        let (took, used) = (held.taken(), self.service.cpu_seconds());
        held.alive()?;
        if let (Some(before), Some(after)) = (counted, held.counted()) {
            log.counts(before, after);
        }
        let mut block = ProgramBlock {
            round: self.round,
            seconds: (to - from).as_secs_f64(),
            ..ProgramBlock::default()
        };
        if let Some(sample) = monitor.as_mut().and_then(Monitor::look) {
            let switches = sample.voluntary_switches + sample.involuntary_switches;
            block
                .values
                .insert(ImpactMeasure::Switches, switches as f64);
        }
        block.took(taken, took);
        block.cpu = used
            .zip(cpu)
            .map(|(after, before)| after - before + block.agent_cpu.unwrap_or(0.0));
        let (ended, off_ms) = timed(|| arm.off(held));
        log.turned_off(off_ms, ended?);
        Ok(((from, to), block))
    }
}

/// The block with what the load saw of it.
fn filled(mut block: ProgramBlock, seen: &load::LoadBlock, regime: Regime) -> ProgramBlock {
    block.tries = seen.tally.due();
    block.failed = RequestError::ALL
        .into_iter()
        .map(|kind| (kind.word(), seen.tally.errors(kind)))
        .filter(|(_, count)| *count > 0)
        .collect();
    match regime {
        Regime::Rate(_) => {
            let quantiles = [
                (ImpactMeasure::P50, 0.5),
                (ImpactMeasure::P95, 0.95),
                (ImpactMeasure::P99, 0.99),
                (ImpactMeasure::Max, 1.0),
            ];
            for (measure, q) in quantiles {
                let latency = seen.tally.latency_us(q).map(|us| us / 1e3);
                block.values.extend(latency.map(|ms| (measure, ms)));
            }
        }
        Regime::Saturation => {
            // As fast as it answers, neither is a question of cost.
            (block.cpu, block.agent_cpu) = (None, None);
            block.values.remove(&ImpactMeasure::Switches);
            block
                .values
                .insert(ImpactMeasure::Throughput, seen.throughput());
        }
    }
    block
}

impl ArmLog {
    /// How long turning it on and off takes together, in milliseconds.
    fn switch_ms(&self) -> Option<f64> {
        Some(median(&self.on_ms)? + median(&self.off_ms)?)
    }
}
