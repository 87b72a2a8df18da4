//! The ring under load, in the running kernel. Where no agent can run, each test
//! says so in one line and passes, unless `PROBECOST_REQUIRE_AGENT=1` forbids that.

#![cfg(feature = "agent")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use probecost::agent::record::{Record, Target};
use probecost::agent::{self, Agent, Options, Sink, Wakeup};
use probecost::host::{Obstacle, allowed_cpus};
use probecost::instrument::RecordLoad;
use probecost::pipeline::{Binary, Cgroups, Hashing, Pattern, Pipeline, Policy, Registry, Writer};

/// Every `getppid` of this process is an event of every load.
static ALONE: Mutex<()> = Mutex::new(());

const SMALL_RING: u32 = 64 << 10;

fn load(options: Options, sink: impl Sink) -> Option<(RecordLoad, MutexGuard<'static, ()>)> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let start = || -> Result<RecordLoad, Obstacle> {
        let pid = Agent::start(Options::default())?.pid();
        RecordLoad::start(pid, &options, sink)
    };
    match start() {
        Ok(load) => Some((load, alone)),
        Err(obstacle) if agent::is_required() => panic!("an agent is required: {obstacle}"),
        Err(obstacle) => {
            eprintln!("skipped: {obstacle}");
            None
        }
    }
}

fn small_ring() -> Options {
    Options {
        ring_bytes: SMALL_RING,
        ..Options::default()
    }
}

#[test]
fn what_a_full_ring_loses_is_counted_exactly() {
    let registry = Registry::new(Policy::from_iter([Pattern::Below((*b"/load").into())]));
    let output = Writer::new(Binary, std::io::sink(), 4096);
    let pipeline = Pipeline::new(registry, Cgroups::new(None), Hashing::random(), output);
    let watch = pipeline.watch();
    let Some((mut load, _alone)) = load(small_ring(), pipeline) else {
        return;
    };
    // What a CPU lost is told by its next record.
    agent::pin_this_thread(allowed_cpus()[0]).unwrap();
    load.pause_consumer(true);
    load.set_per_call(20).unwrap();
    // The pause holds from the consumer's next look on.
    std::thread::sleep(Duration::from_millis(50));
    for _ in 0..500 {
        load.call();
    }
    let full = load.stats().unwrap();
    assert_eq!(full.open.seen, 10_000);
    assert!(full.open.failed > 5_000, "{full:?}");
    assert_eq!(full.received, 0);

    load.pause_consumer(false);
    load.drain().unwrap();
    // The next record tells how many were lost before it.
    load.set_per_call(1).unwrap();
    load.call();
    let stats = load.drain().unwrap();
    assert_eq!(stats.received + stats.open.failed, 10_001);
    let tally = watch.tally();
    assert_eq!(tally.lost, stats.open.failed);
    assert_eq!(tally.matched, stats.received);
    assert_eq!(tally.malformed, 0);
}

/// The records of one call are lettered from a to p; a letter out of turn is a
/// record lost, doubled, torn or overtaken.
#[test]
fn every_record_arrives_once_and_in_order_through_a_thousand_turns_of_the_ring() {
    let out_of_turn = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&out_of_turn);
    let mut turn = 0;
    let sink = move |bytes: &[u8]| {
        let expected = [b"/load/", &[b'a' + turn][..]].concat();
        turn = (turn + 1) % 16;
        let whole = bytes.len() == 64
            && Record::decode(bytes).is_ok_and(|record| record.target == Target::Path(&expected));
        counted.fetch_add(u64::from(!whole), Ordering::Relaxed);
    };
    let Some((mut load, _alone)) = load(small_ring(), sink) else {
        return;
    };
    load.set_per_call(16).unwrap();
    let records = 1000 * u64::from(SMALL_RING) / 72;
    let mut sent = 0;
    while sent < records {
        load.call();
        sent += 16;
        while sent - load.received() > 500 {
            std::thread::yield_now();
        }
    }
    let stats = load.drain().unwrap();
    assert_eq!((stats.received, stats.open.failed), (sent, 0));
    assert_eq!(out_of_turn.load(Ordering::Relaxed), 0);
}

/// A consumer that would sleep longer than a drain is patient must be woken each
/// time.
#[test]
fn no_wake_up_is_missed() {
    let options = Options {
        wakeup: Wakeup::Default,
        drain_every: Duration::from_secs(4),
        ..small_ring()
    };
    let Some((load, _alone)) = load(options, |_: &[u8]| ()) else {
        return;
    };
    for i in 0..2000 {
        load.call();
        if i % 7 == 0 {
            std::thread::sleep(Duration::from_micros(i % 300));
        }
        if i % 50 == 0 {
            load.drain().unwrap();
        }
    }
    let stats = load.drain().unwrap();
    assert_eq!((stats.received, stats.open.failed), (2000, 0));
}
