//! One bench executable, asked by Criterion's own command line (0.3 to 0.8).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use probecost::schema::turns::{PLANT, VARIABLE};

use super::criterion;
use super::process::{Cpu, Patience, Process, RunError, failed};
use super::strays;
use super::turns::Pipes;
use crate::bench_place::BenchPlace;
use crate::input::Samples;
use crate::listing::{beginning, listed};

/// A bench executable, and where cargo would run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    pub path: PathBuf,
    pub place: BenchPlace,
}

/// What an executable says it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The ids of its benchmarks, in its order.
    pub ids: Vec<String>,
    /// Whether it takes turns with another process, block by block.
    pub turns: bool,
    /// Whether it takes times in whole seconds only: Criterion 0.3 does, and says `bench`.
    pub whole_seconds: bool,
    /// Whether it yields to the times that we ask for, whatever it says and knows.
    pub yields: bool,
    /// What saying so took: what every process of it sets up, whatever it measures.
    pub set_up: Duration,
}

/// How long a process measures a benchmark.
#[derive(Debug, Clone, Copy)]
pub struct SamplingConfig {
    /// Warm-up in seconds.
    pub warm_up: f64,
    /// Measurement in seconds.
    pub measurement: f64,
    /// Samples that the measurement is cut into.
    pub samples: u32,
}

impl SamplingConfig {
    /// The same in whole seconds.
    pub fn whole_seconds(self) -> Self {
        let whole = |seconds: f64| seconds.max(1.0).round();
        Self {
            warm_up: whole(self.warm_up),
            measurement: whole(self.measurement),
            ..self
        }
    }

    /// What a benchmark takes of it, if one iteration is short.
    pub fn time(self) -> Duration {
        // What Criterion thinks about its samples comes on top.
        Duration::from_secs_f64(self.warm_up + self.measurement + 0.03)
    }
}

/// What a process is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The benchmarks, by what their ids match as a whole.
    pub patterns: &'a [&'a str],
    pub sampling: SamplingConfig,
    /// Whether it takes whole seconds only.
    pub whole_seconds: bool,
    /// A slowdown that the bench is to plant, in percent, where one is tried out.
    pub plant: Option<u32>,
}

impl Executable {
    /// Lists the benchmarks; `None` where it does not answer as Criterion does.
    ///
    /// # Errors
    /// It ends badly, or takes too long.
    pub fn list(&self, cpu: &Cpu, patience: &Patience) -> Result<Option<Listing>, RunError> {
        let started = Instant::now();
        let home = home()?;
        let mut pipes = Pipes::new().map_err(failed)?;
        let arguments = ["--bench", "--list"];
        let mut process = self.start(&arguments, None, home.path(), Some(&mut pipes), cpu)?;
        process.wait(patience)?;
        let said = process.stdout();
        let listed = listed(&said);
        Ok((!listed.built_in).then(|| Listing {
            whole_seconds: said.lines().any(|line| line.ends_with(": bench")),
            yields: self.yields(),
            ids: listed.ids,
            turns: pipes.greeted(),
            set_up: started.elapsed(),
        }))
    }

    /// Whether it knows the variable that our lines in Criterion read.
    fn yields(&self) -> bool {
        let known = regex::bytes::Regex::new(criterion::VARIABLE);
        let bytes = fs::read(&self.path).unwrap_or_default();
        known.is_ok_and(|known| known.is_match(&bytes))
    }

