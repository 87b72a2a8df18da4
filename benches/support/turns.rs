//! Turns: two builds of a target alive on one CPU, and one block of one at a time.
//!
//! What the machine does to a block of one build it does to the next block of the
//! other, so that their ratio holds although the machine does not hold still. A driver
//! asks for it with `PROBECOST_TURNS=<read>,<write>`, two pipes that the executable is
//! started with. The executable writes `turns 1` and a new line as soon as it has read
//! its arguments; before each block it writes `r`, and waits for a `g`. A block is over,
//! and this side quiet, when its next `r` comes, or the end of the file. Where the
//! driver is gone, the executable ends. Without the variable nobody waits.

#![allow(dead_code, reason = "each target takes what it needs")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use probecost::pipeline::Hashing;
use rustix::io::{FdFlags, fcntl_setfd};

use super::required::{self, fail};

/// The Criterion of every target: these settings, changed by the arguments, and blocks
/// by turns.
pub fn criterion(settings: Criterion) -> Criterion<Turns> {
    // Starts the executable once more, perhaps, so the driver is met afterwards.
    required::take_from_arguments();
    LazyLock::force(&DRIVER);
    settings.with_measurement(Turns).configure_from_args()
}

/// Whether a driver deals out turns.
pub fn are_taken() -> bool {
    DRIVER.is_some()
}

/// Whether a benchmark whose id starts like this may be asked for. A driver asks for
/// one at a time (`--exact`), and what only others need would be in its way.
pub fn may_ask_for(start: &str) -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let exact = are_taken() && arguments.iter().any(|argument| argument == "--exact");
    !exact || arguments.iter().any(|argument| argument.starts_with(start))
}

/// The hash of what is measured: seeded anew in each run, but where turns are taken the
/// same on both sides, for tables of other seeds have other collisions.
pub fn hashing() -> Hashing {
    if are_taken() {
        Hashing::fixed()
    } else {
        Hashing::random()
    }
}

/// A block's time in nanoseconds. Only a [`Turn`] gives one: no block without a turn.
pub struct Ns(f64);

/// A turn of this side, begun. It lasts until this side waits for the next.
pub struct Turn {
    begin: Instant,
}

impl Turn {
    /// Waits for it, unless it has come already.
    pub fn take() -> Self {
        if let Some(driver) = &*DRIVER
            && !driver.held.swap(false, Ordering::Relaxed)
        {
            driver.wait();
        }
        Self {
            begin: Instant::now(),
        }
    }

    /// The time since it began.
    pub fn elapsed(&self) -> Ns {
        self.took(self.begin.elapsed())
    }

    /// A time that was taken in it.
    pub fn took(&self, time: Duration) -> Ns {
        Ns(time.as_nanos() as f64)
    }
}

impl Ns {
    /// So many times this time: what one number of operations took, scaled to another.
    pub fn scaled(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

/// Criterion's wall clock, each sample in a turn of its own.
pub struct Turns;

impl Measurement for Turns {
    type Intermediate = Turn;
    type Value = Ns;

    fn start(&self) -> Turn {
        Turn::take()
    }

    fn end(&self, turn: Turn) -> Ns {
        turn.elapsed()
    }

    /// Of a sample in batches: the next belongs to the same turn.
    fn add(&self, sum: &Ns, batch: &Ns) -> Ns {
        if let Some(driver) = &*DRIVER {
            driver.held.store(true, Ordering::Relaxed);
        }
        Ns(sum.0 + batch.0)
    }

    /// Before the first sample, and before each in batches: takes its turn. Criterion's
    /// warm-up does not count how long this side waits until the other is there at all.
    fn zero(&self) -> Ns {
        if let Some(driver) = &*DRIVER {
            driver.wait();
            driver.held.store(true, Ordering::Relaxed);
        }
        Ns(0.0)
    }

    fn to_f64(&self, value: &Ns) -> f64 {
        value.0
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

const VARIABLE: &str = "PROBECOST_TURNS";

static DRIVER: LazyLock<Option<Driver>> = LazyLock::new(|| {
    let pipes = std::env::var(VARIABLE).ok()?;
    let met = Driver::meet(&pipes);
    Some(met.unwrap_or_else(|error| fail(&format!("{VARIABLE}={pipes}: {error}"))))
});

/// Who deals out the turns, at the other end of two pipes.
struct Driver {
    hear: File,
    say: File,
    /// Whether it is this side's turn and the next block belongs to it.
    held: AtomicBool,
}

impl Driver {
    fn meet(pipes: &str) -> io::Result<Self> {
        let (hear, say) = pipes
            .split_once(',')
            .ok_or_else(|| io::Error::other("two descriptors were expected, as in 3,4"))?;
        let driver = Self {
            hear: inherited(hear)?,
            say: inherited(say)?,
            held: AtomicBool::new(false),
        };
        (&driver.say).write_all(b"turns 1\n")?;
        Ok(driver)
    }

    fn wait(&self) {
        let mut word = [0];
        let heard = (&self.say)
            .write_all(b"r")
            .and_then(|()| (&self.hear).read_exact(&mut word));
        match heard {
            Ok(()) if word == *b"g" => {}
            Ok(()) => fail(&format!("{VARIABLE}: {word:?} is no word for a turn")),
            Err(error) => fail(&format!("{VARIABLE}: the driver is gone: {error}")),
        }
    }
}

/// A pipe that this process was started with. Processes that it starts do not get it.
fn inherited(descriptor: &str) -> io::Result<File> {
    let number = descriptor
        .parse()
        .ok()
        .filter(|&number: &i32| number > 2)
        .ok_or_else(|| io::Error::other(format!("{descriptor} is no descriptor of a pipe")))?;
    std::fs::metadata(format!("/proc/self/fd/{number}"))?;
    // SAFETY: it is open, and whoever set the variable left it open for this alone.
    let pipe = unsafe { File::from_raw_fd(number) };
    fcntl_setfd(&pipe, FdFlags::CLOEXEC)?;
    Ok(pipe)
}
