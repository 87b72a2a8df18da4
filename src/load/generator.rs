//! The thread that sends requests when they are due, whatever became of those before.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use super::connection::LoadConnection;
use super::tally::RequestRecord;
use super::{LoadPlan, Regime};
use crate::agent::heap;
use crate::schema::load::RequestError as Error;

/// How often records are handed over and late requests given up.
const TICK: u64 = 10_000_000;
/// How long a connection rests after an error where nothing else sets the pace.
const REST: u64 = 10_000_000;
/// Bytes of one read.
const ROOM: usize = 64 * 1024;

/// Records in the order in which their requests ended.
pub(super) struct SendBatch {
    pub(super) records: Vec<RequestRecord>,
    /// Every request that ended before is in this batch or an earlier one.
    pub(super) until: u64,
    /// When the requests were due that had not.
    pub(super) open: Vec<u64>,
    /// When the first of these was that waited for a connection.
    pub(super) queued: Option<u64>,
}

/// A load's state. Times are nanoseconds since `begin`.
pub(super) struct Generator {
    pub(super) plan: LoadPlan,
    pub(super) begin: Instant,
    pub(super) epoll: OwnedFd,
    pub(super) connections: Vec<LoadConnection>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) tell: Sender<SendBatch>,
    free: VecDeque<usize>,
    busy: Vec<Option<DueRequest>>,
    waiting: VecDeque<DueRequest>,
    records: Vec<RequestRecord>,
    next: u64,
    is_ending: bool,
    tick: u64,
}

#[derive(Debug, Clone, Copy)]
struct DueRequest {
    number: u64,
    intended: u64,
    noticed: u64,
    /// When it got a connection; 0 while it waits for one.
    sent: u64,
}

impl DueRequest {
    /// What fills room for others.
    const NONE: Self = Self {
        number: 0,
        intended: 0,
        noticed: 0,
        sent: 0,
    };

    /// How it has failed that is given up `now`. One that waited longer for a connection than
    /// then for its answer was late before the server had it.
    fn given_up(&self, now: u64) -> Error {
        match self.sent.saturating_sub(self.intended) > now.saturating_sub(self.sent) {
            true => Error::Unsent,
            false => Error::Timeout,
        }
    }
}

impl Generator {
    pub(super) fn new(
        plan: LoadPlan,
        epoll: OwnedFd,
        connections: Vec<LoadConnection>,
        stop: Arc<AtomicBool>,
        tell: Sender<SendBatch>,
    ) -> Self {
        Self {
            free: (0..connections.len()).collect(),
            busy: vec![None; connections.len()],
            waiting: heap::touched(plan.room(), &DueRequest::NONE).into(),
            records: Vec::new(),
            next: 0,
            is_ending: false,
            tick: 0,
            begin: Instant::now(),
            plan,
            epoll,
            connections,
            stop,
            tell,
        }
    }

