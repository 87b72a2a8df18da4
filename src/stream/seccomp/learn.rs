//! A profile learnt from runs of a command.

use std::collections::BTreeSet;
use std::process::Command;

use syscalls::Sysno;

use super::{Profile, words};
use crate::agent::calls::CallCounter;
use crate::host::{Obstacle, provenance};
use crate::schema::coverage::Kernel;
use crate::schema::seccomp::{LearningRun, Learnt, LearntCall};
use crate::stream::watched::{Bounds, Enclosure, Ending, Watched, kernel_runs, missed};

/// Runs `command` so many times and gives the profile of all that it called, and how
/// it came about.
///
/// # Errors
/// It cannot be started or counted, or made no call.
pub fn learn(command: &[String], runs: u32, bounds: Bounds) -> Result<(Profile, Learnt), Obstacle> {
    let mut learning = Learning::default();
    let enclosure = Enclosure::new()?;
    // Takes a right that counting itself does not.
    let counting = CallCounter::count_kernel_runs().ok();
    for _ in 0..runs.max(1) {
        let mut calls = CallCounter::start(bounds.processes)?;
        let mut started = Command::new(&command[0]);
        started.args(&command[1..]);
        let watched = Watched::run(&enclosure, &mut calls, &mut started, bounds)?;
        learning.add(&watched);
        if counting.is_some() {
            calls.detach();
            learning.hold_against(kernel_runs(&calls)?);
        }
    }
    let profile = Profile::learnt(learning.seen());
    let learnt = Learnt {
        schema: Learnt::SCHEMA,
        provenance: provenance(),
        command: command.to_vec(),
        base: profile.base().map(str::to_owned).collect(),
        runs: learning.runs,
        calls: learning.calls,
        kernel: learning.kernel,
        missed: learning.missed,
    };
    Ok((profile, learnt))
}

/// What the runs so far have shown.
#[derive(Debug, Default)]
struct Learning {
    kernel: Option<Kernel>,
    runs: Vec<LearningRun>,
    calls: Vec<LearntCall>,
    missed: Vec<String>,
}

impl Learning {
    fn add(&mut self, watched: &Watched) {
        let counts = &watched.counts;
        let run = self.runs.len() as u64 + 1;
        let made = Sysno::iter().filter(|call| counts.made[call.id() as usize] > 0);
        let mut made: Vec<_> = made
            .map(|call| (counts.first_ns[call.id() as usize], call))
            .collect();
        made.sort_unstable_by_key(|&(first, call)| (first, call.id()));
        let start = made.first().map_or(0, |&(first, _)| first);
        let mut new = 0;
        for &(first, call) in &made {
            let times = counts.made[call.id() as usize];
            match self
                .calls
                .iter_mut()
                .find(|known| known.name == call.name())
            {
                Some(known) => known.made += times,
                None => {
                    new += 1;
                    self.calls.push(LearntCall {
                        name: call.name().to_owned(),
                        made: times,
                        run,
                        after_ms: (first - start) as f64 / 1e6,
                    });
                }
            }
        }
        self.runs.push(LearningRun {
            calls: made.len() as u64,
            new,
            processes: watched.relatives.born,
            ending: words(watched),
        });
        for sentence in missed(watched) {
            if !self.missed.contains(&sentence) {
                self.missed.push(sentence);
            }
        }
        if watched.ending == Ending::OutOfTime {
            self.missed.push(format!(
                "what run {run} would have called after its time was over"
            ));
        }
    }

    /// Takes the kernel's own count of a run into account.
    fn hold_against(&mut self, kernel: Kernel) {
        let lost = kernel.runs.saturating_sub(kernel.counted);
        if lost > 0 {
            self.missed.push(format!(
                "{lost} calls of {} on this machine, by the kernel's own count in run {}",
                kernel.runs,
                self.runs.len()
            ));
        }
        let sum = self.kernel.get_or_insert(Kernel {
            runs: 0,
            counted: 0,
        });
        sum.runs += kernel.runs;
        sum.counted += kernel.counted;
    }

    fn seen(&self) -> BTreeSet<Sysno> {
        let names = self.calls.iter().map(|call| call.name.as_str());
        names.filter_map(|name| name.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counted_and_we_did_not_is_missed() {
        let mut learning = Learning::default();
        learning.hold_against(Kernel {
            runs: 500,
            counted: 501,
        });
        assert_eq!(learning.missed, [""; 0]);
        learning.hold_against(Kernel {
            runs: 500,
            counted: 497,
        });
        assert!(
            learning.missed[0].starts_with("3 calls of 500"),
            "{learning:?}"
        );
        let sum = Kernel {
            runs: 1000,
            counted: 998,
        };
        assert_eq!(learning.kernel, Some(sum));
    }
}
