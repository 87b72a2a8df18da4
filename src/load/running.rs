//! A load while it runs.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::event::epoll;
use rustix::io::Errno;

use super::LoadPlan;
use super::connection::LoadConnection;
use super::generator::{Generator, SendBatch};
use super::tally::{LoadBlock, LoadTally, RequestRecord};
use crate::agent::{heap, pin_this_thread};
use crate::host::Obstacle;

/// When a request was due that a block shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// In it, and has ended in it.
    Inside,
    /// Before it.
    Before,
}

/// A request that waits no longer, in nanoseconds, has only just been noticed.
const PROMPT: u64 = 1_000_000;

/// A load whose thread is sending.
#[derive(Debug)]
pub struct Running {
    begin: Instant,
    batches: Receiver<SendBatch>,
    /// What came of the requests of batches read, and belongs to no block yet.
    records: Vec<RequestRecord>,
    until: u64,
    /// When those were due that had not ended by then.
    open: Vec<u64>,
    /// When the first of them was that waited for a connection.
    queued: Option<u64>,
    is_endless: bool,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Opens all connections, and begins to send.
    ///
    /// # Errors
    /// Nobody listens there, or the thread may not run on its CPU.
    pub fn start(mut plan: LoadPlan) -> Result<Self, Obstacle> {
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| impossible(&e.into()))?;
        let mut connections = Vec::with_capacity(plan.connections);
        for key in 0..plan.connections as u64 {
            let connected = plan.target.connect(plan.timeout);
            let stream = connected.map_err(|error| unconnected(&plan, key, &error))?;
            let mut connection = LoadConnection::new(plan.target.answers());
            connection
                .adopt(stream, &epoll, key)
                .map_err(|e| impossible(&e))?;
            connections.push(connection);
        }
        let is_endless = plan.length.is_none();
        let room = plan.room();
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, batches) = mpsc::channel();
        let (begun, begins) = mpsc::channel();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || {
                let pinned = plan.cpu.map_or(Ok(()), pin_this_thread);
                let is_pinned = pinned.is_ok();
                // By default the kernel may wake it 50 µs late, to save power.
                let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
                let generator = Generator::new(plan, epoll, connections, stopped, tell);
                // The other end waits for exactly this message.
                let _ = begun.send(pinned.map(|()| generator.begin));
                if is_pinned {
                    generator.run();
                }
            })
            .map_err(|e| impossible(&e))?;
        let begin = match begins.recv() {
            Ok(Ok(begin)) => begin,
            Ok(Err(error)) => return Err(impossible(&error)),
            Err(_) => return Err(ended()),
        };
        Ok(Self {
            begin,
            batches,
            records: heap::touched(room, &RequestRecord::NONE),
            until: 0,
            open: Vec::new(),
            queued: None,
            is_endless,
            stop,
            thread: Some(thread),
        })
    }

    /// When its first request was due.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// Fails where its thread has ended by itself.
    ///
    /// # Errors
    /// It has.
    pub fn alive(&self) -> Result<(), Obstacle> {
        match &self.thread {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => Err(ended()),
        }
    }

    /// The requests that were due from one moment and ended before another, which has
    /// passed. What was due before is forgotten: blocks come in the order of time.
    ///
    /// # Errors
    /// The load has ended.
    pub fn block(&mut self, from: Instant, to: Instant) -> Result<LoadBlock, Obstacle> {
        let mut tally = LoadTally::default();
        let across = self.block_of(from, to, |record, due| {
            if due == Due::Inside {
                tally.add(record);
            }
        })?;
        Ok(LoadBlock {
            length: to.saturating_duration_since(from),
            tally,
            across,
        })
    }

    /// As [`Self::block`], and keeps nothing: `each` is shown every request that belongs to
    /// it, and those due before it that have ended since the last block. Those that this
    /// block leaves are due before the next one, or [`Self::finish`] shows them. Gives how
    /// many requests were due in it and ended later.
    ///
    /// # Errors
    /// The load has ended.
    pub fn block_of(
        &mut self,
        from: Instant,
        to: Instant,
        mut each: impl FnMut(&RequestRecord, Due),
    ) -> Result<u64, Obstacle> {
        let (start, end) = (self.since_begin(from), self.since_begin(to));
        while self.until < end {
            let batch = self.batches.recv().map_err(|_| ended())?;
            let records = self.take(batch);
            self.records.extend(records);
        }
        let is_inside = |intended: &u64| (start..end).contains(intended);
        let mut across = self.open.iter().copied().filter(is_inside).count() as u64;
        self.records.retain(|record| {
            if record.intended < start {
                each(record, Due::Before);
                return false;
            }
            let is_left = record.intended >= end || record.ended >= end;
            if !is_left {
                each(record, Due::Inside);
            } else if is_inside(&record.intended) {
                across += 1;
            }
            is_left
        });
        Ok(across)
    }

    /// Shows `each` request that has ended since the last look.
    pub fn look(&mut self, mut each: impl FnMut(&RequestRecord)) {
        self.records.drain(..).for_each(|record| each(&record));
        while let Ok(batch) = self.batches.try_recv() {
            self.take(batch).iter().for_each(&mut each);
        }
    }

    /// Whether, at the last look, a request that was due before `moment` was open, or one
    /// waited for a connection.
    pub fn is_behind(&self, moment: Instant) -> bool {
        let moment = self.since_begin(moment);
        let waits = |due: u64| self.until - due > PROMPT;
        self.until < moment
            || self.open.iter().any(|due| *due < moment)
            || self.queued.is_some_and(waits)
    }

    fn take(&mut self, batch: SendBatch) -> Vec<RequestRecord> {
        self.until = batch.until;
        self.open = batch.open;
        self.queued = batch.queued;
        batch.records
    }

    /// A moment as records have it: nanoseconds since the load's start.
    pub fn since_begin(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.begin).as_nanos() as u64
    }

    /// Shows `each` request when it has ended, up to the last. A load without a length
    /// is told to end.
    pub fn finish(self, each: impl FnMut(&RequestRecord)) {
        let is_endless = self.is_endless;
        self.finish_when(|| is_endless, each);
    }

    /// The same, and a load with a length is told to end before it where `is_over`, which is
    /// asked again and again.
    pub fn finish_when(mut self, is_over: impl Fn() -> bool, mut each: impl FnMut(&RequestRecord)) {
        let tell = || self.stop.fetch_or(is_over(), Ordering::Relaxed);
        tell();
        self.records.drain(..).for_each(|record| each(&record));
        while let Ok(batch) = self.batches.recv() {
            tell();
            batch.records.iter().for_each(&mut each);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say: what it measured is in its batches.
            let _ = thread.join();
        }
    }
}

