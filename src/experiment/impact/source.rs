//! A load that keeps running while arms switch underneath, and what comes of it in each
//! stretch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::pgbench::Pgbench;
use crate::host::Obstacle;
use crate::load::{LoadBlock, LoadPlan, LoadTally, Regime, RequestRecord, Running};
use crate::process::{Ward, interrupted};
use crate::workload::{Asked, Service};

/// Connections of a load.
const CONNECTIONS: usize = 8;

/// How long after its intended start a request without an answer is given up.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What has ended so long after a stretch is the last that is heard of it.
const LATEST: Duration = TIMEOUT.saturating_add(Duration::from_secs(1));

/// How long a queue of an earlier stretch may last: no request in it is older than the
/// timeout, and at half of what the server can do it goes as fast as it grew.
const QUEUE: Duration = TIMEOUT.saturating_mul(2);

/// A stretch of a load.
pub type Span = (Instant, Instant);

/// Who asks.
enum Source {
    /// Our own load.
    Own(Running),
    /// pgbench, which logs every transaction.
    Pgbench(Box<Pgbench>),
}

/// A load that runs, and the stretches of it of which not everything has been heard. `T` is
/// what the caller has to say of a stretch.
pub struct Underneath<T> {
    source: Source,
    stretches: Stretches<T>,
}

impl<T> Underneath<T> {
    /// Puts a service under load, from this CPU.
    pub fn start(
        service: &Service,
        regime: Regime,
        ward: &Ward,
        cpu: Option<usize>,
    ) -> Result<Self, Obstacle> {
        let source = match &service.asked {
            Asked::Over(target) => {
                let plan = LoadPlan {
                    timeout: TIMEOUT,
                    cpu,
                    ..LoadPlan::new(target.clone(), regime, CONNECTIONS)
                };
                Source::Own(Running::start(plan)?)
            }
            Asked::Pgbench {
                program,
                directory,
                user,
            } => {
                let pgbench =
                    Pgbench::start(program, directory, *user, regime, TIMEOUT, ward, cpu)?;
                Source::Pgbench(Box::new(pgbench))
            }
        };
        let begin = match &source {
            Source::Own(running) => running.begin(),
            Source::Pgbench(pgbench) => pgbench.begin(),
        };
        Ok(Self {
            source,
            stretches: Stretches::since(begin, matches!(regime, Regime::Rate(_))),
        })
    }

    /// Fails where it has ended by itself.
    pub fn alive(&mut self) -> Result<(), Obstacle> {
        match &mut self.source {
            Source::Own(running) => running.alive(),
            Source::Pgbench(pgbench) => pgbench.alive(),
        }
    }

    /// Waits until nothing that was due before `moment` is open, and nothing else waits for
    /// it. What still waits after a while does so for the arm that is on.
    pub fn catch_up(&mut self, moment: Instant) -> Result<(), Obstacle> {
        let begin = Instant::now();
        loop {
            self.look()?;
            let is_behind = match &self.source {
                Source::Own(running) => running.is_behind(moment),
                Source::Pgbench(pgbench) => pgbench.is_behind(self.stretches.at(moment)),
            };
            if !is_behind || begin.elapsed() > QUEUE || interrupted() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A stretch that is over. They follow each other in time.
    pub fn measured(&mut self, span: Span, what: T) {
        self.stretches.push(span, what);
    }

    /// Those stretches, the oldest first, of which all has been heard.
    pub fn settled(&mut self) -> Result<Vec<(T, LoadBlock)>, Obstacle> {
        self.look()?;
        Ok(self.stretches.settled())
    }

    /// Ends the load, and gives the other stretches.
    pub fn finish(mut self) -> Result<Vec<(T, LoadBlock)>, Obstacle> {
        match self.source {
            Source::Own(running) => running.finish(|record| self.stretches.add(record)),
            Source::Pgbench(mut pgbench) => {
                pgbench.end();
                pgbench.look(|record| self.stretches.add(record))?;
            }
        }
        Ok(self.stretches.before(u64::MAX))
    }

    fn look(&mut self) -> Result<(), Obstacle> {
        let each = |record: &RequestRecord| self.stretches.add(record);
        match &mut self.source {
            Source::Own(running) => {
                running.look(each);
                Ok(())
            }
            Source::Pgbench(pgbench) => pgbench.look(each),
        }
    }
}

/// What came of a load in each of some stretches.
struct Stretches<T> {
    begin: Instant,
    /// Whether requests are due by a schedule, which goes on while the service stands still.
    has_schedule: bool,
    /// When the last request ended that was heard of.
    heard: u64,
    open: VecDeque<Stretch<T>>,
}

struct Stretch<T> {
    /// The begin and the end, in nanoseconds since the load's.
    span: [u64; 2],
    block: LoadBlock,
    what: T,
}

impl<T> Stretches<T> {
    fn since(begin: Instant, has_schedule: bool) -> Self {
        Self {
            begin,
            has_schedule,
            heard: 0,
            open: VecDeque::new(),
        }
    }

    /// A moment as records have it.
    fn at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.begin).as_nanos() as u64
    }

