//! One round: a process of base and a process of head, as close together as can be.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use probecost::stats::median;

use super::harness::{self, Executable, Sampled, SamplingConfig, Task};
use super::process::{Cpu, Patience, Process, RunError, failed};
use super::subjects::Subject;
use super::turns::{self, Pipes};

/// What a round gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// The median of one operation, in nanoseconds where it is time.
    pub base: f64,
    /// The same of head.
    pub head: f64,
    /// The logarithm of head's time over base's.
    pub ratio: f64,
    /// Whether it is time that was measured, and not cycles, say.
    pub is_time: bool,
}

/// Which side begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    Base,
    Head,
}

impl First {
    /// Both sides, the one that begins first.
    fn sides(self) -> [usize; 2] {
        match self {
            First::Base => [0, 1],
            First::Head => [1, 0],
        }
    }
}

/// How rounds are made.
pub struct Rounds<'a> {
    pub sampling: SamplingConfig,
    pub cpu: &'a Cpu,
    /// How long a process may take.
    pub patience: Patience<'a>,
}

/// What the rounds of a batch came to.
pub struct Batch {
    /// By benchmark, what its round gave.
    pub rounds: Vec<Result<Round, RunError>>,
    /// Whether they shared a process; else each was tried alone.
    pub together: bool,
}

/// What each benchmark of a batch gave on a side, or why it gave nothing.
type Measured = Vec<Result<Sampled, RunError>>;

impl Rounds<'_> {
    /// Makes one of several benchmarks of one target, which share a process of base and one
    /// of head. Which side begins is said for each of them. None is begun after `deadline`.
    pub fn batch(
        &self,
        executables: &[Executable; 2],
        batch: &[(&Subject, First)],
        deadline: Option<Instant>,
    ) -> Batch {
        // Alone it may, or at least it can be told why not.
        let alone = |(subject, first): &(&Subject, First)| match is_over(deadline) {
            true => Err(RunError::Interrupted),
            false => self.one(executables, subject, *first),
        };
        let together = |rounds| Batch {
            rounds,
            together: true,
        };
        match batch {
            [] | [_] => together(batch.iter().map(alone).collect()),
            several => match self.alternating(executables, several, deadline) {
                Err(RunError::Interrupted) => {
                    together(vec![Err(RunError::Interrupted); several.len()])
                }
                Err(_) => Batch {
                    rounds: several.iter().map(alone).collect(),
                    together: false,
                },
                Ok([base, head]) => {
                    let rounds = base.into_iter().zip(head).zip(several);
                    let made = rounds.map(|((base, head), one)| match (base, head) {
                        (Ok(base), Ok(head)) => round(&base, &head, false),
                        _ => alone(one),
                    });
                    together(made.collect())
                }
            },
        }
    }

    /// Makes one of a single benchmark.
    ///
    /// # Errors
    /// A side gave nothing, which the words name, or somebody asked us to stop.
    pub fn one(
        &self,
        executables: &[Executable; 2],
        subject: &Subject,
        first: First,
    ) -> Result<Round, RunError> {
        let homes = [harness::home()?, harness::home()?];
        let places = [homes[0].path(), homes[1].path()];
        let [base, head] = match subject.lockstep {
            true => self.in_turns(executables, subject, first, places)?,
            false => self.one_after_the_other(executables, subject, first, places)?,
        };
        round(&base, &head, subject.lockstep)
    }

    fn one_after_the_other(
        &self,
        executables: &[Executable; 2],
        subject: &Subject,
        first: First,
        homes: [&Path; 2],
    ) -> Result<[Sampled; 2], RunError> {
        let measure = |side: usize| {
            let patterns = [subject.pattern.as_str()];
            let task = task(&patterns, self.sampling, subject, side);
            let mut process = executables[side].measure(task, homes[side], None, self.cpu)?;
            process.wait(&self.patience)?;
            of(subject, harness::samples(&process, homes[side])?)
        };
        let mut both = [None, None];
        for side in first.sides() {
            both[side] = Some(measure(side).map_err(|e| blame(side, e))?);
        }
        whole(both)
    }

    /// Both processes live at once, and each is held while the other measures the same
    /// benchmark: what they set up is paid once, and the sides stay close together.
    fn alternating(
        &self,
        executables: &[Executable; 2],
        batch: &[(&Subject, First)],
        deadline: Option<Instant>,
    ) -> Result<[Measured; 2], RunError> {
        let homes = [harness::home()?, harness::home()?];
        let patterns: Vec<&str> = batch.iter().map(|(s, _)| s.pattern.as_str()).collect();
        let (one, _) = batch[0];
        let mut processes: [Option<Process>; 2] = [None, None];
        let mut ended = [false; 2];
        for (done, (_, first)) in batch.iter().enumerate() {
            if is_over(deadline) {
                return Err(RunError::Interrupted);
            }
            for side in first.sides() {
                let process = match &mut processes[side] {
                    Some(process) => process,
                    none => {
                        let task = task(&patterns, self.sampling, one, side);
                        let home = homes[side].path();
                        none.insert(executables[side].measure(task, home, None, self.cpu)?)
                    }
                };
                if !ended[side] {
                    ended[side] = process.measure(done + 1, &self.patience)?;
                }
            }
        }
        let mut read = |side: usize| {
            let process = processes[side].as_mut();
            let process = process.ok_or_else(|| failed("was never started"))?;
            process.finish(&self.patience)?;
            let mut all = harness::samples(process, homes[side].path())?;
            let mine = batch.iter().map(|(subject, _)| take(subject, &mut all));
            Ok(mine.collect())
        };
        Ok([read(0)?, read(1)?])
    }

    fn in_turns(
        &self,
        executables: &[Executable; 2],
        subject: &Subject,
        first: First,
        homes: [&Path; 2],
    ) -> Result<[Sampled; 2], RunError> {
        let mut pipes = [Pipes::new().map_err(failed)?, Pipes::new().map_err(failed)?];
        let mut start = |side: usize| {
            let patterns = [subject.pattern.as_str()];
            let task = task(&patterns, self.sampling, subject, side);
            executables[side]
                .measure(task, homes[side], Some(&mut pipes[side]), self.cpu)
                .map_err(|e| blame(side, e))
        };
        let mut processes: [Process; 2] = [start(0)?, start(1)?];
        let [begins, _] = first.sides();
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
        let mut both = [None, None];
        for side in 0..2 {
            let samples = harness::samples(&processes[side], homes[side]);
            let samples = samples.and_then(|all| of(subject, all));
            both[side] = Some(samples.map_err(|e| blame(side, e))?);
        }
        whole(both)
    }
}

