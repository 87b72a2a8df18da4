//! pgbench as a load: every transaction is a line of its log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use rustix::fs::{FallocateFlags, fallocate};

use crate::host::Obstacle;
use crate::load::{Regime, RequestRecord};
use crate::process::{Child, Ward};
use crate::schema::load::RequestError;
use crate::workload::as_user;

/// How long pgbench may take to end, and to write down what it measured.
const FLUSH: Duration = Duration::from_secs(3);

/// Who begins later than due, by more than so many nanoseconds, has waited for another.
const PROMPT: u64 = 1_000_000;

/// pgbench while it runs.
pub struct Pgbench {
    child: Child,
    log: Tail,
    transactions: Transactions,
    begin: Instant,
    /// When a transaction was last due that had to wait for no other.
    prompt: Option<u64>,
}

impl Pgbench {
    pub(super) fn start(
        program: &Path,
        directory: &Path,
        user: Option<(u32, u32)>,
        regime: Regime,
        timeout: Duration,
        ward: &Ward,
        cpu: Option<usize>,
    ) -> Result<Self, Obstacle> {
        let (begin, since_epoch) = (Instant::now(), SystemTime::now());
        let since_epoch = since_epoch.duration_since(UNIX_EPOCH).unwrap_or_default();
        let log = format!("load-{}", since_epoch.as_nanos());
        let mut command = as_user(Command::new(program), user, directory);
        command
            .args([
                "-n", "-c", "4", "-j", "1", "-T", "86400", "-U", "postgres", "-h",
            ])
            .arg(directory)
            .arg("--log")
            .arg(format!("--log-prefix={}", directory.join(&log).display()));
        if let Regime::Rate(rate) = regime {
            command.arg(format!("--rate={rate}"));
            // What could not be begun by then is given up, so that no queue lasts.
            command.arg(format!("--latency-limit={}", timeout.as_millis()));
        }
        command.arg("postgres");
        let child = ward.place("load").start(command, cpu.as_slice())?;
        Ok(Self {
            log: Tail::of(directory.join(format!("{log}.{}", child.pid()))),
            child,
            transactions: Transactions::since(since_epoch, timeout),
            begin,
            prompt: None,
        })
    }

    pub(super) fn begin(&self) -> Instant {
        self.begin
    }

    pub(super) fn alive(&mut self) -> Result<(), Obstacle> {
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

    /// Shows `each` transaction that was written down since the last look.
    pub(super) fn look(&mut self, mut each: impl FnMut(&RequestRecord)) -> Result<(), Obstacle> {
        self.log.lines(|line| {
            if let Some((record, waited)) = self.transactions.record(line) {
                if waited <= PROMPT {
                    self.prompt = self.prompt.max(Some(record.intended));
                }
                each(&record);
            }
        })
    }

    /// Ends it as if its time were over, so that it writes down all that it has.
    pub(super) fn end(&mut self) {
        self.child.signal(Signal::SIGALRM);
        self.child.wait_out(FLUSH);
    }

    /// Whether no transaction that was due since `moment`, in nanoseconds since the
    /// beginning, is known to have begun at once.
    pub(super) fn is_behind(&self, moment: u64) -> bool {
        self.prompt.is_none_or(|due| due < moment)
    }
}

/// The end of a file that somebody writes, line by line.
struct Tail {
    path: PathBuf,
    /// The file, once it is there, and how much of it has been read.
    file: Option<(File, u64)>,
    /// What was read of a line that is not whole.
    rest: Vec<u8>,
}

impl Tail {
    fn of(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            rest: Vec::new(),
        }
    }

