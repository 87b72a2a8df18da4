//! What was measured of a tracer.

use std::ops::Range;
use std::time::Duration;

use super::spans::Spans;
use crate::agent::heap::touched;
use crate::host::Obstacle;
use crate::load::{LoadPace, LoadTally, RequestRecord};
use crate::pipeline::http::TracerCounts;
use crate::schema::tracing::{TracingArm, TracingArmRow};

pub(super) const ARMS: [TracingArm; 3] =
    [TracingArm::Off, TracingArm::Attached, TracingArm::Tracing];
/// How long a block is: short, since how soon an idle machine wakes up drifts from second
/// to second by more than any tracer adds.
pub(super) const BLOCK: Duration = Duration::from_millis(100);
/// How often the arms come in an order and its mirror before they are compared.
pub(super) const CYCLES: usize = 5;
/// The blocks of a round.
const ROUND_BLOCKS: usize = 2 * ARMS.len() * CYCLES;
/// The percentiles that are compared.
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];
/// A request that takes so long stood still.
const STALL: Duration = Duration::from_secs(1);

/// Latencies in microseconds at [`QUANTILES`]; none without an answer.
type LatenciesUs = [Option<f64>; QUANTILES.len()];

/// A block of one arm. Figures only: histograms of thousands of blocks would be growth of
/// the process that is judged for growing.
#[derive(Clone)]
pub(super) struct ArmBlock {
    pub arm: TracingArm,
    pub round: usize,
    /// From when to when, in nanoseconds since the load's start.
    pub span: Range<u64>,
    /// Requests due in it.
    pub due: u64,
    /// Requests due in it that failed or stood still, whenever they ended.
    pub faults: u64,
    /// The machine's busy time in it, in percent of all CPUs' time.
    pub busy_pct: f64,
    /// The tracer's user half, in percent of one CPU.
    pub tracer_cpu_pct: f64,
    /// Pieces of streams seen by the kernel half from its beginning to its end.
    pub pieces: u64,
    /// Records lost by the tracer in it.
    pub lost: u64,
}

/// All blocks of one arm together.
#[derive(Debug, Clone, Default)]
pub(super) struct ArmTotal {
    pub tally: LoadTally,
    /// Requests that reached over the end of their block.
    pub across: u64,
    /// Blocks in which the load fell behind by itself, and which are none.
    pub left_out: usize,
}

/// All that was measured.
pub(super) struct TracingMeasured {
    /// Requests a second, as they were asked for.
    pub asked: f64,
    pub connections: usize,
    /// How long the load ran.
    pub length: Duration,
    /// Every request of the load, in a block or not.
    pub pace: LoadPace,
    /// Why it broke off before its time, if it did: how the server ended, or what failed.
    pub broken_off: Option<String>,
    pub blocks: Vec<ArmBlock>,
    /// Round by round, of all blocks of each arm.
    pub latencies: Vec<[LatenciesUs; ARMS.len()]>,
    pub arms: [ArmTotal; ARMS.len()],
    /// Requests of the blocks that were traced, and of these those with a span.
    pub sent: u64,
    pub seen: u64,
    pub counts: TracerCounts,
    pub spans: Spans,
    /// Memory of this process, resident and of maps, at the end, in bytes.
    pub memory: u64,
    /// Hours since the start, and bytes of memory that this process has asked for and used.
    pub asked_for: Vec<(f64, f64)>,
    of_round: [LoadTally; ARMS.len()],
    /// Of the block that is measured: its requests, and those that failed or stood still.
    pub of_block: LoadTally,
    numbers: Vec<u64>,
    pub faults: u64,
}

impl ArmBlock {
    /// What fills room for others.
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

impl TracingMeasured {
    /// Nothing yet, with room for a run of about this length. All of it is written once, so
    /// that filling it later is no growth of the process.
    pub(super) fn with_room(asked: f64, connections: usize, length: Duration) -> Self {
        // More than there will be: switching takes its time, too.
        let rounds = length.div_duration_f64(ROUND_BLOCKS as u32 * BLOCK).ceil() as usize;
        let mut measured = Self {
            asked,
            connections,
            length: Duration::ZERO,
            pace: LoadPace::default(),
            broken_off: None,
            blocks: touched(rounds * ROUND_BLOCKS, &ArmBlock::NONE),
            latencies: touched(rounds, &Default::default()),
            arms: Default::default(),
            sent: 0,
            seen: 0,
            counts: TracerCounts::default(),
            spans: Spans::at_rate(asked),
            memory: 0,
            asked_for: touched(rounds * CYCLES, &Default::default()),
            of_round: Default::default(),
            of_block: LoadTally::default(),
            numbers: touched((asked * BLOCK.as_secs_f64()).ceil() as usize, &0),
            faults: 0,
        };
        measured.pace.clear();
        let arms = measured.arms.iter_mut().map(|arm| &mut arm.tally);
        let tallies = arms.chain(&mut measured.of_round);
        tallies
            .chain([&mut measured.of_block])
            .for_each(LoadTally::clear);
        measured
    }

