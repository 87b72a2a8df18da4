//! One bench executable, asked by Criterion's own command line (0.5 to 0.8).

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::interrupt::Interrupt;
use super::turns::{self, Seat};
use crate::input::Samples;

/// How often a process is looked at while one waits for its end.
const GLANCE: Duration = Duration::from_millis(2);

/// How much of what a failed process said is shown, in bytes.
const TAIL: u64 = 600;

/// A bench executable, and where cargo would run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    pub path: PathBuf,
    pub directory: PathBuf,
}

/// What an executable says it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The ids of its benchmarks, in its order.
    pub ids: Vec<String>,
    /// Whether it takes turns with another process, block by block.
    pub turns: bool,
}

/// Why a process gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Somebody asked us to stop.
    Interrupted,
    /// In words.
    Failed(String),
}

/// Tells a bench by how many percent it is to be slower than it is, so that one can see
/// whether it is found.
const PLANT: &str = "PROBECOST_PLANT_PCT";

/// How long a process measures.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Warm-up in seconds.
    pub warm_up: f64,
    /// Measurement in seconds.
    pub measurement: f64,
    /// Samples that the measurement is cut into.
    pub samples: u32,
}

/// What a process is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The benchmark.
    pub id: &'a str,
    pub effort: Effort,
    /// A slowdown that the bench is to plant, in percent, where one is tried out.
    pub plant: Option<u32>,
}

impl Executable {
    /// Lists the benchmarks.
    ///
    /// # Errors
    /// It ends badly, or takes longer than `limit`.
    pub fn list(&self, limit: Duration, interrupt: &Interrupt) -> Result<Listing, Trouble> {
        let home = home()?;
        let mut seat = Seat::new().map_err(failed)?;
        let mut process = self.start(&["--bench", "--list"], None, home.path(), Some(&mut seat))?;
        process.wait(limit, interrupt)?;
        let said = process.said("stdout");
        let ids = said
            .lines()
            .filter_map(|line| line.strip_suffix(": benchmark"))
            .map(str::to_owned)
            .collect();
        Ok(Listing {
            ids,
            turns: seat.greeted(),
        })
    }

    /// Starts a process that measures one benchmark into the Criterion home `home`.
    pub fn measure(
        &self,
        task: Task,
        home: &Path,
        seat: Option<&mut Seat>,
    ) -> Result<Process, Trouble> {
        let [warm_up, measurement, samples] = [
            task.effort.warm_up.to_string(),
            task.effort.measurement.to_string(),
            task.effort.samples.to_string(),
        ];
        let arguments = [
            "--bench",
            "--noplot",
            "--warm-up-time",
            &warm_up,
            "--measurement-time",
            &measurement,
            "--sample-size",
            &samples,
            // The fewest that Criterion does not warn of; its own intervals are not used.
            "--nresamples",
            "1001",
            "--exact",
            task.id,
        ];
        self.start(&arguments, task.plant, home, seat)
    }

    fn start(
        &self,
        arguments: &[&str],
        plant: Option<u32>,
        home: &Path,
        seat: Option<&mut Seat>,
    ) -> Result<Process, Trouble> {
        let log = |name: &str| File::create(home.join(name)).map_err(failed);
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("CRITERION_HOME", home)
            .env_remove(turns::VARIABLE)
            .stdin(Stdio::null())
            .stdout(log("stdout")?)
            .stderr(log("stderr")?)
            // A Ctrl-C is for us alone: we end what we started.
            .process_group(0);
        if let Some(percent) = plant {
            // As long on either side, 0 on one of them: see `alias`.
            command.env(PLANT, format!("{percent:03}"));
        }
        let started = match seat {
            None => command.spawn(),
            Some(seat) => seat.spawn(&mut command),
        };
        let child = started.map_err(|e| failed(format!("{}: {e}", self.path.display())))?;
        Ok(Process {
            child,
            started: Instant::now(),
            home: home.to_owned(),
        })
    }
}

/// A process that was started; ended with it where it still runs.
pub struct Process {
    child: Child,
    started: Instant,
    home: PathBuf,
}

impl Process {
    /// Waits for its end.
    ///
    /// # Errors
    /// It ended badly or took longer than `limit`, or somebody asked us to stop.
    pub fn wait(&mut self, limit: Duration, interrupt: &Interrupt) -> Result<(), Trouble> {
        loop {
            if let Some(status) = self.child.try_wait().map_err(failed)? {
                return self.judge(status);
            }
            self.check(limit, interrupt)?;
            thread::sleep(GLANCE);
        }
    }

    /// Whether one may go on waiting for it.
    ///
    /// # Errors
    /// It took longer than `limit`, or somebody asked us to stop.
    pub fn check(&self, limit: Duration, interrupt: &Interrupt) -> Result<(), Trouble> {
        if interrupt.came() {
            return Err(Trouble::Interrupted);
        }
        if self.started.elapsed() > limit {
            let limit = limit.as_secs_f64();
            return Err(Trouble::Failed(format!(
                "took longer than {limit} s and was ended; --timeout SECONDS gives it more"
            )));
        }
        Ok(())
    }

    /// What it measured.
    ///
    /// # Errors
    /// It wrote no result, or one that cannot be used.
    pub fn samples(&self) -> Result<Samples, Trouble> {
        match Samples::read(&self.home) {
            Ok(Some(samples)) => Ok(samples),
            Ok(None) => Err(Trouble::Failed(format!(
                "ended well and wrote no sample.json{}",
                self.last_words()
            ))),
            Err(cause) => Err(Trouble::Failed(cause)),
        }
    }

    fn judge(&self, status: ExitStatus) -> Result<(), Trouble> {
        match status.success() {
            true => Ok(()),
            false => Err(Trouble::Failed(format!(
                "ended with {status}{}",
                self.last_words()
            ))),
        }
    }

    /// The end of what it said, as the end of a sentence.
    fn last_words(&self) -> String {
        let said = [self.said("stderr"), self.said("stdout")].map(|s| s.trim().to_owned());
        let last = said.into_iter().find(|s| !s.is_empty());
        last.map_or(String::new(), |s| {
            let lines: Vec<&str> = s
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with("note: "))
                .collect();
            format!(": {}", lines[lines.len().saturating_sub(3)..].join(" / "))
        })
    }

    fn said(&self, stream: &str) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.home.join(stream))?;
            let length = file.metadata()?.len();
            if stream == "stderr" {
                file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Whoever it started ends with it: it leads a process group of its own.
            if let Some(group) = rustix::process::Pid::from_raw(self.child.id() as i32) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

/// A Criterion home for one process. All have names of one length: what a process finds
/// on its stack moves its addresses.
pub fn home() -> Result<tempfile::TempDir, Trouble> {
    tempfile::Builder::new()
        .prefix("duet-")
        .tempdir()
        .map_err(|e| {
            let place = std::env::temp_dir();
            failed(format!("{}: no room for results: {e}", place.display()))
        })
}

/// Links `path` under a name of a fixed length, so that both sides are called alike.
///
/// # Errors
/// The executable does not exist, or the link cannot be made.
pub fn alias(path: &Path, place: &Path) -> Result<PathBuf, std::io::Error> {
    let real = fs::canonicalize(path)?;
    let link = place.join("bench");
    fs::create_dir_all(place)?;
    std::os::unix::fs::symlink(real, &link)?;
    Ok(link)
}

pub fn failed(cause: impl std::fmt::Display) -> Trouble {
    Trouble::Failed(cause.to_string())
}
