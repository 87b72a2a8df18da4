//! A command under a profile, and what it was denied.

use std::cmp::Reverse;
use std::process::Command;

use syscalls::Sysno;

use super::filter::confine;
use super::{Profile, words};
use crate::agent::calls::CallCounter;
use crate::host::{Obstacle, provenance};
use crate::schema::Outcome;
use crate::schema::seccomp::{DeniedCall, Replay, SeccompMode};
use crate::stream::watched::{Bounds, Enclosure, Watched, name_of, spawn};

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
    let denied = denied(&watched, profile);
    Ok(Replay {
        schema: Replay::SCHEMA,
        provenance: provenance(),
        command: command.to_vec(),
        mode,
        allowed: profile.len() as u64,
        made: watched.counts.total(),
        verdict: match denied.is_empty() {
            true => Outcome::Pass,
            false => Outcome::Fail,
        },
        denied,
        ending: words(&watched),
    })
}

/// Calls outside the profile: those that were carried out all the same (and logged),
/// and those whose caller was killed, which never began.
fn denied(watched: &Watched, profile: &Profile) -> Vec<DeniedCall> {
    let counts = &watched.counts;
    let outside = |nr: usize| !Sysno::new(nr).is_some_and(|call| profile.allows(call));
    let mut denied: Vec<_> = (0..counts.made.len())
        .map(|nr| {
            let carried_out = if outside(nr) { counts.made[nr] } else { 0 };
            (nr, carried_out + counts.killed[nr])
        })
        .filter(|&(_, times)| times > 0)
        .map(|(nr, times)| DeniedCall {
            name: name_of(nr),
            times,
        })
        .collect();
    denied.sort_by_key(|call| (Reverse(call.times), call.name.clone()));
    denied
}
