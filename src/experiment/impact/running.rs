//! Services: arms alternate under one load that keeps running.

use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;

use super::RoundsPlan;
use super::jobs::end;
use super::log::{ArmLog, ProgramBlock, ProgramMeasured};
use super::source::{Span, Underneath};
use crate::arm::{Arm, Held, Leftovers, SETTLE, Standing, stir, timed};
use crate::experiment::interleave::mirrored;
use crate::host::Obstacle;
use crate::load::{LoadBlock, LoadTally, Regime};
use crate::monitor::Monitor;
use crate::process::{Ward, interrupted, interruption};
use crate::schema::impact::ImpactMeasure;
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
/// that it can answer, then throughput as fast as it answers. `cpu` is the load's. `left` is
/// what agents left loaded, under which nothing can be measured. Where the service or its
/// load ends too soon, what was measured until then is kept.
pub fn running(
    service: &mut Service,
    arms: &[Arm],
    ward: &Ward,
    left: &mut Leftovers,
    plan: &RoundsPlan,
    cpu: Option<usize>,
    mut progress: impl FnMut(f64),
) -> Result<ProgramMeasured, Obstacle> {
    left.must_be_gone()?;
    let begin = Instant::now();
    let mut logs: Vec<ArmLog> = arms.iter().map(ArmLog::new).collect();
    let mut standing: Vec<Standing> = arms.iter().map(|arm| Standing::new(arm, ward)).collect();
    let most = capacity(service, ward, cpu)?;
    let mut stage = Stage {
        service,
        ward,
        left,
        cpu,
        rng: Rng::with_seed(plan.seed),
        rate: most / 2.0,
        round: 0,
        lag: LoadTally::default().lag,
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
    end(&mut standing, &mut logs, stage.left);
    let mut note = format!("at saturation {most:.0} a second; latencies at half of that");
    if !stage.lag.is_empty() {
        let late = stage.lag.value_at_quantile(0.99) as f64 / 1e6;
        note += &format!("; of 100 requests the load itself began 99 at most {late:.3} ms late");
    }
    let misled: usize = logs.iter().map(|log| log.misled).sum();
    if misled > 0 {
        note += &format!(
            "; the latencies of {misled} blocks left out, in which the load fell behind by itself"
        );
    }
    if interrupted() {
        note += "; interrupted: what was measured until then";
    }
    Ok(ProgramMeasured {
        program: stage.service.name.clone(),
        wanted: &WANTED,
        is_control: false,
        arms: logs,
        // Both regimes have as many rounds.
        length: begin.elapsed(),
        note: Some(note),
        ended: done.err(),
    })
}

/// Answers a second, asked as fast as they come.
fn capacity(service: &Service, ward: &Ward, cpu: Option<usize>) -> Result<f64, Obstacle> {
    let mut load = Underneath::start(service, Regime::Saturation, ward, cpu)?;
    // The first half is for caches.
    std::thread::sleep(TRIAL / 2);
    let from = Instant::now();
    std::thread::sleep(TRIAL / 2);
    load.measured((from, Instant::now()), ());
    load.alive()?;
    let block = load.finish()?.pop().map(|(_, block)| block);
    let block = block.filter(|block| block.tally.answered > 0);
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
    left: &'a mut Leftovers,
    cpu: Option<usize>,
    rng: Rng,
    /// Requests a second, in the slower regime.
    rate: f64,
    round: usize,
    /// How late the load itself was, at the rate, in nanoseconds.
    lag: Histogram<u64>,
}

/// A block of this arm, but for what the load saw of it.
type PendingBlock = (usize, ProgramBlock);

impl Stage<'_> {
    /// Turns every arm on and off once: how long that takes decides how long blocks are, and
    /// one that cannot be turned on has no blocks at all.
    fn try_arms(&mut self, standing: &mut [Standing], logs: &mut [ArmLog]) {
        for (arm, log) in standing.iter_mut().zip(logs) {
            if let Err(obstacle) = self.switch(arm, log, None) {
                self.left.note(&log.name, arm.left());
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
        let mut load = Underneath::start(self.service, regime, self.ward, self.cpu)?;
        std::thread::sleep(Duration::from_millis(500));
        let done = self.rounds(&mut load, regime, plan, standing, logs, &mut progress);
        let rest = load.finish();
        self.keep(rest?, regime, logs);
        done
    }

    /// Rounds until the time is over.
    fn rounds(
        &mut self,
        load: &mut Underneath<PendingBlock>,
        regime: Regime,
        plan: &RoundsPlan,
        standing: &mut [Standing],
        logs: &mut [ArmLog],
        mut progress: impl FnMut(f64),
    ) -> Result<(), Obstacle> {
        let (begin, first, mut longest) = (Instant::now(), self.round, Duration::ZERO);
        loop {
            let left = plan.length.saturating_sub(begin.elapsed());
            if interrupted() || plan.is_over(self.round - first, left, longest) {
                return Ok(());
            }
            let live: Vec<usize> = (0..logs.len())
                .filter(|&i| logs[i].ended.is_none())
                .collect();
            if live.len() < 2 {
                return Ok(());
            }
            let round = Instant::now();
            let length = Self::block_length(logs, plan.length, self.rate);
            let order = mirrored(&mut self.rng, live.len());
            for (turn, place) in order.into_iter().enumerate() {
                let (arm, half) = (live[place], turn / live.len());
                if interrupted() || logs[arm].ended.is_some() {
                    continue;
                }
                self.left.must_be_gone()?;
                match self.switch(&mut standing[arm], &mut logs[arm], Some((load, length))) {
                    Ok((span, mut block)) => {
                        (block.round, block.half) = (self.round, half);
                        load.measured(span, (arm, block));
                    }
                    Err(_) if interrupted() => {}
                    Err(obstacle) if arm == 0 => return Err(obstacle),
                    Err(obstacle) => {
                        self.left.note(&logs[arm].name, standing[arm].left());
                        logs[arm].ended = Some(obstacle);
                    }
                }
                self.service.alive()?;
                load.alive()?;
                self.keep(load.settled()?, regime, logs);
                progress(begin.elapsed().as_secs_f64() / plan.length.as_secs_f64().max(1e-3));
            }
            longest = longest.max(round.elapsed());
            self.round += 1;
        }
    }

    /// Blocks of which all has been heard, to their arms.
    fn keep(
        &mut self,
        blocks: Vec<(PendingBlock, LoadBlock)>,
        regime: Regime,
        logs: &mut [ArmLog],
    ) {
        for ((arm, block), seen) in blocks {
            let log = &mut logs[arm];
            if let Regime::Rate(_) = regime {
                self.lag.add(&seen.tally.lag).expect("the same bounds");
                log.rated += 1;
                log.misled += usize::from(seen.tally.fell_behind());
                *log.across.get_or_insert_default() += seen.across;
            }
            log.blocks.push(filled(block, &seen, regime));
        }
    }

    /// One block of one arm: on, proven, so long under load, off. Without a load it is only
    /// switched. A block that Ctrl-C cut short is none.
    fn switch(
        &mut self,
        arm: &mut Standing,
        log: &mut ArmLog,
        load: Option<(&mut Underneath<PendingBlock>, Duration)>,
    ) -> Result<(Span, ProgramBlock), Obstacle> {
        let pids = self.service.pids();
        let (held, on_ms) = timed(|| arm.on(&pids));
        let mut held = held?;
        log.turned_on(on_ms);
        let seen = held.prove(&pids, stir);
        // It may watch what only the program does, which is under load.
        let wait = || std::thread::sleep(Duration::from_millis(50));
        let more = (seen.runs == Some(0)).then(|| held.prove(&pids, wait));
        log.saw(&seen, more.as_ref());
        let on = Instant::now();
        std::thread::sleep(SETTLE);
        let length = match load {
            Some((load, length)) => {
                load.catch_up(on)?;
                length
            }
            None => Duration::ZERO,
        };
        // What takes longer under an agent comes first and last, so that all else is read
        // over the same time for every arm.
        let (counted, held_before) = (held.counted(), held.taken());
        let mut monitor = Monitor::of(self.service.pid()).ok();
        let cpu = |held: &Held| (self.service.cpu_seconds(), held.cpu_seconds());
        let (before, from) = (cpu(&held), Instant::now());
        let is_whole = wait_until(from + length, interrupted);
        let (to, after) = (Instant::now(), cpu(&held));
        let switched = monitor.as_mut().and_then(Monitor::look);
        // A tracer ends with the service: that is no fault of its own.
        self.service.alive()?;
        held.alive()?;
        let mut block = ProgramBlock {
            seconds: (to - from).as_secs_f64(),
            ..ProgramBlock::default()
        };
        block.used(before, after);
        if let Some(sample) = switched {
            let switches = sample.voluntary_switches + sample.involuntary_switches;
            block
                .values
                .insert(ImpactMeasure::Switches, switches as f64);
        }
        block.took(held_before, held.taken());
        if let (Some(before), Some(after)) = (counted, held.counted()) {
            log.counts(before, after);
        }
        let (ended, off_ms) = timed(|| arm.off(held));
        log.turned_off(off_ms, ended?);
        match is_whole {
            true => Ok(((from, to), block)),
            false => Err(interruption()),
        }
    }
}

/// Waits for a moment, in slices, so that Ctrl-C is heard. Whether it came, or the wait was
/// cut short.
fn wait_until(moment: Instant, is_cut_short: impl Fn() -> bool) -> bool {
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() || is_cut_short() {
            return left.is_zero();
        }
        std::thread::sleep(left.min(Duration::from_millis(200)));
    }
}

/// The block with what the load saw of it.
fn filled(mut block: ProgramBlock, seen: &LoadBlock, regime: Regime) -> ProgramBlock {
    block.tries = seen.tally.due();
    block.failed = RequestError::ALL
        .into_iter()
        .map(|kind| (kind.word(), seen.tally.errors(kind)))
        .filter(|(_, count)| *count > 0)
        .collect();
    match regime {
        // What the load was late for by itself is no latency of the service's. All else is
        // measured as in any block, and may be what held the load up.
        Regime::Rate(_) if seen.tally.fell_behind() => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::RequestRecord;

    #[test]
    fn a_block_that_is_cut_short_is_not_whole() {
        let now = Instant::now();
        assert!(!wait_until(now + Duration::from_secs(600), || true));
        assert!(wait_until(now + Duration::from_millis(1), || false));
        // What comes behind its end cuts nothing.
        assert!(wait_until(now, || true));
    }

    #[test]
    fn a_block_in_which_the_load_was_late_has_all_but_latencies() {
        let block = ProgramBlock {
            values: [(ImpactMeasure::Switches, 7.0)].into(),
            cpu: Some(0.5),
            agent_cpu: Some(0.1),
            memory: 9,
            ..ProgramBlock::default()
        };
        for (late, has_latencies) in [(2_000_000, false), (0, true)] {
            let mut tally = LoadTally::default();
            for outcome in [Ok(()), Err(RequestError::Reset)] {
                tally.add(&RequestRecord {
                    number: 0,
                    intended: 0,
                    noticed: late,
                    ended: 3_000_000,
                    outcome,
                });
            }
            let seen = LoadBlock {
                length: Duration::from_millis(100),
                tally,
                across: 0,
            };
            let block = filled(block.clone(), &seen, Regime::Rate(20.0));
            let measures: Vec<_> = block.values.keys().copied().collect();
            let latencies = measures.iter().filter(|measure| measure.is_latency());
            assert_eq!(latencies.count() > 0, has_latencies, "{measures:?}");
            assert!(measures.contains(&ImpactMeasure::Switches));
            assert_eq!((block.cpu, block.agent_cpu), (Some(0.5), Some(0.1)));
            assert_eq!((block.memory, block.tries, block.failed.len()), (9, 2, 1));
        }
    }
}
