//! Turns: one block of this build, and one of another (see [`probecost::schema::turns`]).
//!
//! What the machine does to a block of one build it does to the next block of the other,
//! so that their ratio holds although the machine does not hold still.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use probecost::schema::turns::{GO, GREETING, READY, VARIABLE, WARM_UP};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::thread::{MembarrierCommand, membarrier};

use crate::fail::fail;

/// Greets the driver, where there is one.
pub fn meet_driver() {
    LazyLock::force(&DRIVER);
}

/// Whether a driver deals out turns.
pub fn are_taken() -> bool {
    DRIVER.is_some()
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
            && !driver.is_warming_up()
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

    /// Before the warm-up, before the first sample, and before each in batches: takes its
    /// turn. All of the warm-up is one.
    fn zero(&self) -> Ns {
        if let Some(driver) = &*DRIVER {
            driver.begin();
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
    /// When the warm-up began.
    warm: OnceLock<Instant>,
    /// Whether it is over.
    samples: AtomicBool,
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
            warm: OnceLock::new(),
            samples: AtomicBool::new(false),
        };
        (&driver.say).write_all(GREETING)?;
        Ok(driver)
    }

    /// Takes the turn of the warm-up, keeps it, or takes the next.
    fn begin(&self) {
        if self.warm.get().is_some_and(|warm| warm.elapsed() < WARM_UP) {
            return;
        }
        self.wait();
        self.held.store(true, Ordering::Relaxed);
        let began = self.warm.set(Instant::now());
        self.samples.store(began.is_err(), Ordering::Relaxed);
    }

    fn is_warming_up(&self) -> bool {
        self.warm.get().is_some() && !self.samples.load(Ordering::Relaxed)
    }

    /// Waits for this side's turn, and for a kernel that has nothing left to do from
    /// the other's.
    fn wait(&self) {
        let mut word = [0];
        let heard = (&self.say)
            .write_all(&[READY])
            .and_then(|()| (&self.hear).read_exact(&mut word));
        match heard {
            Ok(()) if word == [GO] => settle(),
            Ok(()) => fail(&format!("{VARIABLE}: {word:?} is no word for a turn")),
            Err(error) => fail(&format!("{VARIABLE}: the driver is gone: {error}")),
        }
    }
}

/// Waits until the kernel has done what it put off in the blocks before: it frees files
/// and sockets some milliseconds late, which would otherwise be paid in somebody else's
/// block.
fn settle() {
    // A kernel without it frees as it likes, and blocks are noisier.
    let _ = membarrier(MembarrierCommand::Global);
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
