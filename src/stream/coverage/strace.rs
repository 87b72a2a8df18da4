//! `strace -c -f` beside us, on the same processes.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pipe::SpliceFlags;

use super::expected::Expected;
use crate::host::Obstacle;
use crate::stream::watched::spawn;

const PATIENCE: Duration = Duration::from_secs(5);

/// A running strace.
pub(super) struct Strace {
    child: Child,
    summary: PathBuf,
}

/// Starts `command` with strace attached before its `execve`.
pub(super) fn spawn_under(
    command: &mut Command,
    scratch: &Path,
) -> Result<(Child, Strace), Obstacle> {
    let failed = |error: std::io::Error| {
        Obstacle::new(
            format!("strace cannot be attached: {error}"),
            "install it, or go without: --without-strace",
        )
    };
    let (mut told, tell) = std::io::pipe().map_err(failed)?;
    let (wait, go) = std::io::pipe().map_err(failed)?;
    // It waits in a call that hardly any program makes: whether strace counts the one
    // in which it is attached is chance. The ends go with the `execve`.
    // SAFETY: a few system calls on what was there before; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            (&tell).write_all(&std::process::id().to_ne_bytes())?;
            rustix::pipe::tee(&wait, &tell, 1, SpliceFlags::empty())?;
            Ok(())
        });
    }
    let summary = scratch.join("strace");
    // Spawning returns when the child has become the command, so strace is attached
    // meanwhile; by another thread, since the child dies with the one that spawns it.
    std::thread::scope(|scope| {
        let attached = scope.spawn(|| {
            let mut pid = [0; 4];
            let strace = told
                .read_exact(&mut pid)
                .and_then(|()| Strace::attach(u32::from_ne_bytes(pid), &summary));
            // The child goes on in any case, so that it can be waited for.
            (&go).write_all(&[1]).and(strace)
        });
        let spawned = spawn(command);
        let attached = attached.join().expect("attaching does not panic");
        let mut child = spawned?;
        match attached {
            Ok(strace) => Ok((child, strace)),
            Err(error) => {
                // Uncounted, it is of no use to anyone; it may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                Err(failed(error))
            }
        }
    })
}

impl Strace {
    fn attach(pid: u32, summary: &Path) -> std::io::Result<Self> {
        let child = Command::new("strace")
            .args(["-q", "-c", "-f", "-o"])
            .arg(summary)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .spawn()?;
        let mut strace = Self {
            child,
            summary: summary.to_owned(),
        };
        let start = Instant::now();
        while !is_traced(pid) {
            if strace.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                // It may have ended by itself.
                let _ = strace.child.kill();
                return Err(std::io::Error::other("it does not attach"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(strace)
    }

    /// What it has counted, once all that it watched has ended.
    pub(super) fn counts(mut self) -> Result<Expected, Obstacle> {
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(_)) => break,
                Ok(None) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => {
                    let _ = self.child.kill();
                    break;
                }
            }
        }
        let text = std::fs::read_to_string(&self.summary).unwrap_or_default();
        let mut counts = read(&text);
        if counts.is_empty() {
            return Err(Obstacle::new(
                "strace left no summary",
                "go without: --without-strace",
            ));
        }
        // The call in which the command waited for it.
        counts.remove("tee");
        Ok(counts)
    }
}

fn is_traced(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// The table of `strace -c`: the fourth column is the count, the last the name.
fn read(text: &str) -> Expected {
    text.lines()
        .filter_map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            let (calls, name) = (columns.get(3)?, columns.last()?);
            let row = columns[0].parse::<f64>().is_ok() && *name != "total";
            row.then_some(((*name).to_owned(), calls.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_strace_does_not_attach_to_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let marker = scratch.path().join("lived");
        let script = format!("sleep 1; touch {}", marker.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        // strace has nowhere to write.
        let nowhere = scratch.path().join("nowhere");
        let obstacle = spawn_under(&mut command, &nowhere).err().unwrap();
        assert!(obstacle.why.contains("strace cannot be attached"));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!marker.exists());
    }

    #[test]
    fn the_summary_is_read() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 70.39    0.001355         225         6         3 wait4
  8.36    0.000161          40         4           execve
------ ----------- ----------- --------- --------- ----------------
100.00    0.001925          12       157         7 total
";
        let counts = read(text);
        assert_eq!(counts["wait4"], 6);
        assert_eq!(counts["execve"], 4);
        assert_eq!(counts.len(), 2);
        assert!(read("").is_empty());
    }
}
