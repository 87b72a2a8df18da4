//! The driver of turns: two processes alive at once, one of which measures while the other
//! waits (see [`probecost::schema::turns`]).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command};

use probecost::schema::turns::{GO, GREETING, READY, VARIABLE};
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};

use super::process::{Patience, Process, RunError, failed};

/// One side's pipes.
pub struct Pipes {
    theirs: Option<(OwnedFd, OwnedFd)>,
    hear: io::PipeReader,
    say: io::PipeWriter,
}

/// What a side said.
#[derive(PartialEq, Eq)]
enum Message {
    Ready,
    Gone,
}

impl Pipes {
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

    /// Starts the process that uses these. Its ends of the pipes are closed here at once:
    /// otherwise nobody would see that it is gone.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        let Some((read, write)) = self.theirs.take() else {
            return Err(io::Error::other("a process uses these already"));
        };
        for end in [&read, &write] {
            fcntl_setfd(end, FdFlags::empty())?;
        }
        let ends = format!("{},{}", read.as_raw_fd(), write.as_raw_fd());
        command.env(VARIABLE, ends).spawn()
    }

    /// Whether a process that has ended greeted.
    pub fn greeted(&mut self) -> bool {
        // What it left behind may hold its end of the pipe: nobody waits for that.
        let mut said = [0; GREETING.len()];
        let heard = ioctl_fionbio(&self.hear, true).map_err(io::Error::from);
        heard
            .and_then(|()| self.hear.read_exact(&mut said))
            .is_ok_and(|()| said == GREETING)
    }

    /// Takes the greeting, which comes before everything else.
    fn greet(&mut self, process: &mut Process, patience: &Patience) -> Result<(), RunError> {
        for expected in GREETING {
            match self.byte(process, patience)? {
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

    fn hear(&mut self, process: &mut Process, patience: &Patience) -> Result<Message, RunError> {
        match self.byte(process, patience)? {
            Some(READY) => Ok(Message::Ready),
            None => Ok(Message::Gone),
            Some(other) => Err(failed(format!(
                "said {:?} while taking turns",
                other as char
            ))),
        }
    }

    fn byte(&mut self, process: &mut Process, patience: &Patience) -> Result<Option<u8>, RunError> {
        loop {
            let (heard, ended) = process.wait_for(Some(self.hear.as_fd()), patience)?;
            if heard {
                let mut byte = [0];
                let read = self.hear.read(&mut byte).map_err(failed)?;
                return Ok((read == 1).then_some(byte[0]));
            }
            // What it left behind may hold its end of the pipe.
            if ended {
                return Ok(None);
            }
        }
    }

    fn go(&mut self) -> Result<(), RunError> {
        match self.say.write_all(&[GO]) {
            // It has just ended: its status says how.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(failed),
        }
    }
}

/// Lets both sides measure in turn until both are gone; `first` begins.
///
/// # Errors
/// A side, which is named, says what it must not or takes too long, or somebody asks us
/// to stop.
pub fn drive(
    pipes: &mut [Pipes; 2],
    processes: &mut [Process; 2],
    first: usize,
    patience: &Patience,
) -> Result<(), (usize, RunError)> {
    let mut waiting = [false; 2];
    for side in 0..2 {
        let (pipes, process) = (&mut pipes[side], &mut processes[side]);
        let mut sit = || {
            pipes.greet(process, patience)?;
            pipes.hear(process, patience)
        };
        waiting[side] = sit().map_err(|t| (side, t))? == Message::Ready;
    }
    let mut side = first;
    while waiting != [false; 2] {
        if waiting[side] {
            let (pipes, process) = (&mut pipes[side], &mut processes[side]);
            let mut turn = || {
                pipes.go()?;
                pipes.hear(process, patience)
            };
            waiting[side] = turn().map_err(|t| (side, t))? == Message::Ready;
        }
        side = 1 - side;
    }
    Ok(())
}
