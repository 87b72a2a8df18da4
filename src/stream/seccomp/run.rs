//! A command under a profile, and what it was denied.

use std::cmp::Reverse;
use std::process::Command;

use syscalls::Sysno;

use super::filter::confine;
use super::{Profile, words};
use crate::agent::calls::{CallCounter, CallCounts};
use crate::host::{Obstacle, provenance};
use crate::schema::Outcome;
use crate::schema::seccomp::{DeniedCall, Replay, SeccompMode};
use crate::stream::watched::{Bounds, Enclosure, Ending, Watched, name_of, spawn, unwatched};

/// Runs `command` under `profile` and counts what it was denied.
///
/// # Errors
/// It cannot be started or counted.
pub fn run(
    command: &[String],
    profile: &Profile,
    mode: SeccompMode,
    bounds: Bounds,
) -> Result<Replay, Obstacle> {
    let mut calls = CallCounter::start(bounds.processes)?;
    let mut started = Command::new(&command[0]);
    started.args(&command[1..]);
    let enclosure = Enclosure::new()?;
    // First, since the profile need not allow the calls by which they ask.
    enclosure.hold(&mut started)?;
    calls.enlist(&mut started);
    confine(&mut started, profile, mode)?;
    let child = spawn(&mut started)?;
    let watched = Watched::wait(&mut calls, child, bounds)?;
    let denied = denied(&watched.counts, profile);
    let missed = missed(&watched);
    Ok(Replay {
        schema: Replay::SCHEMA,
        provenance: provenance(),
        command: command.to_vec(),
        mode,
        allowed: profile.len() as u64,
        made: watched.counts.total(),
        verdict: match (denied.is_empty(), missed.is_empty()) {
            (true, true) => Outcome::Pass,
            (true, false) => Outcome::Inconclusive,
            (false, _) => Outcome::Fail,
        },
        denied,
        missed,
        ending: words(&watched),
    })
}

/// Calls outside the profile: those that were carried out all the same (and logged),
/// and those whose caller was killed, which never began. Those without a name are in none.
fn denied(counts: &CallCounts, profile: &Profile) -> Vec<DeniedCall> {
    let outside = |nr: usize| !Sysno::new(nr).is_some_and(|call| profile.allows(call));
    let named = (0..counts.made.len()).map(|nr| {
        let carried_out = if outside(nr) { counts.made[nr] } else { 0 };
        (name_of(nr), carried_out + counts.killed[nr])
    });
    let nameless = [
        (
            "a call by the table of another architecture",
            counts.foreign + counts.killed_foreign,
        ),
        (
            "a call by a number that has no name",
            counts.unknown + counts.killed_unknown,
        ),
    ];
    let nameless = nameless.map(|(name, times)| (name.to_owned(), times));
    let mut denied: Vec<_> = named
        .chain(nameless)
        .filter(|&(_, times)| times > 0)
        .map(|(name, times)| DeniedCall { name, times })
        .collect();
    denied.sort_by_key(|call| (Reverse(call.times), call.name.clone()));
    denied
}

/// What was not seen, and may have been denied.
fn missed(watched: &Watched) -> Vec<String> {
    let late = (watched.ending == Ending::OutOfTime)
        .then(|| "what it would have called after its time was over".to_owned());
    unwatched(watched).into_iter().chain(late).collect()
}
