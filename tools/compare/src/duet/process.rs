//! A process that measures, on a CPU of its own, watched from another one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::interrupt::Interrupt;
use super::strays;

/// How often one looks for a Ctrl-C while nothing else happens.
const GLANCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// How much of what a failed process said is shown, in bytes.
const TAIL: usize = 600;

/// How much of what a process prints is kept, in bytes.
const MOST: usize = 16 << 20;

/// What a pipe can hold at most, in bytes.
const LARGEST_PIPE: usize = 1 << 20;

/// What Criterion prints once it has measured a benchmark, before it thinks about it.
const MEASURED: &[u8] = b": Analyzing\n";

/// Why a process gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunError {
    /// Somebody asked us to stop, or time was up.
    Interrupted,
    /// It ended well, and wrote no result: in words.
    Nothing(String),
    /// In words.
    Failed(String),
}

pub fn failed(cause: impl std::fmt::Display) -> RunError {
    RunError::Failed(cause.to_string())
}

/// How long one waits for a process.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    pub limit: Duration,
    pub interrupt: &'a Interrupt,
}

/// The CPU that processes measure on: the last one that we may use, since what else runs
/// mostly runs on the first. We ourselves keep to the others.
#[derive(Debug)]
pub struct Cpu {
    theirs: CpuSet,
    /// Where there is another one.
    ours: Option<CpuSet>,
}

impl Cpu {
    /// Leaves a CPU to the processes that will be started.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn leave() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut all = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let last = all.next_back().unwrap_or_default();
        let (mut theirs, mut ours) = (CpuSet::new(), allowed);
        theirs.set(last);
        ours.unset(last);
        let ours = (ours.count() > 0).then_some(ours);
        if let Some(ours) = &ours {
            sched_setaffinity(None, ours)?;
        }
        Ok(Self { theirs, ours })
    }

    /// Starts something there. What is started inherits the place of the thread that starts
    /// it, so that not even its first instructions run elsewhere.
    fn start(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
        sched_setaffinity(None, &self.theirs)?;
        let started = start();
        if let Some(ours) = &self.ours {
            sched_setaffinity(None, ours)?;
        }
        started
    }
}

/// A process that was started; ended with it where it still runs, and all that it started.
pub struct Process {
    child: Child,
    pid: Pid,
    /// Readable once it has ended.
    end: OwnedFd,
    stdout: Stream,
    stderr: Stream,
    started: Instant,
    /// Its Criterion home, where it has one: what it started in other groups has it as well.
    home: Option<OsString>,
    /// Whether its status was taken: its number may be somebody else's since.
    reaped: bool,
}

/// What a process prints.
struct Stream {
    pipe: Option<OwnedFd>,
    /// The end of it.
    kept: Vec<u8>,
    /// How often it said that a benchmark is measured.
    measured: usize,
}

impl Process {
    /// Starts `command`, as the leader of a process group; `spawn` may add to it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        command: &mut Command,
        cpu: &Cpu,
        spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
    ) -> Result<Self, RunError> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for us alone: we end what we started.
            .process_group(0);
        let program = command.get_program().display().to_string();
        let mut variables = command.get_envs();
        let home = variables.find_map(|(name, home)| home.filter(|_| name == strays::HOME));
        let home = home.map(OsStr::to_owned);
        let mut child = cpu
            .start(|| spawn(command))
            .map_err(|e| failed(format!("{program}: {e}")))?;
        let stdout = Stream::of(child.stdout.take().map(OwnedFd::from))?;
        let stderr = Stream::of(child.stderr.take().map(OwnedFd::from))?;
        let pid = Pid::from_child(&child);
        Ok(Self {
            end: pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?,
            child,
            pid,
            stdout,
            stderr,
            started: Instant::now(),
            home,
            reaped: false,
        })
    }

    /// Waits until `other` can be read, or it has ended, or it printed something. Whether
    /// `other` can be read, and whether it has ended.
    ///
    /// # Errors
    /// It took longer than the limit, or somebody asked us to stop.
    pub fn wait_for(
        &mut self,
        other: Option<BorrowedFd>,
        patience: &Patience,
    ) -> Result<(bool, bool), RunError> {
        let streams = [&self.stdout, &self.stderr];
        let mut ends = vec![PollFd::new(&self.end, PollFlags::IN)];
        ends.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let pipes = streams.iter().filter_map(|s| s.pipe.as_ref());
        ends.extend(pipes.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        match poll(&mut ends, Some(&GLANCE)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(failed(e)),
        }
        let ended = !ends[0].revents().is_empty();
        let heard = other.is_some() && !ends[1].revents().is_empty();
        drop(ends);
        self.stdout.drain();
        self.stderr.drain();
        if patience.interrupt.came() {
            return Err(RunError::Interrupted);
        }
        if !ended && self.started.elapsed() > patience.limit {
            let limit = patience.limit.as_secs_f64();
            return Err(failed(format!(
                "took longer than {limit} s and was ended; --timeout SECONDS gives it more"
            )));
        }
        Ok((heard, ended))
    }

    /// Waits for its end, and ends whatever it left behind.
    ///
    /// # Errors
    /// It ended badly or took longer than the limit, or somebody asked us to stop.
    pub fn wait(&mut self, patience: &Patience) -> Result<(), RunError> {
        while !self.wait_for(None, patience)?.1 {}
        let status = self.reap().map_err(failed)?;
        match status.success() {
            true => Ok(()),
            false => Err(failed(format!("ended with {status}{}", self.last_words()))),
        }
    }

    /// Lets it go on until it has measured `so_many` benchmarks, or has ended, and holds it
    /// there; whether it has ended. The time that it may take begins anew.
    ///
    /// # Errors
    /// It took longer than the limit, or somebody asked us to stop.
    pub fn measure(&mut self, so_many: usize, patience: &Patience) -> Result<bool, RunError> {
        self.started = Instant::now();
        while self.stdout.measured + self.stderr.measured < so_many {
            if self.go_on(patience)? {
                return Ok(true);
            }
        }
        kill_process_group(self.pid, Signal::STOP).map_err(failed)?;
        Ok(false)
    }

    /// Lets it go on to its end.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn finish(&mut self, patience: &Patience) -> Result<(), RunError> {
        self.started = Instant::now();
        while !self.go_on(patience)? {}
        self.wait(patience)
    }

    /// Lets it go on for a moment; whether it has ended. What it forked while it was being held
    /// may be held only afterwards, so that it is told again and again.
    fn go_on(&mut self, patience: &Patience) -> Result<bool, RunError> {
        kill_process_group(self.pid, Signal::CONT).map_err(failed)?;
        Ok(self.wait_for(None, patience)?.1)
    }

    /// The end of what it printed, as the end of a sentence.
    pub fn last_words(&self) -> String {
        let kept = match self.stderr.kept.is_empty() {
            true => &self.stdout.kept,
            false => &self.stderr.kept,
        };
        let said = String::from_utf8_lossy(&kept[kept.len().saturating_sub(TAIL)..]);
        let lines: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("note: "))
            .collect();
        match lines.len() {
            0 => String::new(),
            n => format!(": {}", lines[n.saturating_sub(3)..].join(" / ")),
        }
    }

    /// What it wrote to standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.kept).into_owned()
    }

    /// Ends its group while its number is still its own, takes its status, and ends what it
    /// started in other groups.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        // No group is left where nothing of it runs.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let status = self.child.wait()?;
        self.reaped = true;
        if let Some(home) = &self.home {
            strays::end(home);
        }
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.reap();
        }
    }
}

