//! One round: a process of base and a process of head, as close together as can be.

use std::path::Path;
use std::time::Duration;

use probecost::stats::median;

use super::harness::{self, Effort, Executable, Process, Task, Trouble};
use super::interrupt::Interrupt;
use super::turns::{self, Seat, Wait};
use crate::input::Samples;

/// A benchmark that both sides have.
#[derive(Debug, Clone)]
pub struct Subject {
    pub id: String,
    pub base: Executable,
    pub head: Executable,
    /// Whether both take turns block by block; else one runs after the other.
    pub lockstep: bool,
    /// A slowdown that head is to plant, in percent, where one is tried out.
    pub plant: Option<u32>,
}

impl Subject {
    fn task(&self, side: usize, effort: Effort) -> Task<'_> {
        Task {
            id: &self.id,
            effort,
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
    pub effort: Effort,
    pub lockstep_effort: Effort,
    /// The longest that a process may take.
    pub limit: Duration,
    pub interrupt: &'a Interrupt,
}

impl Rounds<'_> {
    /// Makes one.
    ///
    /// # Errors
    /// A side gave nothing, which the words name, or somebody asked us to stop.
    pub fn one(&self, subject: &Subject, first: First) -> Result<Round, Trouble> {
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
    ) -> Result<[Samples; 2], Trouble> {
        let measure = |side: usize| {
            let of = |executable: &Executable| {
                let task = subject.task(side, self.effort);
                let mut process = executable.measure(task, homes[side], None)?;
                process.wait(self.limit, self.interrupt)?;
                process.samples()
            };
            of([&subject.base, &subject.head][side]).map_err(|t| blame(side, t))
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
    ) -> Result<[Samples; 2], Trouble> {
        let mut seats = [
            Seat::new().map_err(harness::failed)?,
            Seat::new().map_err(harness::failed)?,
        ];
        let mut start = |side: usize| {
            let executable = [&subject.base, &subject.head][side];
            let seat = Some(&mut seats[side]);
            executable
                .measure(subject.task(side, self.lockstep_effort), homes[side], seat)
                .map_err(|t| blame(side, t))
        };
        let mut processes: [Process; 2] = [start(0)?, start(1)?];
        let wait = Wait {
            limit: self.limit,
            interrupt: self.interrupt,
        };
        let begins = match first {
            First::Base => 0,
            First::Head => 1,
        };
        let played = turns::play(&mut seats, &processes, begins, &wait);
        drop(seats);
        let mut end = |side: usize| {
            let process: &mut Process = &mut processes[side];
            process
                .wait(self.limit, self.interrupt)
                .map_err(|t| blame(side, t))
        };
        match played {
            Ok(()) => (0..2).try_for_each(end)?,
            Err((_, Trouble::Interrupted)) => return Err(Trouble::Interrupted),
            // How a process ended says more than what it did not say.
            Err((side, trouble)) => {
                end(side)?;
                return Err(blame(side, trouble));
            }
        }
        let [base, head] = &processes;
        Ok([
            base.samples().map_err(|t| blame(0, t))?,
            head.samples().map_err(|t| blame(1, t))?,
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

fn blame(side: usize, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Interrupted => Trouble::Interrupted,
        Trouble::Failed(words) => Trouble::Failed(format!("{} {words}", ["base", "head"][side])),
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
