//! Learnt profiles beside what containers may do by default, and put to the test.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::programs::{KnownProgram, PROGRAMS};
use super::{Profile, learn, run, words};
use crate::agent::calls::CallCounter;
use crate::gate::{Limit, SeccompLimits, judge};
use crate::host::{Obstacle, provenance};
use crate::schema::seccomp::{ProfileSize, SeccompMode, SeccompReport};
use crate::schema::{Bound, Finding, Outcome};
use crate::stats::{CONFIDENCE, Interval, median_interval};
use crate::stream::Scratch;
use crate::stream::watched::{Bounds, Enclosure, Watched, spawn};

/// How often a program is learnt from.
const LEARNT: usize = 5;

/// What a program may take: more time than it needs on a machine that is slow, or emulated.
fn bounds() -> Bounds {
    Bounds {
        time: Duration::from_secs(180),
        ..Bounds::default()
    }
}

/// Compares profiles in files with the default one.
///
/// # Errors
/// One cannot be read.
pub fn compare_files(files: &[PathBuf], limits: &SeccompLimits) -> Result<SeccompReport, Obstacle> {
    let mut rows = Vec::new();
    for file in files {
        let profile = Profile::read(file)?;
        rows.extend(smaller(&file.display().to_string(), &profile, limits));
    }
    Ok(report(rows))
}

/// Learns the profiles of ten programs and puts them to the test; `pairs` of runs of one
/// of them, with and without learning, show what that costs.
///
/// # Errors
/// Nothing can be counted here.
pub fn compare_programs(
    limits: &SeccompLimits,
    pairs: usize,
    mut progress: impl FnMut(&str),
) -> Result<SeccompReport, Obstacle> {
    // Before minutes of testing, not after; and loaded once: what is asked at the end is what
    // counting costs, not what starting to does.
    let mut calls = CallCounter::start(bounds().processes)?;
    calls.detach();
    let mut rows = Vec::new();
    for program in PROGRAMS {
        progress(program.name);
        rows.extend(match program.missing() {
            Some(why) => vec![without_value(program.name, Outcome::Skipped, why)],
            None => tested(program.name, put_to_the_test(&program, limits)),
        });
    }
    progress("what learning costs");
    let make = PROGRAMS.iter().find(|program| program.name == "make");
    let make = make.filter(|program| program.missing().is_none());
    let seconds = make.map(|make| pairs_of_runs(make, pairs, &mut calls));
    rows.extend(cost(limits, seconds));
    Ok(report(rows))
}

/// What the test of a program came to; one that could be made here and was not is a gap.
fn tested(name: &str, rows: Result<Vec<Finding>, Obstacle>) -> Vec<Finding> {
    rows.unwrap_or_else(|why| vec![without_value(name, Outcome::Broken, why.to_string())])
}

fn without_value(name: &str, verdict: Outcome, reason: String) -> Finding {
    Finding {
        value: None,
        verdict,
        reason,
        ..counted(name, "false denials", 0, 0.0)
    }
}

fn report(rows: Vec<Finding>) -> SeccompReport {
    SeccompReport {
        schema: SeccompReport::SCHEMA,
        provenance: provenance(),
        default: size(&Profile::of_containers()),
        rows,
    }
}

fn size(profile: &Profile) -> ProfileSize {
    ProfileSize {
        calls: profile.len() as u64,
        bytes: profile.json().len() as u64,
    }
}

fn put_to_the_test(
    program: &KnownProgram,
    limits: &SeccompLimits,
) -> Result<Vec<Finding>, Obstacle> {
    let (directory, port) = place()?;
    program.prepare(directory.path(), port)?;
    let command = program.command(directory.path(), port);
    let bounds = bounds();
    let mut different = BTreeSet::new();
    let mut all = BTreeSet::new();
    let mut always: Option<BTreeSet<_>> = None;
    for _ in 0..LEARNT {
        let (profile, learnt) = learn(&command, 1, bounds)?;
        ended_well(&learnt.runs[0].ending)?;
        if let Some(missed) = learnt.missed.first() {
            return Err(Obstacle::new(
                format!("missed: {missed}"),
                "probecost seccomp learn",
            ));
        }
        different.insert(profile.json());
        let calls: BTreeSet<_> = profile.calls().collect();
        all.extend(calls.iter().copied());
        always = Some(match always {
            Some(always) => always.intersection(&calls).copied().collect(),
            None => calls,
        });
    }
    let always = always.unwrap_or_default();
    let now_and_then: Vec<_> = all.difference(&always).map(|call| call.name()).collect();
    let profile = Profile::learnt(all.iter().copied());
    let mut rows = smaller(program.name, &profile, limits);
    let mut same = counted(
        program.name,
        "different profiles of 5",
        different.len(),
        1.0,
    );
    if !now_and_then.is_empty() {
        same.reason = format!("not called each time: {}", now_and_then.join(", "));
    }
    rows.push(same);
    let mut denied = 0;
    let mut named = Vec::new();
    for mode in [SeccompMode::Log, SeccompMode::Kill] {
        let run = run(&command, &profile, mode, bounds)?;
        denied += run.denied.iter().map(|call| call.times).sum::<u64>() as usize;
        named.extend(run.denied.into_iter().map(|call| call.name));
        if ended_well(&run.ending).is_err() {
            named.push(format!(
                "under the profile it ended otherwise: {}",
                run.ending
            ));
            denied = denied.max(1);
        }
    }
    rows.push(Finding {
        reason: named.join(", "),
        ..counted(program.name, "false denials", denied, 0.0)
    });
    Ok(rows)
}

