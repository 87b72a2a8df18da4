//! The thread that reads the ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::ring::Ring;
use super::settings::{Options, Wakeup};
use crate::host::Obstacle;

/// How long nothing may come in a drain before the consumer counts as stalled.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// The most that counts as waiting between two looks: what is longer was a pause of the
/// whole machine, in which the consumer had no chance either.
const LONGEST_LOOK: Duration = Duration::from_millis(100);
/// How many records are taken before anything else is looked at.
const LONGEST_BATCH: u64 = 8192;

/// Something that takes records as they come out of the ring. It runs on the
/// consumer's thread.
pub trait Sink: Send + 'static {
    /// Takes one record; the bytes are the ring's own and gone afterwards.
    fn take(&mut self, record: &[u8]);

    /// Called whenever the ring has been read empty.
    fn flush(&mut self) {}

    /// Called whenever a look at the ring has found nothing.
    fn idle(&mut self) {}

    /// Called when the ring is read no more.
    fn end(&mut self) {}
}

impl<F: FnMut(&[u8]) + Send + 'static> Sink for F {
    fn take(&mut self, record: &[u8]) {
        self(record);
    }
}

/// The consumer thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    tid: u32,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    paused: AtomicBool,
    received: AtomicU64,
}

impl Consumer {
    /// Starts the thread, on the CPU that the options name.
    pub(crate) fn spawn(ring: Ring, options: &Options, sink: impl Sink) -> Result<Self, Obstacle> {
        Self::try_spawn(ring, options, sink).map_err(|error| {
            Obstacle::new(
                format!("the consumer thread could not start: {error}"),
                "name a CPU that this process may use",
            )
        })
    }

    fn try_spawn(ring: Ring, options: &Options, sink: impl Sink) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (tell, told) = mpsc::channel();
        let cpu = options.cpu;
        let (wakeup, pause) = (options.wakeup, options.drain_every);
        let inner = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("agent-consumer".into())
            .spawn(move || {
                let pinned = cpu.map_or(Ok(()), pin_this_thread);
                let is_pinned = pinned.is_ok();
                let tid = rustix::thread::gettid().as_raw_nonzero().get();
                // The other end waits for exactly this message.
                let _ = tell.send(pinned.map(|()| tid as u32));
                if is_pinned {
                    read(ring, sink, &inner, wakeup, pause);
                }
            })?;
        let tid = told
            .recv()
            .map_err(|_| std::io::Error::other("the consumer thread died at its start"))??;
        Ok(Self {
            shared,
            tid,
            thread: Some(thread),
        })
    }

    pub(crate) fn tid(&self) -> u32 {
        self.tid
    }

    pub(crate) fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Acquire)
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::Release);
    }

    /// The CPU time that the thread has used.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Obstacle> {
        // Inside a PID namespace, too, this directory is named as `gettid` says.
        let path = format!("/proc/self/task/{}/schedstat", self.tid);
        std::fs::read_to_string(&path)
            .and_then(|text| {
                text.split_whitespace()
                    .next()
                    .and_then(|ns| ns.parse().ok())
                    .map(Duration::from_nanos)
                    .ok_or_else(|| std::io::Error::other("it does not begin with a number"))
            })
            .map_err(|error| {
                Obstacle::new(
                    format!("the consumer's CPU time cannot be read: {path}: {error}"),
                    "mount /proc",
                )
            })
    }

    /// Whether the thread reads, or would if there were something.
    pub(crate) fn is_reading(&self) -> bool {
        let alive = |thread: &JoinHandle<()>| !thread.is_finished();
        self.thread.as_ref().is_some_and(alive) && !self.shared.paused.load(Ordering::Acquire)
    }

    /// Waits until so many records have been received in all. Fails where the
    /// thread stalls: where none comes for longer than `patience`.
    pub(crate) fn wait_for(&self, records: u64, patience: Duration) -> Result<(), Obstacle> {
        let mut idle = Idle::since(Instant::now());
        loop {
            let received = self.received();
            if received >= records {
                return Ok(());
            }
            if idle.look(received, Instant::now()) > patience {
                return Err(Obstacle::new(
                    format!(
                        "the consumer took {received} of {records} records and then none for {} s",
                        patience.as_secs_f64()
                    ),
                    "give it a CPU of its own, or a sink that keeps up",
                ));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// For how long nothing has come.
struct Idle {
    received: u64,
    looked: Instant,
    waited: Duration,
}

impl Idle {
    fn since(start: Instant) -> Self {
        Self {
            received: 0,
            looked: start,
            waited: Duration::ZERO,
        }
    }

    /// How long so many records have been all, as far as that was looked at.
    fn look(&mut self, received: u64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        self.waited = match received > self.received {
            true => Duration::ZERO,
            false => self.waited + passed.min(LONGEST_LOOK),
        };
        (self.received, self.looked) = (received, now);
        self.waited
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the sink has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

fn read(mut ring: Ring, mut sink: impl Sink, shared: &Shared, wakeup: Wakeup, pause: Duration) {
    while !shared.stop.load(Ordering::Acquire) {
        if shared.paused.load(Ordering::Acquire) {
            std::thread::sleep(pause);
            continue;
        }
        // A bound, so that a producer faster than the sink cannot keep this
        // thread from being paused or stopped.
        let records = ring.read(LONGEST_BATCH, |record| sink.take(record));
        if records > 0 {
            sink.flush();
            shared.received.fetch_add(records, Ordering::AcqRel);
        } else {
            sink.idle();
        }
        if records == LONGEST_BATCH {
            continue;
        }
        match wakeup {
            Wakeup::Never => std::thread::sleep(pause),
            Wakeup::Default | Wakeup::Bytes(_) if ring.is_empty() => wait_for_wakeup(&ring, pause),
            Wakeup::Default | Wakeup::Bytes(_) => {}
        }
    }
    sink.end();
}

/// Waits for the kernel's wake-up, at most as long as a timed drain would: a
/// wake-up that waits for many bytes must not hold the last ones back.
fn wait_for_wakeup(ring: &Ring, longest: Duration) {
    let timeout = rustix::event::Timespec {
        tv_sec: longest.as_secs() as i64,
        tv_nsec: longest.subsec_nanos().into(),
    };
    // An interrupted wait only means to look earlier.
    let _ = poll(&mut [PollFd::new(ring, PollFlags::IN)], Some(&timeout));
}

/// Ties the calling thread to `cpu`.
pub fn pin_this_thread(cpu: usize) -> std::io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_begins_anew_with_every_record_and_a_pause_of_the_machine_is_no_waiting() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut idle = Idle::since(start);
        for (ms, received, waited) in [
            (90, 0, 90),
            (180, 0, 180),
            (270, 5, 0),
            (360, 5, 90),
            (60_000, 5, 190),
            (60_010, 6, 0),
        ] {
            let passed = idle.look(received, at(ms));
            assert_eq!(passed, Duration::from_millis(waited), "at {ms} ms");
        }
    }
}