    /// Sends until it is told to stop and nothing is waited for any more.
    pub(super) fn run(mut self) {
        let mut room = vec![0; ROOM];
        let mut events = Vec::with_capacity(self.connections.len().max(1));
        while !(self.is_ending && self.waiting.is_empty() && self.is_idle()) {
            let now = self.now();
            // First of all: what fell due while this thread did not run is open, too.
            self.notice(now);
            if now >= self.tick {
                self.tick = now + TICK;
                self.is_ending |= self.stop.load(Ordering::Relaxed);
                self.is_ending |= self.plan.length.is_some_and(|length| now >= nanos(length));
                self.give_up(now);
                if !self.hand_over(now) {
                    return;
                }
            }
            self.dispatch();
            let wake = self.tick.min(self.next_due()).saturating_sub(self.now());
            let wake = Timespec::try_from(Duration::from_nanos(wake)).ok();
            events.clear();
            // A signal interrupts it: the next turn sees to what is due.
            let _ = epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                wake.as_ref(),
            );
            for event in &events {
                self.advance(event.data.u64() as usize, event.flags, &mut room);
            }
        }
        let end = self.now();
        self.hand_over(end);
    }

    fn now(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    fn is_idle(&self) -> bool {
        self.busy.iter().all(Option::is_none)
    }

    /// When the next request is to be sent.
    fn next_due(&self) -> u64 {
        match self.plan.regime {
            _ if self.is_ending => u64::MAX,
            Regime::Rate(rate) => {
                let due = (self.next as f64 * 1e9 / rate) as u64;
                let is_over = self.plan.length.is_some_and(|length| due >= nanos(length));
                if is_over { u64::MAX } else { due }
            }
            Regime::Saturation => self.tick,
        }
    }

    /// Queues what is due.
    fn notice(&mut self, now: u64) {
        let request = |number, intended| DueRequest {
            number,
            intended,
            noticed: now,
            sent: 0,
        };
        match self.plan.regime {
            Regime::Rate(_) => {
                while self.next_due() <= now {
                    self.waiting.push_back(request(self.next, self.next_due()));
                    self.next += 1;
                }
            }
            Regime::Saturation if self.is_ending => {}
            Regime::Saturation => {
                for _ in self.waiting.len()..self.free.len() {
                    self.waiting.push_back(request(self.next, now));
                    self.next += 1;
                }
            }
        }
    }

    /// Sends what waits, as far as connections are free.
    fn dispatch(&mut self) {
        while let Some(request) = self.waiting.front().copied() {
            let Some(key) = self.free.pop_front() else {
                return;
            };
            self.waiting.pop_front();
            let target = &self.plan.target;
            let sent =
                self.connections[key].send(target.address(), &self.epoll, key as u64, |out| {
                    target.write_request(request.number, out)
                });
            match sent {
                Ok(()) => {
                    let sent = self.now();
                    self.busy[key] = Some(DueRequest { sent, ..request });
                }
                Err(error) => {
                    self.connections[key].close();
                    self.free.push_back(key);
                    self.end(request, Err(error));
                    if self.plan.regime == Regime::Saturation {
                        // Refused at once, it would be asked again at once.
                        std::thread::sleep(Duration::from_nanos(REST));
                        return;
                    }
                }
            }
        }
    }

    fn advance(&mut self, key: usize, flags: epoll::EventFlags, room: &mut [u8]) {
        let connection = &mut self.connections[key];
        let outcome = match connection.advance(flags, room) {
            Ok(None) => {
                if self.busy[key].is_none() && connection.is_spent() {
                    connection.close();
                }
                return;
            }
            Ok(Some(answer)) => {
                if !answer.keeps_open || connection.is_spent() {
                    connection.close();
                }
                match answer.status {
                    400.. => Err(Error::Status),
                    _ => Ok(()),
                }
            }
            Err(error) => {
                connection.close();
                Err(error)
            }
        };
        // A server may close a connection on which nothing is waited for.
        if let Some(request) = self.busy[key].take() {
            self.free.push_back(key);
            self.end(request, outcome);
        }
    }

    fn end(&mut self, request: DueRequest, outcome: Result<(), Error>) {
        self.records.push(RequestRecord {
            number: request.number,
            intended: request.intended,
            noticed: request.noticed,
            ended: self.now(),
            outcome,
        });
    }

    /// Gives up requests that have waited for too long.
    fn give_up(&mut self, now: u64) {
        let patience = nanos(self.plan.timeout);
        let is_late = |request: &DueRequest| now.saturating_sub(request.intended) > patience;
        for key in 0..self.busy.len() {
            if let Some(request) = self.busy[key].take_if(|request| is_late(request)) {
                // An answer that comes later must not be taken for the next one's.
                self.connections[key].close();
                self.free.push_back(key);
                self.end(request, Err(request.given_up(now)));
            }
        }
        while let Some(request) = self.waiting.front().copied().filter(is_late) {
            self.waiting.pop_front();
            self.end(request, Err(Error::Unsent));
        }
    }

    /// Whether anyone still wants the records.
    fn hand_over(&mut self, now: u64) -> bool {
        let open = self.busy.iter().flatten().chain(&self.waiting);
        // What has just fallen due is sent next where a connection is free.
        let first = self.waiting.front().map(|request| request.intended);
        let batch = SendBatch {
            open: open.map(|request| request.intended).collect(),
            queued: first.filter(|_| self.free.is_empty()),
            records: mem::take(&mut self.records),
            until: now,
        };
        self.tell.send(batch).is_ok()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A queue that grows is no silence of the server's.
    #[test]
    fn what_had_its_connection_too_late_is_no_timeout() {
        for (intended, sent, error) in [
            (1000, 1000, Error::Timeout),
            (1000, 1999, Error::Timeout),
            (1000, 2001, Error::Unsent),
            (1000, 2990, Error::Unsent),
        ] {
            let request = DueRequest {
                number: 0,
                intended,
                noticed: intended,
                sent,
            };
            assert_eq!(request.given_up(3000), error, "sent at {sent}");
        }
    }

    #[test]
    fn what_fell_due_while_the_generator_slept_is_open() {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let plan = LoadPlan {
            timeout: Duration::from_millis(10),
            ..LoadPlan::new(
                "http://127.0.0.1:9/".parse().unwrap(),
                Regime::Rate(1000.0),
                0,
            )
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, batches) = mpsc::channel();
        let mut generator = Generator::new(plan, epoll, Vec::new(), Arc::clone(&stop), tell);
        generator.begin -= Duration::from_millis(5);
        let thread = std::thread::spawn(|| generator.run());
        let first = batches.recv().unwrap();
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        // One at 0 ms, and one each millisecond.
        let due = (first.until / 1_000_000 + 1) as usize;
        let given_up = first.records.len();
        assert_eq!(first.open.len() + given_up, due, "until {} ns", first.until);
    }
}