    fn push(&mut self, (from, to): Span, what: T) {
        self.open.push_back(Stretch {
            span: [self.at(from), self.at(to)],
            block: LoadBlock {
                length: to.saturating_duration_since(from),
                tally: LoadTally::default(),
                across: 0,
            },
            what,
        });
    }

    /// Those of which nothing more is heard.
    fn settled(&mut self) -> Vec<(T, LoadBlock)> {
        self.before(self.heard.saturating_sub(LATEST.as_nanos() as u64))
    }

    /// Those that were over before `moment`.
    fn before(&mut self, moment: u64) -> Vec<(T, LoadBlock)> {
        let over = self
            .open
            .partition_point(|stretch| stretch.span[1] <= moment);
        let over = self.open.drain(..over);
        over.map(|stretch| (stretch.what, stretch.block)).collect()
    }

    /// A request belongs to the stretch in which it was due. One that was answered later has
    /// waited in it until its end, at least: what it waited for under the next arm says
    /// nothing of this one, but without it no stall that outlives its stretch would be seen.
    /// As fast as it answers there is no schedule, and only what it answered in time counts.
    /// An error is one, however long it took to show: a timeout is longer than most stretches.
    fn add(&mut self, record: &RequestRecord) {
        self.heard = self.heard.max(record.ended);
        let place = (self.open).partition_point(|stretch| stretch.span[1] <= record.intended);
        let Some(stretch) = self.open.get_mut(place) else {
            return;
        };
        let [start, end] = stretch.span;
        if start <= record.intended {
            let is_across = record.ended >= end && record.outcome.is_ok();
            stretch.block.across += u64::from(is_across);
            if self.has_schedule || !is_across {
                let ended = record.ended.min(end);
                stretch.block.tally.add(&RequestRecord { ended, ..*record });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::load::RequestError;

    #[test]
    fn a_request_belongs_to_the_stretch_it_was_due_in() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let mut stretches = Stretches::since(begin, true);
        stretches.push((at(0), at(10)), 'a');
        stretches.push((at(20), at(30)), 'b');
        let timeout = Err(RequestError::Timeout);
        let record = |(intended, ended, outcome): (u64, u64, _)| RequestRecord {
            number: 0,
            intended: 1_000_000 * intended,
            noticed: 1_000_000 * intended,
            ended: 1_000_000 * ended,
            outcome,
        };
        for one in [
            (1, 5, Ok(())),
            (9, 11, Ok(())),
            (12, 15, timeout),
            (21, 29, Ok(())),
            (31, 32, Ok(())),
            (9, 2000, timeout),
        ] {
            stretches.add(&record(one));
        }
        let counts = |(name, block): (char, LoadBlock)| {
            let tally = &block.tally;
            (name, tally.answered, tally.failed(), block.across)
        };
        let mut settled = |ended| -> Vec<_> {
            stretches.add(&record((5000, ended, Ok(()))));
            stretches.settled().into_iter().map(counts).collect()
        };
        assert_eq!(settled(3009), []);
        assert_eq!(settled(3010), [('a', 2, 1, 1)]);
        assert_eq!(settled(3030), [('b', 1, 0, 0)]);
    }

    /// The service stands still from 50 ms on, and nothing that is due then is answered before
    /// the stretch is over: half of it waits, evenly between nothing and 50 ms.
    #[test]
    fn a_stall_that_outlives_its_stretch_is_seen_in_it() {
        let begin = Instant::now();
        let of = |has_schedule: bool| {
            let mut stretches = Stretches::since(begin, has_schedule);
            stretches.push((begin, begin + Duration::from_millis(100)), ());
            for number in 0..100 {
                let intended = 1_000_000 * number;
                stretches.add(&RequestRecord {
                    number,
                    intended,
                    noticed: intended,
                    ended: match number {
                        0..50 => intended + 1000,
                        _ => 900_000_000 + intended,
                    },
                    outcome: Ok(()),
                });
            }
            let (_, block) = stretches.before(u64::MAX).remove(0);
            (block.across, block.tally.answered, block.tally)
        };
        let (across, answered, tally) = of(true);
        assert_eq!((across, answered), (50, 100));
        let p75 = tally.latency_us(0.75).unwrap();
        assert!((p75 / 25_000.0 - 1.0).abs() < 0.01, "{p75}");
        let (across, answered, _) = of(false);
        assert_eq!((across, answered), (50, 50));
    }
}
