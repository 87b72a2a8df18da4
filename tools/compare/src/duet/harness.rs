//! One bench executable, asked by Criterion's own command line (0.5 to 0.8).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Cpu, Patience, Process, RunError, failed};
use super::turns::{self, Pipes};
use crate::input::Samples;

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

/// Tells a bench by how many percent it is to be slower than it is, so that one can see
/// whether it is found.
const PLANT: &str = "PROBECOST_PLANT_PCT";

/// How long a process measures.
#[derive(Debug, Clone, Copy)]
pub struct SamplingConfig {
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
    pub sampling: SamplingConfig,
    /// A slowdown that the bench is to plant, in percent, where one is tried out.
    pub plant: Option<u32>,
}

impl Executable {
    /// Lists the benchmarks.
    ///
    /// # Errors
    /// It ends badly, or takes longer than `limit`.
    pub fn list(&self, cpu: &Cpu, patience: &Patience) -> Result<Listing, RunError> {
        let home = home()?;
        let mut pipes = Pipes::new().map_err(failed)?;
        let arguments = ["--bench", "--list"];
        let mut process = self.start(&arguments, None, home.path(), Some(&mut pipes), cpu)?;
        process.wait(patience)?;
        let ids = process
            .stdout()
            .lines()
            .filter_map(|line| line.strip_suffix(": benchmark"))
            .map(str::to_owned)
            .collect();
        Ok(Listing {
            ids,
            turns: pipes.greeted(),
        })
    }

    /// Starts a process that measures one benchmark into the Criterion home `home`.
    pub fn measure(
        &self,
        task: Task,
        home: &Path,
        pipes: Option<&mut Pipes>,
        cpu: &Cpu,
    ) -> Result<Process, RunError> {
        let [warm_up, measurement, samples] = [
            task.sampling.warm_up.to_string(),
            task.sampling.measurement.to_string(),
            task.sampling.samples.to_string(),
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
        self.start(&arguments, task.plant, home, pipes, cpu)
    }

    fn start(
        &self,
        arguments: &[&str],
        plant: Option<u32>,
        home: &Path,
        pipes: Option<&mut Pipes>,
        cpu: &Cpu,
    ) -> Result<Process, RunError> {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("CRITERION_HOME", home)
            .env_remove(turns::VARIABLE);
        if let Some(percent) = plant {
            // As long on either side, 0 on one of them: see `alias`.
            command.env(PLANT, format!("{percent:03}"));
        }
        Process::start(&mut command, cpu, |command| match pipes {
            None => command.spawn(),
            Some(pipes) => pipes.spawn(command),
        })
    }
}

/// What a process measured into its Criterion home.
///
/// # Errors
/// It wrote no result, or one that cannot be used.
pub fn samples(process: &Process, home: &Path) -> Result<Samples, RunError> {
    match Samples::read(home) {
        Ok(Some(samples)) => Ok(samples),
        Ok(None) => Err(RunError::Failed(format!(
            "ended well and wrote no sample.json{}",
            process.last_words()
        ))),
        Err(cause) => Err(RunError::Failed(cause)),
    }
}

/// A Criterion home for one process. All have names of one length: what a process finds
/// on its stack moves its addresses.
pub fn home() -> Result<tempfile::TempDir, RunError> {
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
