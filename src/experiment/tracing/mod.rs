//! What tracing HTTP costs a server: the arms alternate in short blocks under one
//! running load, and each request belongs to the block in which it was due.

mod judging;
mod memory;
mod server;
mod spans;

use std::ops::Range;
use std::time::{Duration, Instant};

pub use server::Served;

use crate::agent::{Options, heap};
use crate::gate::TracingLimits;
use crate::host::{Host, MachineTime, Obstacle, provenance};
use crate::load::{LoadPlan, LoadTally, Regime, RequestRecord, Running};
use crate::pipeline::http::{Tracer, TracerCounts};
use crate::schema::tracing::{SCHEMA, TracingArm, TracingArmRow, TracingReport};
use memory::{Leak, asked_for, memory};
use spans::Spans;

/// What is measured.
#[derive(Debug, Clone)]
pub struct TracingRequest {
    /// The server.
    pub server: Served,
    /// Requests a second.
    pub rate: f64,
    /// Connections.
    pub connections: usize,
    /// For how long, about: whole rounds are made.
    pub length: Duration,
    /// Of the order of the arms.
    pub seed: u64,
    /// Where the server runs, and where the load and the tracer's user half do.
    pub cpus: Option<(usize, usize)>,
    /// A leak to plant in the tracer's process, in megabytes a minute: whoever judges
    /// this can try whether it is found.
    pub planted_mb_per_minute: f64,
}

const ARMS: [TracingArm; 3] = [TracingArm::Off, TracingArm::Attached, TracingArm::Tracing];
/// How long a block is: short, since how soon an idle machine wakes up drifts from second
/// to second by more than any tracer adds.
const BLOCK: Duration = Duration::from_millis(100);
/// How often the arms come in an order and its mirror before they are compared.
const CYCLES: usize = 5;
/// The blocks of a round.
const ROUND_BLOCKS: usize = 2 * ARMS.len() * CYCLES;
/// The percentiles that are compared.
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];
/// A request that takes so long stood still.
const STALL: Duration = Duration::from_secs(1);
/// What is thrown away after a switch of arm.
const SETTLING: Duration = Duration::from_millis(20);

/// Latencies in microseconds at [`QUANTILES`]; none without an answer.
type LatencyUs = [Option<f64>; QUANTILES.len()];

/// A block of one arm. Figures only: histograms of thousands of blocks would be growth of
/// the process that is judged for growing.
#[derive(Clone)]
struct ArmBlock {
    arm: TracingArm,
    round: usize,
    /// From when to when, in nanoseconds since the load's start.
    span: Range<u64>,
    /// Requests due in it.
    due: u64,
    /// Requests due in it that failed or stood still, whenever they ended.
    faults: u64,
    /// The machine's busy time in it, in percent of all CPUs' time.
    busy_pct: f64,
    /// The tracer's user half, in percent of one CPU.
    tracer_cpu_pct: f64,
    /// Pieces of streams seen by the kernel half from its beginning to its end.
    pieces: u64,
    /// Records lost by the tracer in it.
    lost: u64,
}

/// All that was measured.
struct Measured {
    blocks: Vec<ArmBlock>,
    /// Round by round, of all blocks of each arm.
    latencies: Vec<[LatencyUs; ARMS.len()]>,
    /// All blocks of each arm together, with what reached over their ends.
    arms: [(LoadTally, u64); ARMS.len()],
    /// Requests of the blocks that were traced, and of these those with a span.
    sent: u64,
    seen: u64,
    counts: TracerCounts,
    spans: Spans,
    /// Memory of this process, resident and of maps, at the end, in bytes.
    memory: u64,
    /// Hours since the start, and bytes of memory that this process has asked for and used.
    asked_for: Vec<(f64, f64)>,
}

