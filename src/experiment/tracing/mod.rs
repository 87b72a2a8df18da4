//! What tracing HTTP costs a server: the arms alternate in short blocks under one
//! running load, and each request belongs to the block in which it was due.

mod judging;
mod measured;
mod memory;
mod server;
mod spans;

use std::time::{Duration, Instant};

pub use server::Served;

use crate::agent::{Options, heap};
use crate::gate::TracingLimits;
use crate::host::{Host, MachineTime, Obstacle, provenance};
use crate::load::{Due, LoadPlan, Regime, Running};
use crate::pipeline::http::{Tracer, TracerCounts};
use crate::process::interrupted;
use crate::schema::tracing::{SCHEMA, TracingArm, TracingReport};
use measured::{ARMS, ArmBlock, BLOCK, CYCLES, TracingMeasured};
use memory::{Leak, asked_for, memory};
use server::TracedServer;

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

/// What is thrown away after a switch of arm.
const SETTLING: Duration = Duration::from_millis(20);

/// Makes the load, and alternates the arms under it; Ctrl-C, the server's end, or whatever
/// fails in the middle, leaves what was measured until then. `progress` is told the share of the time that has passed.
///
/// # Errors
/// The server or the tracer does not start, the load cannot be made, or no block of it.
pub fn tracing(
    request: &TracingRequest,
    limits: &TracingLimits,
    progress: impl FnMut(f64),
) -> Result<TracingReport, Obstacle> {
    let host = Host::read().map_err(|e| Obstacle::new(e.to_string(), "mount /proc and /sys"))?;
    let (server_cpu, own_cpu) = request.cpus.unzip();
    let server = request.server.start(server_cpu)?;
    let options = Options {
        cpu: own_cpu,
        ..Options::default()
    };
    let before = memory()?;
    let mut measured =
        TracingMeasured::with_room(request.rate, request.connections, request.length);
    let mut elsewhere = Tracer::start(&options, |_| ())?;
    elsewhere.watch(server.other_pid())?;
    // Only one tracer is judged for its memory, and not what is noted of it.
    let spare = memory()?.saturating_sub(before);
    let mut tracer = Tracer::start(&options, measured.spans.taker())?;
    tracer.watch(server.pid())?;
    let plan = LoadPlan {
        cpu: own_cpu,
        ..LoadPlan::new(
            server.target(),
            Regime::Rate(request.rate),
            request.connections,
        )
    };
    let load = Running::start(plan)?;
    heap::release_free_memory();
    let mut leak = Leak::of(request.planted_mb_per_minute);
    let mut stage = Stage {
        server,
        elsewhere,
        tracer,
        load,
    };
    let done = stage.rounds(request, &mut measured, &mut leak, progress);
    stage.detach();
    if let Err(why) = done.and_then(|()| stage.tracer.drain().map(drop)) {
        measured.break_off(why)?;
    }
    measured.counts = stage.tracer.counts()?;
    measured.memory = memory()?.saturating_sub(spare);
    let end = stage.load.since_begin(Instant::now());
    measured.length = Duration::from_nanos(end);
    stage.load.finish(|record| {
        if record.intended < end {
            measured.take_late(record, end);
        }
    });
    drop(leak);
    Ok(TracingReport {
        schema: SCHEMA,
        provenance: provenance(),
        host,
        server: request.server.name().into(),
        rate: request.rate,
        reached: measured.pace.reached(measured.length),
        generator_lag_us: measured.pace.tally().generator_lag(),
        connections: request.connections,
        seconds: measured.length.as_secs_f64(),
        seed: request.seed,
        arms: measured.rows(),
        rows: judging::judge(&measured, limits),
        notes: notes(&measured),
    })
}

/// What the arms alternate on.
struct Stage {
    server: TracedServer,
    elsewhere: Tracer,
    tracer: Tracer,
    load: Running,
}