/// Whether a command ended by itself, with success and with all that it had started.
fn ended_well(ending: &str) -> Result<(), Obstacle> {
    match ending {
        "exit status: 0" => Ok(()),
        _ => Err(Obstacle::new(
            format!("it did not end as it should: {ending}"),
            "run it by hand",
        )),
    }
}

fn place() -> Result<(Scratch, u16), Obstacle> {
    let failed = |error: std::io::Error| Obstacle::new(error.to_string(), "df -h /tmp; ip link");
    let directory = Scratch::new(&std::env::temp_dir())?;
    // Services drop their rights and must reach it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).map_err(failed)?;
    let free = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let port = free.local_addr().map_err(failed)?.port();
    Ok((directory, port))
}

/// How much smaller a profile is than the default one.
fn smaller(name: &str, profile: &Profile, limits: &SeccompLimits) -> Vec<Finding> {
    let (default, own) = (size(&Profile::of_containers()), size(profile));
    [
        ("fewer calls", own.calls, default.calls),
        ("fewer bytes", own.bytes, default.bytes),
    ]
    .into_iter()
    .map(|(measure, own, default)| {
        let value = Interval::exact(100.0 * (1.0 - own as f64 / default as f64));
        Finding {
            name: name.to_owned(),
            measure: measure.into(),
            value: Some(value),
            unit: "%".into(),
            limit: Some(limits.smaller_pct),
            bound: Bound::AtLeast,
            verdict: judge(value, Limit::AtLeast(limits.smaller_pct)),
            reason: format!("{own} of {default}"),
        }
    })
    .collect()
}

fn counted(name: &str, measure: &str, count: usize, most: f64) -> Finding {
    let value = Interval::exact(count as f64);
    Finding {
        name: name.to_owned(),
        measure: measure.into(),
        value: Some(value),
        unit: "count".into(),
        limit: Some(most),
        bound: Bound::AtMost,
        verdict: judge(value, Limit::AtMost(most)),
        reason: String::new(),
    }
}

/// The CPU time of a build: pairs of runs, without its calls being counted and with, each
/// pair in the other order.
fn pairs_of_runs(
    build: &KnownProgram,
    pairs: usize,
    calls: &mut CallCounter,
) -> Result<Vec<[f64; 2]>, Obstacle> {
    let (directory, port) = place()?;
    build.prepare(directory.path(), port)?;
    let command = build.command(directory.path(), port);
    let enclosure = Enclosure::new()?;
    let pairs = (0..pairs).map(|pair| {
        let counted_first = pair.is_multiple_of(2);
        let mut seconds = [0.0; 2];
        for counted in [!counted_first, counted_first] {
            seconds[usize::from(counted)] = cpu_seconds(&enclosure, calls, &command, counted)?;
        }
        Ok(seconds)
    });
    pairs.collect()
}

/// What counting its calls costs a build; nobody knows where there is none.
fn cost(limits: &SeccompLimits, seconds: Option<Result<Vec<[f64; 2]>, Obstacle>>) -> Vec<Finding> {
    let mut finding = Finding {
        name: "learning".into(),
        measure: "CPU of make".into(),
        value: None,
        unit: "%".into(),
        limit: Some(limits.cost_pct),
        bound: Bound::AtMost,
        verdict: Outcome::Skipped,
        reason: String::new(),
    };
    let seconds = match seconds {
        Some(Ok(seconds)) => seconds,
        Some(Err(why)) => {
            finding.verdict = Outcome::Broken;
            finding.reason = why.to_string();
            return vec![finding];
        }
        None => {
            finding.reason = "make or cc is not installed".into();
            return vec![finding];
        }
    };
    let pairs = seconds.len();
    let added = |[off, on]: &[f64; 2]| 100.0 * (on / off - 1.0);
    let ratios: Vec<f64> = seconds.iter().map(added).collect();
    let without: Vec<f64> = seconds.iter().map(|[off, _]| *off).collect();
    finding.value = median_interval(&ratios, CONFIDENCE);
    match finding.value {
        Some(value) => {
            finding.verdict = judge(value, Limit::AtMost(limits.cost_pct));
            finding.reason = format!("{pairs} pairs");
        }
        None => {
            finding.verdict = Outcome::Inconclusive;
            finding.reason = format!("{pairs} pairs are too few for an interval");
        }
    }
    let control = off_against_off(&without);
    if control.verdict == Outcome::Broken {
        finding.verdict = Outcome::Broken;
        finding.reason = control.reason.clone();
    }
    vec![finding, control]
}

