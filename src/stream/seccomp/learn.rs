//! A profile learnt from runs of a command.

use std::collections::BTreeSet;
use std::process::Command;

use syscalls::Sysno;

use super::{Profile, words};
use crate::agent::calls::CallCounter;
use crate::host::{Obstacle, provenance};
use crate::schema::seccomp::{LearningRun, Learnt, LearntCall};
use crate::stream::watched::{Bounds, Watched, missed};

/// Runs `command` so many times and gives the profile of all that it called, and how
/// it came about.
///
/// # Errors
/// It cannot be started or counted, or made no call.
pub fn learn(command: &[String], runs: u32, bounds: Bounds) -> Result<(Profile, Learnt), Obstacle> {
    let mut learning = Learning::default();
    for _ in 0..runs.max(1) {
        let mut calls = CallCounter::start(bounds.processes)?;
        let mut started = Command::new(&command[0]);
        started.args(&command[1..]);
        learning.add(&Watched::run(&mut calls, &mut started, bounds)?);
    }
    let profile = Profile::learnt(learning.seen());
    let learnt = Learnt {
        schema: Learnt::SCHEMA,
        provenance: provenance(),
        command: command.to_vec(),
        base: profile.base().map(str::to_owned).collect(),
        runs: learning.runs,
        calls: learning.calls,
        missed: learning.missed,
    };
    Ok((profile, learnt))
}

/// What the runs so far have shown.
#[derive(Debug, Default)]
struct Learning {
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
    }

    fn seen(&self) -> BTreeSet<Sysno> {
        let names = self.calls.iter().map(|call| call.name.as_str());
        names.filter_map(|name| name.parse().ok()).collect()
    }
}