    /// Starts a process that measures benchmarks into the Criterion home `home`.
    pub fn measure(
        &self,
        task: Task,
        home: &Path,
        pipes: Option<&mut Pipes>,
        cpu: &Cpu,
    ) -> Result<Process, RunError> {
        let asked = match task.whole_seconds {
            true => task.sampling.whole_seconds(),
            false => task.sampling,
        };
        let warm_up = asked.warm_up.to_string();
        let measurement = asked.measurement.to_string();
        let samples = asked.samples.to_string();
        let filter = task.patterns.join("|");
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
            &filter,
        ];
        self.start(&arguments, Some(&task), home, pipes, cpu)
    }

    fn start(
        &self,
        arguments: &[&str],
        task: Option<&Task>,
        home: &Path,
        pipes: Option<&mut Pipes>,
        cpu: &Cpu,
    ) -> Result<Process, RunError> {
        let mut command = Command::new(&self.path);
        self.place.apply(&mut command);
        command
            .args(arguments)
            .env(strays::HOME, home)
            .env_remove(VARIABLE);
        if let Some(task) = task {
            let SamplingConfig {
                warm_up,
                measurement,
                samples,
            } = task.sampling;
            let sampling = format!("{warm_up},{measurement},{samples}");
            command.env(criterion::VARIABLE, sampling);
        }
        if let Some(percent) = task.and_then(|t| t.plant) {
            // As long on either side, 0 on one of them: see `Pair`.
            command.env(PLANT, format!("{percent:03}"));
        }
        Process::start(&mut command, cpu, |command| match pipes {
            None => command.spawn(),
            Some(pipes) => pipes.spawn(command),
        })
    }
}

/// Whether what Criterion printed of each id is time, and not another measurement's unit. The
/// id stands before the figures, or on the line above them where it is long.
fn units(said: &str) -> Vec<(&str, bool)> {
    let mut units = Vec::new();
    let mut above = "";
    for line in said.lines() {
        let Some((id, values)) = line.split_once("time:   [") else {
            above = line.trim();
            continue;
        };
        let id = match id.trim() {
            "" => above,
            id => id,
        };
        if let Some(unit) = values.split_whitespace().nth(1) {
            let is_time = ["ps", "ns", "us", "µs", "ms", "s"].contains(&unit);
            units.push((id, is_time));
        }
    }
    units
}

/// Whether a benchmark's measurement is time; where nothing was printed of it, as the first is.
fn is_time(units: &[(&str, bool)], id: &str) -> bool {
    let is_of = |printed: &str| match beginning(printed) {
        Some(beginning) => id.starts_with(beginning),
        None => id == printed,
    };
    let own = units.iter().find(|(printed, _)| is_of(printed));
    own.or(units.first()).is_none_or(|(_, is_time)| *is_time)
}

/// What a process measured of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Of one operation each, in the order they were taken.
    pub values: Vec<f64>,
    /// Whether they are nanoseconds.
    pub is_time: bool,
}

/// What a process measured into its Criterion home, by id.
///
/// # Errors
/// It wrote no result, or one that cannot be used.
pub fn samples(process: &Process, home: &Path) -> Result<BTreeMap<String, Sampled>, RunError> {
    let all = Samples::read(home).map_err(failed)?;
    if all.is_empty() {
        let said = process.last_words();
        return Err(RunError::Nothing(format!(
            "ended well and wrote no sample.json{said}"
        )));
    }
    let said = process.stdout();
    let units = units(&said);
    let sampled = |(id, Samples(values)): (String, Samples)| {
        let is_time = is_time(&units, &id);
        (id, Sampled { values, is_time })
    };
    Ok(all.into_iter().map(sampled).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_no_time() {
        let time = units("a   time:   [1.20 µs 1.21 µs 1.22 µs]\n");
        assert!(is_time(&time, "a"));
        assert!(is_time(&units("nothing of the kind"), "a"));
        let cycles = units("a   time:   [120.1 cycles 121.0 cycles 122.2 cycles]\n");
        assert!(!is_time(&cycles, "a"));
    }

    #[test]
    fn each_benchmark_of_a_process_has_its_own_unit() {
        let long = "b".repeat(110);
        let cut = format!("{}...", &long[..100]);
        let said = format!(
            "Benchmarking a: Analyzing\n\
             a                       time:   [1.20 ns 1.21 ns 1.22 ns]\n\
             Benchmarking {cut}: Analyzing\n\
             {cut}\n                        time:   [120.1 cycles 121.0 cycles 122.2 cycles]\n"
        );
        let units = units(&said);
        assert!(is_time(&units, "a") && !is_time(&units, &long));
        assert!(is_time(&units, "unheard of"));
    }
}