    /// Begins a round.
    pub(super) fn begin_round(&mut self) {
        self.of_round.iter_mut().for_each(LoadTally::clear);
    }

    /// Ends it.
    pub(super) fn end_round(&mut self) {
        let latencies = self.of_round.each_ref();
        let latencies = latencies.map(|tally| QUANTILES.map(|q| tally.latency_us(q)));
        self.latencies.push(latencies);
    }

    /// Begins a block.
    pub(super) fn begin_block(&mut self) {
        self.of_block.clear();
        self.numbers.clear();
        self.faults = 0;
    }

    /// Takes a request that belongs to the block that was begun.
    pub(super) fn take(&mut self, record: &RequestRecord) {
        self.pace.add(record, u64::MAX);
        self.of_block.add(record);
        self.faults += u64::from(is_fault(record));
        self.numbers.push(record.number);
    }

    /// Ends it: with what was measured of it besides, and how many requests reached over its
    /// end. What the load was late for by itself says nothing of the server.
    pub(super) fn end_block(&mut self, block: ArmBlock, across: u64) {
        if block.arm == TracingArm::Tracing {
            let seen = self.numbers.iter().filter(|n| self.spans.has(**n));
            self.seen += seen.count() as u64;
            self.sent += self.numbers.len() as u64;
        }
        let total = &mut self.arms[block.arm as usize];
        if self.of_block.fell_behind() {
            total.left_out += 1;
            return;
        }
        total.tally.merge(&self.of_block);
        total.across += across;
        self.of_round[block.arm as usize].merge(&self.of_block);
        self.blocks.push(block);
    }

    /// Takes a request that belongs to no block, of a load that ends at `end`, or outlived its
    /// own. Its latency is no arm's alone, but whoever had it wait for so long, or fail, did
    /// so in the block in which it was due.
    pub(super) fn take_late(&mut self, record: &RequestRecord, end: u64) {
        self.pace.add(record, end);
        let mut blocks = self.blocks.iter_mut().rev();
        let Some(block) = blocks.find(|block| block.span.contains(&record.intended)) else {
            return;
        };
        block.faults += u64::from(is_fault(record));
        if record.outcome.is_err() {
            let total = &mut self.arms[block.arm as usize];
            total.tally.add(record);
            total.across -= 1;
        }
    }

    /// Notes why it broke off. What was measured until then stays.
    ///
    /// # Errors
    /// That reason, where nothing was.
    pub(super) fn break_off(&mut self, why: Obstacle) -> Result<(), Obstacle> {
        if self.blocks.is_empty() {
            return Err(why);
        }
        // What came first stays the reason.
        self.broken_off.get_or_insert(why.to_string());
        Ok(())
    }

    /// Of each arm the blocks in which the load fell behind by itself, and all its blocks.
    pub(super) fn left_out(&self) -> [(usize, usize); ARMS.len()] {
        ARMS.map(|arm| {
            let left_out = self.arms[arm as usize].left_out;
            let kept = self.blocks.iter().filter(|block| block.arm == arm);
            (left_out, left_out + kept.count())
        })
    }

    /// The arms, one by one.
    pub(super) fn rows(&self) -> Vec<TracingArmRow> {
        let arms = ARMS.into_iter().zip(&self.arms);
        arms.map(|(arm, all)| TracingArmRow {
            arm,
            blocks: self.blocks.iter().filter(|b| b.arm == arm).count(),
            left_out: all.left_out,
            requests: all.tally.due(),
            failed: all.tally.failed(),
            across: all.across,
            p50_us: all.tally.latency_us(0.5),
            p95_us: all.tally.latency_us(0.95),
            p99_us: all.tally.latency_us(0.99),
        })
        .collect()
    }
}

/// Whether a request failed or stood still.
fn is_fault(record: &RequestRecord) -> bool {
    let took = Duration::from_nanos(record.ended - record.intended);
    record.outcome.is_err() || took >= STALL
}
