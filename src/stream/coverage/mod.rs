//! How much of what a command calls is seen: by name, beside a second counter.

mod expected;
mod known;
mod strace;

use std::cmp::Reverse;
use std::process::Command;

pub use expected::OWN_COUNTS;
pub use known::make_known_calls;

use expected::{Expected, read_own};

use super::watched::{Bounds, Enclosure, Ending, Watched, kernel_runs, missed, name_of, spawn};
use crate::agent::calls::CallCounter;
use crate::host::{Obstacle, provenance};
use crate::schema::coverage::{Call, Coverage, Witness};

/// Runs `command` and counts its calls; `strace` counts them a second time where it is
/// wanted and the program does not know them itself.
///
/// # Errors
/// The command cannot be started or counted, or strace cannot attach.
pub fn coverage(
    command: &[String],
    with_strace: bool,
    bounds: Bounds,
) -> Result<Coverage, Obstacle> {
    let scratch = tempfile::tempdir()
        .map_err(|error| Obstacle::new(format!("no temporary directory: {error}"), "df -h /tmp"))?;
    let own = scratch.path().join("own");
    let counting = CallCounter::count_kernel_runs()?;
    let mut calls = CallCounter::start(bounds.processes)?;
    let mut started = Command::new(&command[0]);
    started.args(&command[1..]).env(OWN_COUNTS, &own);
    let enclosure = Enclosure::new()?;
    enclosure.hold(&mut started)?;
    calls.enlist(&mut started);
    let (watched, by_strace) = if with_strace {
        let (child, strace) = strace::spawn_under(&mut started, scratch.path())?;
        let watched = Watched::wait(&mut calls, child, bounds)?;
        (watched, Some(strace.counts()?))
    } else {
        let child = spawn(&mut started)?;
        (Watched::wait(&mut calls, child, bounds)?, None)
    };
    calls.detach();
    drop(counting);
    let kernel = kernel_runs(&calls)?;
    let by_itself = own.exists().then(|| read_own(&own)).transpose()?;
    let (expected_by, expected) = match (by_itself, by_strace) {
        (Some(own), _) => (Some(Witness::Program), own),
        (None, Some(strace)) => (Some(Witness::Strace), strace),
        (None, None) => (None, Expected::new()),
    };
    let calls_seen = beside(&watched, &expected);
    Ok(Coverage {
        schema: Coverage::SCHEMA,
        provenance: provenance(),
        command: command.to_vec(),
        rung: calls.rung().name().to_owned(),
        expected_by,
        share: share(&calls_seen),
        calls: calls_seen,
        processes: watched.relatives.born,
        kernel,
        missed: missed(&watched)
            .into_iter()
            .chain(cut_short(&watched, bounds))
            .collect(),
        out_of_time: watched.ending == Ending::OutOfTime,
    })
}

/// What processes that were ended had still to do: a sentence each.
fn cut_short(watched: &Watched, bounds: Bounds) -> impl Iterator<Item = String> {
    let command = (watched.ending == Ending::OutOfTime).then(|| {
        format!(
            "what came after {} s, when it was ended: give it longer with --seconds",
            bounds.time.as_secs()
        )
    });
    let survivors = (watched.survivors > 0).then(|| {
        format!(
            "what {} processes that outlived it had still to do: they were ended",
            watched.survivors
        )
    });
    command.into_iter().chain(survivors)
}

/// Every call that was seen or expected, the most frequent first.
fn beside(watched: &Watched, expected: &Expected) -> Vec<Call> {
    let made = watched.counts.made.iter().enumerate();
    let mut seen: Expected = made
        .filter(|&(_, &times)| times > 0)
        .map(|(nr, &times)| (name_of(nr), times))
        .collect();
    for name in expected.keys() {
        seen.entry(name.clone()).or_default();
    }
    let mut calls: Vec<_> = seen
        .into_iter()
        .map(|(name, seen)| Call {
            expected: expected.get(&name).copied(),
            name,
            seen,
        })
        .collect();
    calls.sort_by_key(|call| {
        (
            Reverse(call.seen.max(call.expected.unwrap_or(0))),
            call.name.clone(),
        )
    });
    calls
}

/// Calls seen of those expected. One that was seen too often makes up for none that was
/// not.
fn share(calls: &[Call]) -> Option<f64> {
    let expected: u64 = calls.iter().filter_map(|call| call.expected).sum();
    let seen: u64 = calls
        .iter()
        .filter_map(|call| Some(call.seen.min(call.expected?)))
        .sum();
    (expected > 0).then(|| seen as f64 / expected as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, seen: u64, expected: Option<u64>) -> Call {
        Call {
            name: name.into(),
            seen,
            expected,
        }
    }

    #[test]
    fn a_call_seen_too_often_makes_up_for_none_missed() {
        let calls = [call("read", 150, Some(100)), call("write", 50, Some(100))];
        assert_eq!(share(&calls), Some(0.75));
        assert_eq!(share(&[call("read", 150, None)]), None);
    }
}
