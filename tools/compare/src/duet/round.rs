//! One round: a process of base and a process of head, as close together as can be.

use std::path::Path;

use probecost::stats::median;

use super::harness::{self, Executable, SamplingConfig, Task};
use super::process::{Cpu, Patience, Process, RunError, failed};
use super::sequential::Threshold;
use super::turns::{self, Pipes};
use crate::input::Samples;

/// A benchmark that both sides have.
#[derive(Debug, Clone)]
pub struct Subject {
    pub id: String,
    pub base: Executable,
    pub head: Executable,
    /// Whether both take turns block by block; else one runs after the other.
    pub lockstep: bool,
    /// The smallest change that is called, in percent.
    pub threshold_pct: f64,
    /// A slowdown that head is to plant, in percent, where one is tried out.
    pub plant: Option<u32>,
}

impl Subject {
    /// The smallest change that is called.
    pub fn threshold(&self) -> Threshold {
        Threshold::of(self.threshold_pct)
    }

    fn task(&self, side: usize, sampling: SamplingConfig) -> Task<'_> {
        Task {
            id: &self.id,
            sampling,
            plant: self.plant.map(|percent| [0, percent][side]),
        }
    }
}

/// What a round gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// The median time of one operation in nanoseconds.
    pub base_ns: f64,
    /// The same of head.
    pub head_ns: f64,
    /// The logarithm of head's time over base's.
    pub ratio: f64,
}

/// Which side begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    Base,
    Head,
}

/// How rounds are made.
pub struct Rounds<'a> {
    pub sampling: SamplingConfig,
    pub lockstep_sampling: SamplingConfig,
    pub cpu: &'a Cpu,
    /// How long a process may take.
    pub patience: Patience<'a>,
}

impl Rounds<'_> {
    /// Makes one.
    ///
    /// # Errors
    /// A side gave nothing, which the words name, or somebody asked us to stop.
    pub fn one(&self, subject: &Subject, first: First) -> Result<Round, RunError> {
        let homes = [harness::home()?, harness::home()?];
        let places = [homes[0].path(), homes[1].path()];
        let [base, head] = match subject.lockstep {
            true => self.in_turns(subject, first, places)?,
            false => self.one_by_one(subject, first, places)?,
        };
        let middle = |samples: &Samples| median(&samples.0).unwrap_or(f64::NAN);
        let (base_ns, head_ns) = (middle(&base), middle(&head));
        let ratio = match subject.lockstep {
            // Blocks that followed each other share the machine's state of that moment.
            true => {
                let blocks = base.0.iter().zip(&head.0);
                let ratios: Vec<f64> = blocks.map(|(base, head)| (head / base).ln()).collect();
                median(&ratios).unwrap_or(f64::NAN)
            }
            false => (head_ns / base_ns).ln(),
        };
        Ok(Round {
            base_ns,
            head_ns,
            ratio,
        })
    }

    fn one_by_one(
        &self,
        subject: &Subject,
        first: First,
        homes: [&Path; 2],
    ) -> Result<[Samples; 2], RunError> {
        let measure = |side: usize| {
            let of = |executable: &Executable| {
                let task = subject.task(side, self.sampling);
                let mut process = executable.measure(task, homes[side], None, self.cpu)?;
                process.wait(&self.patience)?;
                harness::samples(&process, homes[side])
            };
            of([&subject.base, &subject.head][side]).map_err(|e| blame(side, e))
        };
        match first {
            First::Base => {
                let base = measure(0)?;
                Ok([base, measure(1)?])
            }
            First::Head => {
                let head = measure(1)?;
                Ok([measure(0)?, head])
            }
        }
    }

    fn in_turns(
        &self,
        subject: &Subject,
        first: First,
        homes: [&Path; 2],
    ) -> Result<[Samples; 2], RunError> {
        let mut pipes = [Pipes::new().map_err(failed)?, Pipes::new().map_err(failed)?];
        let mut start = |side: usize| {
            let executable = [&subject.base, &subject.head][side];
            let pipes = Some(&mut pipes[side]);
            executable
                .measure(
                    subject.task(side, self.lockstep_sampling),
                    homes[side],
                    pipes,
                    self.cpu,
                )
                .map_err(|e| blame(side, e))
        };
        let mut processes: [Process; 2] = [start(0)?, start(1)?];
        let begins = match first {
            First::Base => 0,
            First::Head => 1,
        };
        let driven = turns::drive(&mut pipes, &mut processes, begins, &self.patience);
        drop(pipes);
        let mut end = |side: usize| {
            let process: &mut Process = &mut processes[side];
            process.wait(&self.patience).map_err(|e| blame(side, e))
        };
        match driven {
            Ok(()) => (0..2).try_for_each(end)?,
            Err((_, RunError::Interrupted)) => return Err(RunError::Interrupted),
            // How a process ended says more than what it did not say.
            Err((side, error)) => {
                end(side)?;
                return Err(blame(side, error));
            }
        }
        let [base, head] = &processes;
        Ok([
            harness::samples(base, homes[0]).map_err(|e| blame(0, e))?,
            harness::samples(head, homes[1]).map_err(|e| blame(1, e))?,
        ])
    }
}

/// The orders of so many rounds: by twos base first and head first, and by turns of a
/// coin the other way round (ABBA and its mirror).
pub fn orders(rng: &mut fastrand::Rng, rounds: usize) -> Vec<First> {
    let mut orders = Vec::with_capacity(rounds + 1);
    while orders.len() < rounds {
        match rng.bool() {
            true => orders.extend([First::Base, First::Head]),
            false => orders.extend([First::Head, First::Base]),
        }
    }
    orders.truncate(rounds);
    orders
}

fn blame(side: usize, error: RunError) -> RunError {
    match error {
        RunError::Interrupted => RunError::Interrupted,
        RunError::Failed(words) => RunError::Failed(format!("{} {words}", ["base", "head"][side])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_side_begins_as_often() {
        let mut rng = fastrand::Rng::with_seed(1);
        let orders = orders(&mut rng, 100);
        let base = orders.iter().filter(|o| **o == First::Base).count();
        assert_eq!((orders.len(), base), (100, 50));
        assert!(
            orders.windows(2).any(|w| w[0] == w[1]),
            "mirrored now and then"
        );
    }
}
