//! From a real ring to a sink: rates, ages, and where losses begin.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, Throughput};
use probecost::agent::{self, Agent, Options, Sink, Wakeup, pin_this_thread};
use probecost::host::{Obstacle, allowed_cpus};
use probecost::instrument::{Aged, Ages, RecordLoad};
use probecost::pipeline::{Binary, Cgroups, Encode, Json, Pattern, Pipeline, Registry, Writer};
use probecost_bench::arguments::{all_asked_for, may_ask_for};
use probecost_bench::blocks::Blocks;
use probecost_bench::figures::Figures;
use probecost_bench::turns::Turns;
use probecost_bench::{fail, scenario};

/// The shortest block of a turn: the consumer ends it up to a millisecond late.
const BLOCK: Duration = Duration::from_millis(40);
/// What a record of 64 bytes takes up in the ring.
const RECORD_ROOM: u32 = 72;

/// Measures, or says in one line why not.
pub fn bench(criterion: &mut Criterion<Turns>) {
    if let Err(obstacle) = try_bench(criterion) {
        if agent::is_required() {
            fail(&obstacle);
        }
        eprintln!("event_processing: the rows from the ring are skipped: {obstacle}");
    }
}

fn try_bench(criterion: &mut Criterion<Turns>) -> Result<(), Obstacle> {
    let ring = Ring {
        pid: OnceCell::new(),
        cpus: allowed_cpus(),
    };
    ring.rates(criterion)?;
    if all_asked_for() {
        let mut figures = Figures::default();
        ring.ladder(&mut figures)?;
        ring.ages(&mut figures)?;
        figures.write("event_processing")?;
    }
    Ok(())
}

struct Ring {
    /// This process as an agent sees it; not asked before a row needs one.
    pid: OnceCell<u32>,
    cpus: Vec<usize>,
}

impl Ring {
    /// Options with the consumer on the last CPU, and this thread on the first.
    fn options(&self) -> Options {
        let (first, last) = (self.cpus.first(), self.cpus.last());
        if let Some(&first) = first {
            // Where it cannot be pinned the figures are noisier, not wrong.
            let _ = pin_this_thread(first);
        }
        Options {
            cpu: last.copied().filter(|_| self.cpus.len() > 1),
            ..Options::default()
        }
    }

    fn load(&self, options: &Options, sink: impl Sink) -> Result<RecordLoad, Obstacle> {
        let pid = match self.pid.get() {
            Some(pid) => *pid,
            None => {
                let pid = Agent::start(Options::default())?.pid();
                *self.pid.get_or_init(|| pid)
            }
        };
        RecordLoad::start(pid, options, sink)
    }

    /// Nanoseconds per event, as fast as one thread makes them, until the last
    /// has gone through the pipeline.
    fn rates(&self, criterion: &mut Criterion<Turns>) -> Result<(), Obstacle> {
        let mut group = criterion.benchmark_group("ring");
        group.sample_size(10);
        group.throughput(Throughput::Elements(1));
        let options = self.options();
        for (name, per_call) in [("single", 1), ("burst", 20)] {
            self.row(&mut group, &format!("ring/{name}"), &options, per_call)?;
        }
        group.finish();

        let mut group = criterion.benchmark_group("ring_wakeup");
        group.sample_size(10);
        group.throughput(Throughput::Elements(1));
        for (name, wakeup) in wakeups() {
            let options = Options {
                wakeup,
                ..options.clone()
            };
            self.row(&mut group, &format!("ring_wakeup/{name}"), &options, 1)?;
        }
        group.finish();

        let mut group = criterion.benchmark_group("ring_size");
        group.sample_size(10);
        group.throughput(Throughput::Elements(1));
        for (name, ring_bytes) in [("256k", 256 << 10), ("1m", 1 << 20), ("64m", 64 << 20)] {
            let options = Options {
                ring_bytes,
                ..options.clone()
            };
            self.row(&mut group, &format!("ring_size/{name}"), &options, 1)?;
        }
        group.finish();
        Ok(())
    }

    /// One of them, with a load of its own.
    fn row(
        &self,
        group: &mut BenchmarkGroup<Turns>,
        id: &str,
        options: &Options,
        per_call: u32,
    ) -> Result<(), Obstacle> {
        if !may_ask_for(id) {
            return Ok(());
        }
        let name = id.rsplit('/').next().unwrap_or(id);
        let mut load = self.load(options, pipeline(Binary))?;
        load.set_per_call(per_call)?;
        sustained(group, name, load, options.ring_bytes, per_call)
    }

    /// Paced loads, faster and faster, and what was lost of each.
    fn ladder(&self, figures: &mut Figures) -> Result<(), Obstacle> {
        const MOST: f64 = f64::INFINITY;
        println!(
            "from an 8 MiB ring through the pipeline, made by one thread, 1 or 20 events a call:"
        );
        println!(
            "frames  per call   asked M/s    made M/s     events       lost    lost %  counted   age p50 µs   p99 µs"
        );
        for (per_call, rates) in [
            (1, &[0.5, 1.5, 3.0, 5.0, MOST][..]),
            (20, &[1.0, 5.0, 10.0, 15.0, 20.0, 25.0, MOST]),
        ] {
            self.climb("binary", per_call, rates, || pipeline(Binary), figures)?;
        }
        self.climb(
            "json",
            20,
            &[2.5, 5.0, 7.5, 10.0],
            || pipeline(Json),
            figures,
        )
    }