/// Makes the load, and alternates the arms under it. `progress` is told the share of the
/// time that has passed.
///
/// # Errors
/// The server or the tracer does not start, or the load cannot be made.
pub fn tracing(
    request: &TracingRequest,
    limits: &TracingLimits,
    mut progress: impl FnMut(f64),
) -> Result<TracingReport, Obstacle> {
    let host = Host::read().map_err(|e| Obstacle::new(e.to_string(), "mount /proc and /sys"))?;
    let (server_cpu, own_cpu) = request.cpus.unzip();
    let server = request.server.start(server_cpu)?;
    // More than there will be: switching takes its time, too.
    let rounds = request
        .length
        .div_duration_f64(ROUND_BLOCKS as u32 * BLOCK)
        .ceil() as usize;
    let seconds = (2 * request.length + Duration::from_secs(60)).as_secs_f64();
    let mut spans = Spans::with_room((request.rate * seconds) as usize);
    let options = Options {
        cpu: own_cpu,
        ..Options::default()
    };
    let before = memory()?;
    let mut elsewhere = Tracer::start(&options, |_| ())?;
    elsewhere.watch(server.other_pid())?;
    // Only one tracer is judged for its memory.
    let spare = memory()?.saturating_sub(before);
    let mut tracer = Tracer::start(&options, spans.taker())?;
    tracer.watch(server.pid())?;
    let plan = LoadPlan {
        cpu: own_cpu,
        ..LoadPlan::new(
            server.target(),
            Regime::Rate(request.rate),
            request.connections,
        )
    };
    let mut load = Running::start(plan)?;
    let mut order = fastrand::Rng::with_seed(request.seed);
    let mut measured = Measured {
        blocks: memory::touched(rounds * ROUND_BLOCKS, &ArmBlock::NONE),
        latencies: memory::touched(rounds, &Default::default()),
        arms: Default::default(),
        sent: 0,
        seen: 0,
        counts: TracerCounts::default(),
        spans,
        memory: 0,
        asked_for: memory::touched(rounds * CYCLES, &Default::default()),
    };
    let mut tallies: [LoadTally; ARMS.len()] = Default::default();
    // Written once, so that a latency that was not seen before is no growth of the process.
    let all = measured.arms.iter_mut().map(|(all, _)| all);
    all.chain(&mut tallies).for_each(LoadTally::clear);
    heap::release_free_memory();
    let mut leak = Leak::of(request.planted_mb_per_minute);
    let begin = Instant::now();
    while measured.latencies.is_empty() || begin.elapsed() < request.length {
        tallies.iter_mut().for_each(LoadTally::clear);
        for _ in 0..CYCLES {
            // Each order and its mirror, so that a drift weighs on all alike.
            let mut arms = ARMS;
            order.shuffle(&mut arms);
            for arm in arms.into_iter().chain(arms.into_iter().rev()) {
                match arm {
                    TracingArm::Off => {}
                    TracingArm::Attached => elsewhere.attach()?,
                    TracingArm::Tracing => tracer.attach()?,
                }
                let tally = &mut tallies[arm as usize];
                let one = block(&mut load, &tracer, &mut measured, arm, tally)?;
                measured.blocks.push(one);
                tracer.detach();
                elsewhere.detach();
            }
            let passed = begin.elapsed();
            leak.grow(passed);
            measured
                .asked_for
                .push((passed.as_secs_f64() / 3600.0, asked_for()?));
            progress(passed.div_duration_f64(request.length).min(1.0));
        }
        let of_round = tallies.each_ref();
        let latencies = of_round.map(|tally| QUANTILES.map(|q| tally.latency_us(q)));
        measured.latencies.push(latencies);
    }
    let seconds = begin.elapsed().as_secs_f64();
    measured.counts = tracer.drain()?;
    measured.memory = memory()?.saturating_sub(spare);
    load.finish(|record| measured.take_late(record));
    drop(leak);
    Ok(TracingReport {
        schema: SCHEMA,
        provenance: provenance(),
        host,
        server: request.server.name().into(),
        rate: request.rate,
        connections: request.connections,
        seconds,
        seed: request.seed,
        arms: rows(&measured),
        rows: judging::judge(&measured, limits),
        notes: measured.counts.blind_spots(),
    })
}

