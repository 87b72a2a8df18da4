//! Turns: two processes alive at once, one of which measures while the other waits.
//!
//! The executable is given two pipes in `PROBECOST_TURNS=<read fd>,<write fd>`. It greets
//! with a line; before each block it writes `r` and waits for `g`. The next `r`, or the
//! end of the pipe, says that the block is over and its side is quiet.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};

use super::harness::{Process, Trouble, failed};
use super::interrupt::Interrupt;

/// Where an executable finds its pipes.
pub const VARIABLE: &str = "PROBECOST_TURNS";

const GREETING: &[u8] = b"turns 1\n";

/// How long one waits for a word before looking whether one may go on waiting.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// One side's pipes.
pub struct Seat {
    theirs: Option<(OwnedFd, OwnedFd)>,
    hear: io::PipeReader,
    say: io::PipeWriter,
}

/// What a side said.
#[derive(PartialEq, Eq)]
enum Word {
    Ready,
    Gone,
}

impl Seat {
    /// New pipes.
    ///
    /// # Errors
    /// There are no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (they_read, we_write) = pipe_with(PipeFlags::CLOEXEC)?;
        let (we_read, they_write) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self {
            theirs: Some((they_read, they_write)),
            hear: we_read.into(),
            say: we_write.into(),
        })
    }

    /// Starts the process that sits here. Its ends of the pipes are closed here at once:
    /// otherwise nobody would see that it is gone.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        let Some((read, write)) = self.theirs.take() else {
            return Err(io::Error::other("a process sits here already"));
        };
        for end in [&read, &write] {
            fcntl_setfd(end, FdFlags::empty())?;
        }
        let ends = format!("{},{}", read.as_raw_fd(), write.as_raw_fd());
        command.env(VARIABLE, ends).spawn()
    }

    /// Whether a process that has ended greeted.
    pub fn greeted(&mut self) -> bool {
        let mut said = Vec::new();
        let heard = self.hear.read_to_end(&mut said);
        heard.is_ok() && said.starts_with(GREETING)
    }

    /// Takes the greeting, which comes before everything else.
    fn greet(&mut self, process: &Process, wait: &Wait) -> Result<(), Trouble> {
        for expected in GREETING {
            match self.byte(process, wait)? {
                Some(byte) if byte == *expected => {}
                _ => {
                    return Err(failed(
                        "listed its benchmarks as one that takes turns, and took none",
                    ));
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, process: &Process, wait: &Wait) -> Result<Word, Trouble> {
        match self.byte(process, wait)? {
            Some(b'r') => Ok(Word::Ready),
            None => Ok(Word::Gone),
            Some(other) => Err(failed(format!(
                "said {:?} while taking turns",
                other as char
            ))),
        }
    }

    fn byte(&mut self, process: &Process, wait: &Wait) -> Result<Option<u8>, Trouble> {
        loop {
            let mut ends = [PollFd::from_borrowed_fd(self.hear.as_fd(), PollFlags::IN)];
            let ready = match poll(&mut ends, Some(&PATIENCE)) {
                Err(rustix::io::Errno::INTR) => 0,
                other => other.map_err(failed)?,
            };
            process.check(wait.limit, wait.interrupt)?;
            if ready > 0 {
                let mut byte = [0];
                let read = self.hear.read(&mut byte).map_err(failed)?;
                return Ok((read == 1).then_some(byte[0]));
            }
        }
    }

    fn go(&mut self) -> Result<(), Trouble> {
        match self.say.write_all(b"g") {
            // It has just ended: its status says how.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(failed),
        }
    }
}

/// How long one waits for a side.
pub struct Wait<'a> {
    pub limit: Duration,
    pub interrupt: &'a Interrupt,
}

/// Lets both sides measure in turn until both are gone; `first` begins.
///
/// # Errors
/// A side, which is named, says what it must not or takes too long, or somebody asks us
/// to stop.
pub fn play(
    seats: &mut [Seat; 2],
    processes: &[Process; 2],
    first: usize,
    wait: &Wait,
) -> Result<(), (usize, Trouble)> {
    let mut waiting = [false; 2];
    for side in 0..2 {
        let (seat, process) = (&mut seats[side], &processes[side]);
        let mut sit = || {
            seat.greet(process, wait)?;
            seat.hear(process, wait)
        };
        waiting[side] = sit().map_err(|t| (side, t))? == Word::Ready;
    }
    let mut side = first;
    while waiting != [false; 2] {
        if waiting[side] {
            let (seat, process) = (&mut seats[side], &processes[side]);
            let mut turn = || {
                seat.go()?;
                seat.hear(process, wait)
            };
            waiting[side] = turn().map_err(|t| (side, t))? == Word::Ready;
        }
        side = 1 - side;
    }
    Ok(())
}