impl Stream {
    fn of(pipe: Option<OwnedFd>) -> Result<Self, RunError> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true).map_err(failed)?;
        }
        Ok(Self {
            pipe,
            kept: Vec::new(),
            measured: 0,
        })
    }

    /// Reads what is there, at most as much as a pipe can hold: whoever prints without end must
    /// not keep us from looking at the clock.
    fn drain(&mut self) {
        let mut bytes = [0; 1 << 16];
        for _ in 0..LARGEST_PIPE / bytes.len() {
            let Some(pipe) = &self.pipe else {
                break;
            };
            match rustix::io::read(pipe.as_fd(), &mut bytes) {
                Ok(read) if read > 0 => {
                    let from = self.kept.len().saturating_sub(MEASURED.len() - 1);
                    self.kept.extend_from_slice(&bytes[..read]);
                    let new = self.kept[from..].windows(MEASURED.len());
                    self.measured += new.filter(|w| *w == MEASURED).count();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // Nobody writes any more.
                Ok(_) | Err(_) => self.pipe = None,
            }
            if self.kept.len() > 2 * MOST {
                self.kept.drain(..self.kept.len() - MOST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn everywhere() -> Cpu {
        Cpu {
            theirs: sched_getaffinity(None).unwrap(),
            ours: None,
        }
    }

    #[test]
    fn what_an_ended_process_left_behind_is_ended_with_it() {
        let cpu = everywhere();
        let interrupt = Interrupt::listen().unwrap();
        let patience = Patience {
            limit: Duration::from_secs(60),
            interrupt: &interrupt,
        };
        let home = tempfile::tempdir().unwrap();
        for left in ["sleep 100", "setsid sleep 100"] {
            let mut command = Command::new("sh");
            let script = format!("{left} >/dev/null 2>&1 & echo $!");
            command.args(["-c", &script]).env(strays::HOME, home.path());
            let mut process = Process::start(&mut command, &cpu, Command::spawn).unwrap();
            while !process.wait_for(None, &patience).unwrap().1 {}
            let words = Path::new("/proc")
                .join(process.stdout().trim())
                .join("cmdline");
            // Nothing is written there while it is between two programs.
            let runs = || std::fs::read(&words).is_ok_and(|words| words.starts_with(b"sleep"));
            comes("it never ran", runs);
            drop(process);
            comes("it still runs", || !runs());
        }
    }

    #[test]
    fn what_is_held_only_afterwards_goes_on_all_the_same() {
        let cpu = everywhere();
        let interrupt = Interrupt::listen().unwrap();
        let patience = Patience {
            limit: Duration::from_secs(10),
            interrupt: &interrupt,
        };
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 0.3; kill -STOP $$; echo a: Analyzing"]);
        let mut process = Process::start(&mut command, &cpu, Command::spawn).unwrap();
        process.measure(1, &patience).unwrap();
        process.finish(&patience).unwrap();
    }

    #[test]
    fn what_is_printed_without_end_is_read_a_pipe_at_a_time() {
        let endless = std::fs::File::open("/dev/zero").unwrap();
        let mut stream = Stream {
            pipe: Some(endless.into()),
            kept: Vec::new(),
            measured: 0,
        };
        stream.drain();
        assert_eq!(stream.kept.len(), LARGEST_PIPE);
    }

    fn comes(or: &str, state: impl Fn() -> bool) {
        let since = Instant::now();
        while !state() {
            assert!(since.elapsed() < Duration::from_secs(10), "{or}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
