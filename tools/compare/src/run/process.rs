//! A process of a run: a command as it was given, or a bench that cargo built.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::bench_place::BenchPlace;

/// A process, not yet started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchProcess {
    words: Vec<String>,
    /// Else this directory.
    place: Option<BenchPlace>,
}

impl BenchProcess {
    /// A command as it was given.
    pub fn here(words: Vec<String>) -> Self {
        Self { words, place: None }
    }

    /// A bench that cargo built, started as cargo does.
    pub fn built(executable: &Path, arguments: &[String], place: BenchPlace) -> Self {
        let mut words = vec![executable.display().to_string(), "--bench".to_owned()];
        words.extend_from_slice(arguments);
        Self {
            words,
            place: Some(place),
        }
    }

    /// The same with one more argument.
    pub fn asked(&self, more: &str) -> Self {
        let mut asked = self.clone();
        asked.words.push(more.to_owned());
        asked
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.name());
        command.args(self.words.iter().skip(1)).stdin(Stdio::null());
        if let Some(place) = &self.place {
            place.apply(&mut command);
        }
        command
    }

    /// What it says to standard output until it ends; `None` where it takes longer than
    /// `limit`. Nobody waits for what it leaves behind, which is ended.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn answer(&self, limit: Duration) -> io::Result<Option<(ExitStatus, String)>> {
        // A pipe would stay open as long as anybody holds it.
        let mut said = tempfile::tempfile()?;
        let mut child = self
            .command()
            .stdout(said.try_clone()?)
            .process_group(0)
            .spawn()?;
        let group = Pid::from_child(&child);
        let ended = wait(group, limit);
        // No group is left where nothing of it runs.
        let _ = kill_process_group(group, Signal::KILL);
        let status = child.wait()?;
        Ok(match ended? {
            true => Some((status, text(&mut said)?)),
            false => None,
        })
    }

    /// Starts it, with what it prints in `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, log: &File, variables: &[(&str, PathBuf)]) -> io::Result<Child> {
        self.command()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .spawn()
    }
}

/// Whether a process ends in time.
fn wait(pid: Pid, limit: Duration) -> io::Result<bool> {
    let end = pidfd_open(pid, PidfdFlags::empty())?;
    let started = Instant::now();
    loop {
        let left = limit.saturating_sub(started.elapsed());
        let left = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            ended => return Ok(ended? > 0),
        }
    }
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(script: &str, limit: Duration) -> Option<String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let answer = BenchProcess::here(words.to_vec()).answer(limit).unwrap();
        answer.map(|(_, said)| said)
    }

    #[test]
    fn nobody_waits_for_what_a_process_leaves_behind() {
        let started = Instant::now();
        let said = answer("sleep 1000 & echo $!", Duration::from_secs(60)).unwrap();
        assert!(started.elapsed() < Duration::from_secs(50), "waited for it");
        let left = format!("/proc/{}/stat", said.trim());
        let runs = || std::fs::read_to_string(&left).is_ok_and(|stat| !stat.contains(") Z "));
        while runs() {
            assert!(started.elapsed() < Duration::from_secs(60), "it still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_process_that_hangs_is_ended() {
        assert_eq!(answer("sleep 1000", Duration::from_millis(200)), None);
    }
}