    fn climb<S: Sink>(
        &self,
        frames: &str,
        per_call: u32,
        rates: &[f64],
        sink: impl Fn() -> S,
        figures: &mut Figures,
    ) -> Result<(), Obstacle> {
        let options = self.options();
        for &rate in rates {
            let step = self.paced(&options, sink(), per_call, rate, Duration::from_millis(400))?;
            println!("{frames:<6} {step}");
            let asked = if rate.is_finite() {
                format!("{rate}m")
            } else {
                "most".into()
            };
            let id = format!("ring_ladder/{frames}/{per_call}/{asked}");
            figures.count(format!("{id}/lost"), "percent", step.lost_percent());
            figures.count(format!("{id}/made"), "events/s", step.made() * 1e6);
            figures.count(format!("{id}/miscounted"), "count", step.miscounted as f64);
        }
        Ok(())
    }

    /// How old events are when they are read, at a tenth of a million a second.
    fn ages(&self, figures: &mut Figures) -> Result<(), Obstacle> {
        println!("age of an event at the consumer, 0.1 M events/s:");
        println!("wake-up    drained every ms   p50 µs   p99 µs");
        for (name, wakeup) in wakeups() {
            for drain_every in [Duration::from_millis(1), Duration::from_millis(10)] {
                let options = Options {
                    wakeup,
                    drain_every,
                    ..self.options()
                };
                let step = self.paced(
                    &options,
                    pipeline(Binary),
                    1,
                    0.1,
                    Duration::from_millis(400),
                )?;
                println!(
                    "{name:<10} {:>16} {:>8.0} {:>8.0}",
                    drain_every.as_millis(),
                    step.age_us[0],
                    step.age_us[1]
                );
                for (quantile, age_us) in ["p50", "p99"].iter().zip(step.age_us) {
                    let id = format!("ring_age/{name}/{}ms/{quantile}", drain_every.as_millis());
                    figures.count(id, "us", age_us);
                }
            }
        }
        Ok(())
    }

    /// So many millions of events a second for so long.
    fn paced(
        &self,
        options: &Options,
        sink: impl Sink,
        per_call: u32,
        rate: f64,
        duration: Duration,
    ) -> Result<Step, Obstacle> {
        let ages = Ages::default();
        let mut load = self.load(options, Aged::new(sink, &ages))?;
        load.set_per_call(per_call)?;
        let calls_per_ns = rate * 1e-3 / f64::from(per_call);
        let start = Instant::now();
        let mut calls = 0u64;
        let elapsed = loop {
            let elapsed = start.elapsed();
            if elapsed >= duration {
                break elapsed;
            }
            let due = elapsed.as_nanos() as f64 * calls_per_ns;
            for _ in 0..8 {
                if calls as f64 > due {
                    break;
                }
                load.call();
                calls += 1;
            }
        };
        let stats = load.drain()?;
        drop(load);
        let events = calls * u64::from(per_call);
        Ok(Step {
            per_call,
            rate,
            elapsed,
            events,
            lost: stats.open.failed,
            miscounted: events.abs_diff(stats.received + stats.open.failed),
            age_us: ages.take([0.5, 0.99]).map(|ns| ns / 1000.0),
        })
    }
}

fn wakeups() -> [(&'static str, Wakeup); 3] {
    [
        ("never", Wakeup::Never),
        ("default", Wakeup::Default),
        ("bytes", Wakeup::Bytes(64 << 10)),
    ]
}

fn pipeline<E: Encode>(encode: E) -> Pipeline<Writer<E, std::io::Sink>> {
    let registry = Registry::new(scenario::policy(scenario::RULES));
    registry.register([Pattern::Below((*b"/load").into())]);
    let output = Writer::new(encode, std::io::sink(), 1 << 16);
    Pipeline::new(registry, Cgroups::new(None), scenario::hashing(), output)
}

/// Nanoseconds per event, as fast as they come without a loss: whoever makes them
/// waits when half the ring is full.
fn sustained(
    group: &mut BenchmarkGroup<Turns>,
    name: &str,
    load: RecordLoad,
    ring_bytes: u32,
    per_call: u32,
) -> Result<(), Obstacle> {
    let window = u64::from(ring_bytes / 2 / RECORD_ROOM);
    let mut sent = 0;
    let mut blocks = Blocks::new(load, BLOCK)?;
    group.bench_function(name, |b| {
        b.iter_custom(|events| {
            blocks.block(events, |load, events| {
                let start = Instant::now();
                let end = sent + events;
                while sent < end {
                    load.call();
                    sent += u64::from(per_call);
                    while sent - load.received() > window {
                        std::hint::spin_loop();
                    }
                }
                load.drain().expect("the consumer keeps up");
                start.elapsed()
            })
        });
    });
    let open = blocks.hook().stats()?.open;
    if open.failed > 0 {
        println!("{name}: {} of {} events were lost", open.failed, open.seen);
    }
    Ok(())
}

struct Step {
    per_call: u32,
    rate: f64,
    elapsed: Duration,
    events: u64,
    lost: u64,
    /// By how many the events received and those counted as lost miss those made.
    miscounted: u64,
    /// The median age of an event when it is read, and the 99th percentile.
    age_us: [f64; 2],
}

impl Step {
    fn lost_percent(&self) -> f64 {
        self.lost as f64 / self.events as f64 * 100.0
    }

    /// In millions of events a second.
    fn made(&self) -> f64 {
        self.events as f64 / self.elapsed.as_nanos() as f64 * 1e3
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let asked = match self.rate {
            rate if rate.is_finite() => format!("{rate:.2}"),
            _ => "most".into(),
        };
        let counted = match self.miscounted {
            0 => "exactly",
            _ => "WRONG",
        };
        write!(
            f,
            "{:>8} {asked:>11} {:>11.2} {:>10} {:>10} {:>9.3} {counted:>8} {:>12.0} {:>8.0}",
            self.per_call,
            self.made(),
            self.events,
            self.lost,
            self.lost_percent(),
            self.age_us[0],
            self.age_us[1],
        )
    }
}
