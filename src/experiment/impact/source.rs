//! A load that keeps running while arms switch underneath.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::host::Obstacle;
use crate::load::{LoadBlock, LoadPlan, LoadTally, Regime, RequestRecord, Running};
use crate::process::{Child, Ward};
use crate::schema::load::RequestError;
use crate::workload::{Asked, Service, as_user};

/// Connections of a load.
const CONNECTIONS: usize = 8;

/// How long pgbench may take to write down what it measured.
const FLUSH: Duration = Duration::from_secs(1);

/// A load that runs.
pub enum Source {
    /// Our own.
    Own(Running),
    /// pgbench, which logs every transaction.
    Pgbench(Pgbench),
}

/// A stretch of a load.
pub type Span = (Instant, Instant);

impl Source {
    /// Puts a service under load, from this CPU.
    pub fn start(
        service: &Service,
        regime: Regime,
        ward: &Ward,
        cpu: Option<usize>,
    ) -> Result<Self, Obstacle> {
        match &service.asked {
            Asked::Over(target) => {
                let mut plan = LoadPlan::new(target.clone(), regime, CONNECTIONS);
                plan.cpu = cpu;
                Running::start(plan).map(Self::Own)
            }
            Asked::Pgbench {
                program,
                directory,
                user,
            } => Pgbench::start(program, directory, *user, regime, ward, cpu).map(Self::Pgbench),
        }
    }

    /// Ends the load and gives what came of it in each of `spans`, which follow each other
    /// in time.
    pub fn finish(self, spans: &[Span]) -> Result<Vec<LoadBlock>, Obstacle> {
        match self {
            Self::Own(running) => {
                let mut blocks = Blocks::of(spans, running.begin());
                running.finish(|record| blocks.add(record));
                Ok(blocks.blocks)
            }
            Self::Pgbench(pgbench) => pgbench.finish(spans),
        }
    }

    /// Fails where it has ended by itself.
    pub fn alive(&mut self) -> Result<(), Obstacle> {
        match self {
            Self::Own(running) => running.alive(),
            Self::Pgbench(pgbench) => pgbench.alive(),
        }
    }
}

/// pgbench while it runs.
pub struct Pgbench {
    child: Child,
    logs: PathBuf,
    /// The same moment by both clocks.
    begin: (Instant, SystemTime),
}

impl Pgbench {
    fn start(
        program: &std::path::Path,
        directory: &std::path::Path,
        user: Option<(u32, u32)>,
        regime: Regime,
        ward: &Ward,
        cpu: Option<usize>,
    ) -> Result<Self, Obstacle> {
        let begin = (Instant::now(), SystemTime::now());
        let age = begin
            .1
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let logs = directory.join(format!("load-{age}"));
        let mut command = as_user(Command::new(program), user, directory);
        command
            .args([
                "-n", "-c", "4", "-j", "1", "-T", "86400", "-U", "postgres", "-h",
            ])
            .arg(directory)
            .arg("--log")
            .arg(format!("--log-prefix={}", logs.display()));
        if let Regime::Rate(rate) = regime {
            command.arg(format!("--rate={rate}"));
        }
        command.arg("postgres");
        let child = ward.place("load").start(command, cpu.as_slice())?;
        Ok(Self { child, logs, begin })
    }

    fn alive(&mut self) -> Result<(), Obstacle> {
        match self.child.status() {
            None => Ok(()),
            Some(status) => {
                self.child.output.settle(Duration::from_millis(100));
                let said = self.child.output.last_line().unwrap_or_default();
                Err(Obstacle::new(
                    format!("pgbench ended ({status}): {said}"),
                    "run it by hand and see",
                ))
            }
        }
    }

    fn finish(mut self, spans: &[Span]) -> Result<Vec<LoadBlock>, Obstacle> {
        self.alive()?;
        std::thread::sleep(FLUSH);
        let log = self.logs.with_file_name(format!(
            "{}.{}",
            self.logs.file_name().unwrap_or_default().to_string_lossy(),
            self.child.pid()
        ));
        let text = fs::read_to_string(&log)
            .map_err(|error| Obstacle::new(format!("{}: {error}", log.display()), "see df"))?;
        let begin = self.begin.1.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut blocks = Blocks::of(spans, self.begin.0);
        text.lines()
            .filter_map(|line| record(line, begin))
            .for_each(|record| blocks.add(&record));
        Ok(blocks.blocks)
    }
}