    /// Shows `each` whole line that was written since the last look, and gives its room on
    /// the disk back.
    fn lines(&mut self, mut each: impl FnMut(&str)) -> Result<(), Obstacle> {
        let failed = |error: std::io::Error| {
            Obstacle::new(format!("{}: {error}", self.path.display()), "see df")
        };
        if self.file.is_none() {
            match File::options().read(true).write(true).open(&self.path) {
                Ok(file) => self.file = Some((file, 0)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let Some((file, read)) = &mut self.file else {
            return Ok(());
        };
        *read += file.read_to_end(&mut self.rest).map_err(failed)? as u64;
        if *read > 0 {
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // A file system that cannot keeps what it has.
            let _ = fallocate(&*file, punch, 0, *read);
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        for line in String::from_utf8_lossy(&self.rest[..whole]).lines() {
            each(line);
        }
        self.rest.drain(..whole);
        Ok(())
    }
}

/// The transactions of a log, in the order of their ends.
struct Transactions {
    /// The beginning of the load, since 1970.
    begin: Duration,
    /// How long after it was due one is given up.
    timeout: Duration,
    /// When each client ended its last one, in nanoseconds since that.
    ends: BTreeMap<u64, u64>,
}

impl Transactions {
    fn since(begin: Duration, timeout: Duration) -> Self {
        Self {
            begin,
            timeout,
            ends: BTreeMap::new(),
        }
    }

    /// A line of the log: client, transaction, its time in µs from its scheduled start (or
    /// `failed`, or `skipped`), script, and the end in seconds and µs; at a rate also how
    /// long after the schedule it began. With it, in nanoseconds, how long that was: it may
    /// have waited for its client, and only what it began later than that is pgbench's own.
    fn record(&mut self, line: &str) -> Option<(RequestRecord, u64)> {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let end = Duration::from_secs(number(4)?) + Duration::from_micros(number(5)?);
        let ended = end.checked_sub(self.begin)?.as_nanos() as u64;
        let (taken, outcome) = match *fields.get(2)? {
            // It is written down when it is given up, which is no sooner than that.
            "skipped" => (self.timeout.as_nanos() as u64, Err(RequestError::Unsent)),
            time => match time.parse::<u64>() {
                Ok(microseconds) => (1000 * microseconds, Ok(())),
                Err(_) => (0, Err(RequestError::Status)),
            },
        };
        let intended = ended.saturating_sub(taken);
        // One that was skipped was never begun.
        let waited = match outcome {
            Ok(()) => 1000 * number(6).unwrap_or(0),
            Err(_) => 0,
        };
        let begun = (intended + waited).min(ended);
        let free = self.ends.insert(number(0)?, ended).unwrap_or(0);
        let record = RequestRecord {
            number: number(1)?,
            intended,
            noticed: intended + (begun - intended.max(free).min(begun)),
            ended,
            outcome,
        };
        let waited = if outcome.is_ok() { waited } else { u64::MAX };
        Some((record, waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transactions() -> Transactions {
        Transactions::since(Duration::from_secs(1000), Duration::from_secs(2))
    }

    #[test]
    fn a_line_of_pgbench_is_a_request() {
        let record = |line| transactions().record(line).map(|(record, _)| record);
        let one = record("0 7 2500 0 1001 500000 300").unwrap();
        assert_eq!((one.intended, one.ended), (1_497_500_000, 1_500_000_000));
        assert!(one.outcome.is_ok());
        let failed = record("0 8 failed 0 1001 500000").unwrap();
        assert_eq!(failed.outcome, Err(RequestError::Status));
        // It counts where it was due, as an error of our own load does.
        let skipped = record("0 8 skipped 0 1003 500000 0").unwrap();
        assert_eq!(skipped.outcome, Err(RequestError::Unsent));
        assert_eq!(
            (skipped.intended, skipped.ended),
            (1_500_000_000, 3_500_000_000)
        );
        assert!(
            record("0 9 2500 0 999 5").is_none(),
            "before the load began"
        );
        assert!(record("0 9 25").is_none(), "cut off");
    }

    #[test]
    fn a_log_is_read_as_it_grows_and_keeps_no_room() {
        use std::io::Write;
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut tail = Tail::of(path.clone());
        let lines = |tail: &mut Tail| {
            let mut lines = Vec::new();
            tail.lines(|line| lines.push(line.to_owned())).unwrap();
            lines
        };
        assert!(lines(&mut tail).is_empty(), "nobody has written yet");
        let mut log = File::create(&path).unwrap();
        log.write_all(b"one\ntw").unwrap();
        assert_eq!(lines(&mut tail), ["one"]);
        log.write_all(b"o\nthree\n").unwrap();
        assert_eq!(lines(&mut tail), ["two", "three"]);
        for _ in 0..10 {
            log.write_all(&[b'x'; 65_536]).unwrap();
            assert!(lines(&mut tail).is_empty());
        }
        log.write_all(b"\n").unwrap();
        assert_eq!(lines(&mut tail)[0].len(), 655_360);
        assert!(tail.rest.is_empty());
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let gives_back = fallocate(&log, punch, 0, 1).is_ok();
        let taken = 512 * log.metadata().unwrap().blocks();
        assert!(taken < 65_536 || !gives_back, "{taken} bytes on the disk");
    }

    #[test]
    fn only_what_a_client_that_was_free_began_late_is_the_loads_own_lag() {
        let mut transactions = transactions();
        let lag = |record: RequestRecord| (record.noticed - record.intended) / 1000;
        // Due at 497.5 ms and begun 0.3 ms later; its client had nothing else to do.
        let (first, waited) = transactions.record("0 0 2500 0 1000 500000 300").unwrap();
        assert_eq!((lag(first), waited), (300, 300_000));
        // Due at 499 ms, when the first still ran, and begun 0.1 ms after that.
        let (second, waited) = transactions.record("0 1 2000 0 1000 501000 1100").unwrap();
        assert_eq!((lag(second), waited), (100, 1_100_000));
        // Another client is free.
        let (third, _) = transactions.record("1 0 2000 0 1000 501000 1100").unwrap();
        assert_eq!(lag(third), 1100);
        // As fast as it answers there is no schedule.
        let (none, waited) = transactions.record("1 1 2000 0 1000 503000").unwrap();
        assert_eq!((lag(none), waited), (0, 0));
    }
}