/// One block, from settled to its end. The arm is in place.
fn block(
    load: &mut Running,
    tracer: &Tracer,
    measured: &mut Measured,
    arm: TracingArm,
    of_round: &mut LoadTally,
) -> Result<ArmBlock, Obstacle> {
    std::thread::sleep(SETTLING);
    let lost = |counts: TracerCounts| counts.traffic.failed;
    let cpu_before = tracer.consumer_cpu_time()?;
    let machine_before = machine_time()?;
    let before = tracer.counts()?;
    let from = Instant::now();
    std::thread::sleep(BLOCK);
    let to = Instant::now();
    let at_end = tracer.counts()?;
    let machine_after = machine_time()?;
    let (mut numbers, mut faults) = (Vec::new(), 0);
    let within = |record: &RequestRecord| {
        numbers.push(record.number);
        faults += u64::from(is_fault(record));
    };
    let block = load.block_of(from, to, within, |record| measured.take_late(record))?;
    let after = tracer.drain()?;
    let cpu = tracer.consumer_cpu_time()? - cpu_before;
    if arm == TracingArm::Tracing {
        measured.sent += numbers.len() as u64;
        let seen = numbers.iter().filter(|n| measured.spans.has(**n));
        measured.seen += seen.count() as u64;
    }
    let (tally, across) = &mut measured.arms[arm as usize];
    tally.merge(&block.tally);
    *across += block.across;
    of_round.merge(&block.tally);
    let all = machine_after.all - machine_before.all;
    let busy = machine_after.busy - machine_before.busy;
    Ok(ArmBlock {
        arm,
        round: measured.latencies.len(),
        busy_pct: busy / all.max(f64::MIN_POSITIVE) * 100.0,
        tracer_cpu_pct: cpu.as_secs_f64() / block.length.as_secs_f64() * 100.0,
        pieces: at_end.traffic.seen - before.traffic.seen,
        lost: lost(after) - lost(before),
        due: block.tally.due() + block.across,
        span: load.since_begin(from)..load.since_begin(to),
        faults,
    })
}

impl ArmBlock {
    const NONE: Self = Self {
        arm: TracingArm::Off,
        round: 0,
        span: 0..0,
        due: 0,
        faults: 0,
        busy_pct: 0.0,
        tracer_cpu_pct: 0.0,
        pieces: 0,
        lost: 0,
    };
}

fn is_fault(record: &RequestRecord) -> bool {
    let took = Duration::from_nanos(record.ended - record.intended);
    record.outcome.is_err() || took >= STALL
}

impl Measured {
    /// Takes a request that outlived its block. Its latency is no arm's alone, but whoever
    /// had it wait for so long, or fail, did so in the block in which it was due.
    fn take_late(&mut self, record: &RequestRecord) {
        let mut blocks = self.blocks.iter_mut().rev();
        let Some(block) = blocks.find(|block| block.span.contains(&record.intended)) else {
            return;
        };
        block.faults += u64::from(is_fault(record));
        if record.outcome.is_err() {
            let (tally, across) = &mut self.arms[block.arm as usize];
            tally.add(record);
            *across -= 1;
        }
    }
}

fn machine_time() -> Result<MachineTime, Obstacle> {
    MachineTime::now().ok_or_else(|| Obstacle::new("/proc/stat cannot be read", "mount /proc"))
}

fn rows(measured: &Measured) -> Vec<TracingArmRow> {
    let arms = ARMS.into_iter().zip(&measured.arms);
    arms.map(|(arm, (all, across))| TracingArmRow {
        arm,
        blocks: measured.blocks.iter().filter(|b| b.arm == arm).count(),
        requests: all.due(),
        failed: all.failed(),
        across: *across,
        p50_us: all.latency_us(0.5),
        p95_us: all.latency_us(0.95),
        p99_us: all.latency_us(0.99),
    })
    .collect()
}