impl Stage {
    /// Rounds until the time is over, the server ends or Ctrl-C.
    fn rounds(
        &mut self,
        request: &TracingRequest,
        measured: &mut TracingMeasured,
        leak: &mut Leak,
        mut progress: impl FnMut(f64),
    ) -> Result<(), Obstacle> {
        let mut order = fastrand::Rng::with_seed(request.seed);
        let begin = Instant::now();
        while measured.latencies.is_empty() || begin.elapsed() < request.length {
            measured.begin_round();
            for _ in 0..CYCLES {
                // Each order and its mirror, so that a drift weighs on all alike.
                let mut arms = ARMS;
                order.shuffle(&mut arms);
                for arm in arms.into_iter().chain(arms.into_iter().rev()) {
                    match arm {
                        TracingArm::Off => {}
                        TracingArm::Attached => self.elsewhere.attach()?,
                        TracingArm::Tracing => self.tracer.attach()?,
                    }
                    block(&mut self.load, &self.tracer, measured, arm)?;
                    self.detach();
                    // Ctrl-C may be meant for the server as well.
                    if interrupted() {
                        return Ok(());
                    }
                    measured.broken_off = self.server.ended();
                    if measured.broken_off.is_some() {
                        return Ok(());
                    }
                }
                let passed = begin.elapsed();
                leak.grow(passed);
                let hours = passed.as_secs_f64() / 3600.0;
                measured.asked_for.push((hours, asked_for()?));
                progress(passed.div_duration_f64(request.length).min(1.0));
            }
            measured.end_round();
        }
        Ok(())
    }

    fn detach(&mut self) {
        self.tracer.detach();
        self.elsewhere.detach();
    }
}

/// One block, from settled to its end. The arm is in place.
fn block(
    load: &mut Running,
    tracer: &Tracer,
    measured: &mut TracingMeasured,
    arm: TracingArm,
) -> Result<(), Obstacle> {
    std::thread::sleep(SETTLING);
    let lost = |counts: TracerCounts| counts.traffic.failed;
    measured.begin_block();
    let cpu_before = tracer.consumer_cpu_time()?;
    let machine_before = machine_time()?;
    let before = tracer.counts()?;
    let from = Instant::now();
    std::thread::sleep(BLOCK);
    let to = Instant::now();
    let at_end = tracer.counts()?;
    let machine_after = machine_time()?;
    let across = load.block_of(from, to, |record, due| match due {
        Due::Inside => measured.take(record),
        Due::Before => measured.take_late(record, u64::MAX),
    })?;
    let after = tracer.drain()?;
    let cpu = tracer.consumer_cpu_time()? - cpu_before;
    let all = machine_after.all - machine_before.all;
    let busy = machine_after.busy - machine_before.busy;
    let one = ArmBlock {
        arm,
        round: measured.latencies.len(),
        busy_pct: busy / all.max(f64::MIN_POSITIVE) * 100.0,
        tracer_cpu_pct: cpu.div_duration_f64(to - from) * 100.0,
        pieces: at_end.traffic.seen - before.traffic.seen,
        lost: lost(after) - lost(before),
        due: measured.of_block.due() + across,
        span: load.since_begin(from)..load.since_begin(to),
        faults: measured.faults,
    };
    measured.end_block(one, across);
    Ok(())
}

fn machine_time() -> Result<MachineTime, Obstacle> {
    MachineTime::now().ok_or_else(|| Obstacle::new("/proc/stat cannot be read", "mount /proc"))
}

/// What a reader must know.
fn notes(measured: &TracingMeasured) -> Vec<String> {
    let unseen = measured.counts.blind_spots();
    let mut notes: Vec<String> = unseen
        .into_iter()
        .map(|unseen| format!("not seen: {unseen}"))
        .collect();
    let blocks = measured.left_out();
    let left_out: usize = blocks.iter().map(|(left_out, _)| left_out).sum();
    let all: usize = blocks.iter().map(|(_, all)| all).sum();
    if left_out > 0 {
        notes.push(format!(
            "{left_out} of {all} blocks left out, in which the load fell behind by itself"
        ));
    }
    notes.extend(measured.broken_off.clone());
    if interrupted() {
        notes.push("interrupted: what was measured until then".into());
    }
    notes
}