fn ended() -> Obstacle {
    Obstacle::new("the load has ended", "start another")
}

fn impossible(error: &std::io::Error) -> Obstacle {
    Obstacle::new(
        format!("this machine cannot make the load: {error}"),
        "see which CPUs and how many descriptors it may use: taskset --pid $$; ulimit -n",
    )
}

fn unconnected(plan: &LoadPlan, before: u64, error: &std::io::Error) -> Obstacle {
    // What this side lacks is no fault of the server's.
    let lacks = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL];
    if Errno::from_io_error(error).is_some_and(|errno| lacks.contains(&errno)) {
        return impossible(error);
    }
    let target = &plan.target;
    let why = match before {
        0 => format!("nobody answers at {target}: {error}"),
        _ => format!(
            "{target} took {before} of {} connections: {error}",
            plan.connections
        ),
    };
    Obstacle::new(
        why,
        format!(
            "see who listens there: ss --listening --tcp '( sport = :{} )'",
            target.address().port()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::super::{Behaviour, Endpoint, Regime, Server, Stall};
    use super::*;
    use crate::schema::load::RequestError;

    /// A port that the kernel gives to nobody, and that nothing has used for long.
    const NOBODY: &str = "http://127.0.0.1:9/";

    fn plan(target: Endpoint, regime: Regime, ms: u64) -> LoadPlan {
        LoadPlan {
            length: Some(Duration::from_millis(ms)),
            timeout: Duration::from_millis(400),
            ..LoadPlan::new(target, regime, 2)
        }
    }

    fn whole(plan: LoadPlan) -> LoadTally {
        let mut tally = LoadTally::default();
        let load = Running::start(plan).unwrap();
        load.finish(|record| tally.add(record));
        tally
    }

    /// What a server that answers each connection's first bytes with `answer` gives.
    fn answered_with(answer: &'static [u8]) -> LoadTally {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(answer);
                });
            }
        });
        whole(plan(url.parse().unwrap(), Regime::Rate(100.0), 300))
    }

    #[test]
    fn what_this_side_lacks_is_not_the_server_s_fault() {
        let server = Server::start(Behaviour::default(), None).unwrap();
        let plan = plan(server.target(), Regime::Rate(1.0), 1);
        for (errno, command) in [(Errno::MFILE, "ulimit -n"), (Errno::CONNREFUSED, "ss ")] {
            let obstacle = unconnected(&plan, 508, &errno.into());
            assert!(obstacle.remedy.contains(command), "{obstacle}");
        }
    }

    #[test]
    fn every_request_that_is_due_is_sent_and_answered() {
        let server = Server::start(Behaviour::default(), None).unwrap();
        let tally = whole(plan(server.target(), Regime::Rate(500.0), 400));
        assert_eq!((tally.due(), tally.answered), (200, 200));
    }

    /// With a share f of the time in stalls of length s, requests due in them wait
    /// evenly between 0 and s, so 1 % of all wait longer than s (1 - 0.01 / f).
    #[test]
    fn a_stall_is_seen_by_those_who_would_have_come_in_it() {
        let behaviour = Behaviour {
            stall: Some(Stall {
                every: Duration::from_millis(1000),
                lasting: Duration::from_millis(200),
            }),
            ..Behaviour::default()
        };
        let p99 = |regime| {
            let server = Server::start(behaviour, None).unwrap();
            // After a second of quiet, two that begin with a stall.
            let plan = LoadPlan {
                timeout: Duration::from_secs(2),
                ..plan(server.target(), regime, 3000)
            };
            let load = Running::start(plan).unwrap();
            let mut tally = LoadTally::default();
            load.finish(|record| {
                if record.intended >= 1_000_000_000 {
                    tally.add(record);
                }
            });
            assert_eq!(tally.failed(), 0);
            tally.latency_us(0.99).unwrap() / 1e3
        };
        let expected = 200.0 * (1.0 - 0.01 / 0.2);
        let open = p99(Regime::Rate(400.0));
        // Whatever else is slow only adds.
        assert!(
            expected - 15.0 < open && open < 2.0 * expected,
            "{open} ms, not {expected}"
        );
        let closed = p99(Regime::Saturation);
        assert!(closed < expected / 4.0, "{closed} ms");
    }

    #[test]
    fn a_request_belongs_to_the_block_that_holds_all_of_it() {
        let behaviour = Behaviour {
            stall: Some(Stall {
                every: Duration::from_millis(600),
                lasting: Duration::from_millis(400),
            }),
            ..Behaviour::default()
        };
        // Stalls are counted from here, however long both take to start.
        let start = Instant::now();
        let server = Server::start(behaviour, None).unwrap();
        let mut load =
            Running::start(LoadPlan::new(server.target(), Regime::Rate(1000.0), 2)).unwrap();
        let at = |ms| start + Duration::from_millis(ms);
        let [quiet, stalled, later] =
            [(400, 500), (500, 800), (1000, 1190)].map(|(a, b)| (at(a), at(b)));
        let mut block = |(from, to): (Instant, Instant)| {
            std::thread::sleep(to.saturating_duration_since(Instant::now()));
            let block = load.block(from, to).unwrap();
            (block.tally.answered, block.across, block.tally.failed())
        };
        let (answered, across, failed) = block(quiet);
        assert!(
            answered + across == 100 && answered > 0 && failed == 0,
            "{answered}+{across}"
        );
        let (answered, across, _) = block(stalled);
        assert_eq!(answered + across, 300);
        // Those of the stall's first half, but for what the server began late.
        assert!(across >= 100, "{across} across");
        let (answered, across, _) = block(later);
        assert_eq!(answered + across, 190);
    }

    /// It accepts, and never says a word: every request outlives its block.
    #[test]
    fn a_request_that_outlives_its_block_is_shown_once_when_it_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let plan = LoadPlan {
            length: None,
            ..plan(url.parse().unwrap(), Regime::Rate(100.0), 0)
        };
        let mut load = Running::start(plan).unwrap();
        let (mut within, mut late, mut across) = (0, Vec::new(), 0);
        let mut last = 0;
        for k in 0..8 {
            let [from, to] = [k, k + 1].map(|k| load.begin() + Duration::from_millis(100 * k));
            std::thread::sleep(to.saturating_duration_since(Instant::now()));
            let block = load.block_of(from, to, |record, due| match due {
                Due::Inside => within += 1,
                Due::Before => late.push(*record),
            });
            across += block.unwrap();
            last = load.since_begin(to);
        }
        let before = late.len();
        load.finish(|record| late.extend((record.intended < last).then_some(*record)));
        assert!(before >= 30, "{before} late before the end");
        assert_eq!((within, across, late.len()), (0, 80, 80));
        assert!(late.iter().all(|record| record.outcome.is_err()));
        late.dedup_by_key(|record| record.number);
        assert_eq!(late.len(), 80);
    }

    /// It stands still for a while, and requests pile up.
    #[test]
    fn a_queue_is_seen_until_it_is_gone() {
        let behaviour = Behaviour {
            stall: Some(Stall {
                every: Duration::from_millis(500),
                lasting: Duration::from_millis(300),
            }),
            ..Behaviour::default()
        };
        let server = Server::start(behaviour, None).unwrap();
        let mut load =
            Running::start(LoadPlan::new(server.target(), Regime::Rate(1000.0), 2)).unwrap();
        let (mut shown, mut waits) = (Vec::new(), Vec::new());
        while load.begin().elapsed() < Duration::from_millis(1100) {
            let moment = Instant::now();
            loop {
                load.look(|record| shown.push(record.number));
                if !load.is_behind(moment) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            waits.push(moment.elapsed());
        }
        let longest = waits.iter().max().unwrap();
        assert!(*longest >= Duration::from_millis(100), "{longest:?}");
        load.finish(|record| shown.push(record.number));
        shown.sort_unstable();
        let all: Vec<u64> = (0..shown.len() as u64).collect();
        assert!(shown.len() > 1000 && shown == all, "each is shown once");
    }

    #[test]
    fn errors_are_told_apart() {
        for (answer, kind) in [
            (&b""[..], RequestError::Reset),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                RequestError::Reset,
            ),
            (b"220 smtp ready\r\n", RequestError::Malformed),
            (b"+OK POP3 ready\r\n", RequestError::Malformed),
            (
                b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                RequestError::Status,
            ),
        ] {
            let tally = answered_with(answer);
            assert_eq!(tally.due(), 30);
            let answer = String::from_utf8_lossy(answer);
            assert!(tally.errors(kind) >= 15, "{answer:?}: {tally:?}");
            assert_eq!(tally.answered, 0, "{answer:?}");
        }
    }

    /// It accepts, and never says a word.
    #[test]
    fn a_silent_server_gives_timeouts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let tally = whole(plan(url.parse().unwrap(), Regime::Rate(100.0), 300));
        assert_eq!((tally.due(), tally.answered), (30, 0));
        let [sent, unsent] = [RequestError::Timeout, RequestError::Unsent].map(|e| tally.errors(e));
        assert!(sent >= 2 && sent + unsent == 30, "{tally:?}");
    }

    /// It ends while the load runs.
    #[test]
    fn a_server_that_goes_away_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let load = Running::start(plan(url.parse().unwrap(), Regime::Rate(100.0), 300)).unwrap();
        drop(listener);
        let mut tally = LoadTally::default();
        load.finish(|record| tally.add(record));
        assert!(tally.errors(RequestError::Refused) >= 20, "{tally:?}");
    }

    #[test]
    fn a_load_that_has_ended_says_so() {
        let server = Server::start(Behaviour::default(), None).unwrap();
        let load = Running::start(plan(server.target(), Regime::Rate(100.0), 50)).unwrap();
        let obstacle = std::iter::repeat_with(|| load.alive()).find_map(Result::err);
        assert!(obstacle.unwrap().why.contains("has ended"));
    }

    #[test]
    fn nobody_there_is_said_at_once() {
        let target: Endpoint = NOBODY.parse().unwrap();
        let obstacle = Running::start(plan(target, Regime::Saturation, 300)).unwrap_err();
        assert!(obstacle.why.contains("nobody answers"), "{obstacle}");
        assert!(obstacle.remedy.contains("ss "), "{obstacle}");
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused() {
        let server = Server::start(Behaviour::default(), None).unwrap();
        let plan = LoadPlan {
            cpu: Some(100_000),
            ..LoadPlan::new(server.target(), Regime::Saturation, 1)
        };
        assert!(Running::start(plan).is_err());
    }
}