/// The runs without learning of two neighbouring pairs, one over the other in changing order:
/// they must come out as one.
fn off_against_off(seconds: &[f64]) -> Finding {
    let neighbours = seconds.chunks_exact(2).enumerate();
    let ratios: Vec<f64> = neighbours
        .map(|(k, two)| match k % 2 {
            0 => two[0] / two[1],
            _ => two[1] / two[0],
        })
        .collect();
    let value = median_interval(&ratios, CONFIDENCE);
    let (verdict, reason) = match value {
        None => (Outcome::Inconclusive, "too few pairs for an interval"),
        Some(value) if value.contains(1.0) => (Outcome::Pass, ""),
        Some(_) => (
            Outcome::Broken,
            "the same was measured twice and came out as two",
        ),
    };
    Finding {
        name: "learning".into(),
        measure: "control".into(),
        value,
        unit: "ratio".into(),
        limit: None,
        bound: Bound::AtMost,
        verdict,
        reason: reason.into(),
    }
}

/// CPU time of a run of `command`, which must end well: one that was cut short costs less.
fn cpu_seconds(
    enclosure: &Enclosure,
    calls: &mut CallCounter,
    command: &[String],
    counted: bool,
) -> Result<f64, Obstacle> {
    let mut started = Command::new(&command[0]);
    started.args(&command[1..]);
    let before = children_seconds();
    let ending = if counted {
        calls.attach()?;
        let watched = Watched::run(enclosure, calls, &mut started, bounds())?;
        calls.detach();
        words(&watched)
    } else {
        enclosure.hold(&mut started)?;
        let ended = spawn(&mut started)?.wait();
        ended
            .map_err(|error| Obstacle::new(error.to_string(), "try again"))?
            .to_string()
    };
    ended_well(&ending)?;
    Ok(children_seconds() - before)
}

/// CPU time of all children that have ended.
fn children_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0.0, |usage| {
        (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Exit;

    #[test]
    fn what_is_without_learning_twice_comes_out_as_one() {
        let steady: Vec<f64> = (0..80).map(|k| 1.0 + 0.01 * f64::from(k * 7 % 5)).collect();
        assert_eq!(off_against_off(&steady).verdict, Outcome::Pass);
        // Each pair of another length than the one before it, whatever the order.
        let uneven: Vec<f64> = (0..80)
            .map(|k| if matches!(k % 4, 0 | 3) { 1.1 } else { 1.0 })
            .collect();
        assert_eq!(off_against_off(&uneven).verdict, Outcome::Broken);
        assert_eq!(off_against_off(&[1.0]).verdict, Outcome::Inconclusive);
    }

    #[test]
    fn a_run_that_did_not_end_well_costs_nothing_that_counts() {
        let mut calls = match CallCounter::start(bounds().processes) {
            Ok(calls) => calls,
            Err(why) => {
                assert!(!crate::agent::is_required(), "{why}");
                eprintln!("skipped: {why}");
                return;
            }
        };
        let enclosure = Enclosure::new().unwrap();
        for counted in [false, true] {
            let mut run =
                |program: &str| cpu_seconds(&enclosure, &mut calls, &[program.to_owned()], counted);
            assert!(run("true").is_ok());
            let why = run("false").unwrap_err().why;
            assert!(why.contains("exit status: 1"), "{counted}: {why}");
        }
    }

    #[test]
    fn a_test_that_broke_off_is_no_pass() {
        let passed = counted("one", "false denials", 0, 0.0);
        let why = Obstacle::new("it did not end as it should", "run it by hand");
        let mut rows = tested("another", Err(why));
        assert!(rows[0].reason.contains("run it by hand"), "{rows:?}");
        rows.push(passed);
        let exit = Exit::of(rows.iter().map(|row| row.verdict));
        assert_eq!(exit, Exit::Broken);
    }

    #[test]
    fn what_learning_costs_is_a_row_whatever_came_of_it() {
        let limits = SeccompLimits {
            smaller_pct: 50.0,
            cost_pct: 5.0,
        };
        let failed = Err(Obstacle::new("no room", "df -h /tmp"));
        let one = Ok(vec![[1.0, 1.0]]);
        for (seconds, verdict, words) in [
            (Some(failed), Outcome::Broken, "no room"),
            (None, Outcome::Skipped, "not installed"),
            (Some(one), Outcome::Inconclusive, "1 pairs are too few"),
        ] {
            let row = cost(&limits, seconds).remove(0);
            assert!(row.reason.contains(words), "{row:?}");
            assert_eq!(row.verdict, verdict);
        }
    }
}