/// What a side's process is asked for, of benchmarks of which `subject` is one.
fn task<'a>(
    patterns: &'a [&'a str],
    sampling: SamplingConfig,
    subject: &Subject,
    side: usize,
) -> Task<'a> {
    Task {
        patterns,
        sampling,
        whole_seconds: subject.whole_seconds,
        plant: subject.plant.map(|percent| [0, percent][side]),
    }
}

/// The samples of the only benchmark that was asked for.
fn of(subject: &Subject, mut all: BTreeMap<String, Sampled>) -> Result<Sampled, RunError> {
    match all.len() {
        1 => take(subject, &mut all),
        several => Err(failed(format!("{several} benchmarks have this id"))),
    }
}

fn take(subject: &Subject, all: &mut BTreeMap<String, Sampled>) -> Result<Sampled, RunError> {
    let id = all.keys().find(|id| subject.pattern.is_match(id)).cloned();
    id.and_then(|id| all.remove(&id))
        .ok_or_else(|| RunError::Nothing("wrote no sample.json".to_owned()))
}

fn whole(both: [Option<Sampled>; 2]) -> Result<[Sampled; 2], RunError> {
    match both {
        [Some(base), Some(head)] => Ok([base, head]),
        _ => Err(failed("one side was not measured")),
    }
}

/// What both sides' samples come to.
///
/// # Errors
/// They are of two units.
fn round(base: &Sampled, head: &Sampled, lockstep: bool) -> Result<Round, RunError> {
    if base.is_time != head.is_time {
        let [time, other] = match base.is_time {
            true => ["base", "head"],
            false => ["head", "base"],
        };
        return Err(failed(format!(
            "{time} measures time, {other} something else"
        )));
    }
    let middle = |sampled: &Sampled| median(&sampled.values).unwrap_or(f64::NAN);
    let middles = [middle(base), middle(head)];
    let ratio = match lockstep {
        // Blocks that followed each other share the machine's state of that moment.
        true => {
            let blocks = base.values.iter().zip(&head.values);
            let ratios: Vec<f64> = blocks.map(|(base, head)| (head / base).ln()).collect();
            median(&ratios).unwrap_or(f64::NAN)
        }
        false => (middles[1] / middles[0]).ln(),
    };
    Ok(Round {
        base: middles[0],
        head: middles[1],
        ratio,
        is_time: base.is_time,
    })
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

/// Whether it is too late to begin anything.
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

fn blame(side: usize, error: RunError) -> RunError {
    let named = |words: String| format!("{} {words}", ["base", "head"][side]);
    match error {
        RunError::Interrupted => RunError::Interrupted,
        RunError::Nothing(words) => RunError::Nothing(named(words)),
        RunError::Failed(words) => RunError::Failed(named(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_two_units_are_not_compared() {
        let side = |is_time| Sampled {
            values: vec![100.0],
            is_time,
        };
        let [time, cycles] = [true, false].map(side);
        let why = |base, head| match round(base, head, false) {
            Err(RunError::Failed(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            why(&time, &cycles),
            "base measures time, head something else"
        );
        assert_eq!(
            why(&cycles, &time),
            "head measures time, base something else"
        );
        assert!(round(&time, &time, false).is_ok_and(|round| round.is_time));
        assert!(round(&cycles, &cycles, false).is_ok_and(|round| !round.is_time));
    }

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