/// What came of a load in each of some spans.
struct Blocks {
    /// The begin and the end of each, in nanoseconds since the load's.
    spans: Vec<[u64; 2]>,
    blocks: Vec<LoadBlock>,
}

impl Blocks {
    fn of(spans: &[Span], begin: Instant) -> Self {
        let at = |moment: Instant| moment.saturating_duration_since(begin).as_nanos() as u64;
        let block = |&(from, to): &Span| LoadBlock {
            length: to.saturating_duration_since(from),
            tally: LoadTally::default(),
            across: 0,
        };
        Self {
            spans: spans.iter().map(|&(from, to)| [at(from), at(to)]).collect(),
            blocks: spans.iter().map(block).collect(),
        }
    }

    /// An answer belongs to the span in which it was due and came: under the next arm it
    /// would say nothing of either. An error belongs to that in which it was due, however
    /// long it took to show: a timeout is longer than most spans.
    fn add(&mut self, record: &RequestRecord) {
        let place = self
            .spans
            .partition_point(|&[_, end]| end <= record.intended);
        let Some(&[start, end]) = self.spans.get(place) else {
            return;
        };
        if start <= record.intended {
            let block = &mut self.blocks[place];
            match record.ended < end || record.outcome.is_err() {
                true => block.tally.add(record),
                false => block.across += 1,
            }
        }
    }
}

/// A line of pgbench's log: client, transaction, its time in µs from its scheduled start (or
/// `failed`, or `skipped`), script, and the end in seconds and µs; then the lag.
fn record(line: &str, begin: Duration) -> Option<RequestRecord> {
    let fields: Vec<&str> = line.split(' ').collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let end = Duration::from_secs(number(4)?) + Duration::from_micros(number(5)?);
    let ended = end.checked_sub(begin)?.as_nanos() as u64;
    let (taken, outcome) = match fields.get(2)?.parse::<u64>() {
        Ok(microseconds) => (1000 * microseconds, Ok(())),
        Err(_) => (0, Err(RequestError::Status)),
    };
    let intended = ended.saturating_sub(taken);
    Some(RequestRecord {
        number: number(1)?,
        intended,
        noticed: intended,
        ended,
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pgbench_is_a_request() {
        let begin = Duration::from_secs(1000);
        let one = record("0 7 2500 0 1001 500000 300", begin).unwrap();
        assert_eq!((one.intended, one.ended), (1_497_500_000, 1_500_000_000));
        assert!(one.outcome.is_ok());
        assert!(
            record("0 8 failed 0 1001 500000", begin)
                .unwrap()
                .outcome
                .is_err()
        );
        assert!(
            record("0 9 2500 0 999 5", begin).is_none(),
            "before the load began"
        );
        assert!(record("0 9 25", begin).is_none(), "cut off");
    }

    #[test]
    fn an_answer_belongs_to_the_span_it_was_due_and_came_in_and_an_error_to_its_start() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let mut blocks = Blocks::of(&[(at(0), at(10)), (at(20), at(30))], begin);
        let timeout = Err(RequestError::Timeout);
        for (intended, ended, outcome) in [
            (1, 5, Ok(())),
            (9, 11, Ok(())),
            (9, 2000, timeout),
            (12, 15, timeout),
            (21, 29, Ok(())),
            (31, 32, Ok(())),
        ] {
            blocks.add(&RequestRecord {
                number: 0,
                intended: 1_000_000 * intended,
                noticed: 1_000_000 * intended,
                ended: 1_000_000 * ended,
                outcome,
            });
        }
        let counts = |block: &LoadBlock| {
            let tally = &block.tally;
            (tally.answered, tally.failed(), block.across)
        };
        let counts: Vec<_> = blocks.blocks.iter().map(counts).collect();
        assert_eq!(counts, [(1, 1, 1), (1, 0, 0)]);
    }
}
