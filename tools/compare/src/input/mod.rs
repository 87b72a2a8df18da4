//! What benchmark programs leave behind, read into runs.

mod counts;
mod critcmp;
mod criterion;
mod figures;
mod home;
mod reading;
mod record;
mod walk;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use probecost::schema::{Host, Portion};
use rayon::prelude::*;

use crate::failure::Failure;

pub use criterion::Samples;
pub use home::criterion_home;
pub use reading::{LONGEST_NS, Reading, Run, Time};
pub use record::{LOG, begun_in, numbered_in, partial, read as read_record, write as write_record};

/// All runs below the given places, in their order.
///
/// # Errors
/// A place that does not exist, cannot be read, or holds no benchmark, a run that lies at two of
/// them, or one that does not say where it comes from among such as do.
pub fn load_all(places: &[PathBuf]) -> Result<Vec<Run>, Failure> {
    let runs: Vec<Vec<Run>> = places
        .par_iter()
        .map(|p| load(p))
        .collect::<Result<_, _>>()?;
    let runs: Vec<Run> = runs.into_iter().flatten().collect();
    let mut seen = BTreeSet::new();
    for run in &runs {
        let path = (run.place.canonicalize()).map_err(|e| Failure::at(&run.place, e))?;
        if !seen.insert(path) {
            return Err(Failure::at(&run.place, "given twice, and it is one run")
                .remedy("--run with each run once"));
        }
    }
    // It would pass by what is asked of the others: one commit, one machine, a clean work tree.
    if let Some(run) = runs.iter().find(|run| run.record.is_none())
        && runs.iter().any(|run| run.record.is_some())
    {
        let why = "does not say where it comes from (no host.json), as the others do";
        return Err(Failure::at(&run.place, why).remedy("--run with those that `run` made"));
    }
    Ok(runs)
}

/// The runs at one place: a Criterion home, a directory of runs made by `compare run`,
/// or a file that critcmp exported.
fn load(place: &Path) -> Result<Vec<Run>, Failure> {
    let what = fs::metadata(place).map_err(|e| {
        Failure::at(place, e).remedy("cargo bench, or --run with a Criterion home of yours")
    })?;
    if what.is_file() {
        return Ok(vec![critcmp::read(place)?]);
    }
    let several = record::runs_in(place)?;
    if several.is_empty() {
        if let Some(partial) = record::unfinished_in(place) {
            let log = partial.join(record::LOG);
            return Err(Failure::at(place, "holds only a run that did not end well")
                .remedy(format!("less {}", log.display())));
        }
        return Ok(vec![load_home(place)?]);
    }
    several.par_iter().map(|run| load_home(run)).collect()
}

fn load_home(place: &Path) -> Result<Run, Failure> {
    let record = record::read(place)?;
    let found = walk::walk(place)?;
    let started = record.as_ref().map(|r| SystemTime::from(r.started));
    let (measured, counted) = rayon::join(
        || criterion::read(&found.criterion, started),
        || counts::read(&found.summaries),
    );
    let criterion::Results {
        mut readings,
        written,
        oldest,
    } = measured;
    readings.extend(counted);
    let mut figures = figures::read(place, started.or(oldest))?;
    for (id, count) in figures::take_counts(&mut figures) {
        let both = format!("{}: `{id}` is a benchmark and a figure", place.display());
        (readings.entry(id))
            .and_modify(|taken| *taken = Reading::Broken(both))
            .or_insert(count);
    }
    if readings.is_empty() && figures.is_empty() {
        return Err(Failure::at(
            place,
            "holds no benchmarks (no new/benchmark.json below it)",
        )
        .remedy("cargo bench, or --run with a Criterion home (target/criterion)"));
    }
    Ok(Run {
        place: place.to_owned(),
        record,
        readings,
        written,
        figures,
    })
}

/// The machine that all runs were made on, where they say.
///
/// # Errors
/// They were made on machines of more than one class, or one that was kept differently.
pub fn one_host<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Result<Option<Host>, Failure> {
    let mut hosts = runs
        .into_iter()
        .filter_map(|r| Some((r, &r.record.as_ref()?.host)));
    let Some((_, first)) = hosts.next() else {
        return Ok(None);
    };
    let mut unlike = hosts.map(|(run, host)| (run, first.unlike(host)));
    match unlike.find(|(_, reasons)| !reasons.is_empty()) {
        None => Ok(Some(first.clone())),
        Some((run, reasons)) => Err(Failure::at(
            &run.place,
            format!(
                "made on another machine than the first run, or one that was kept differently: {}",
                reasons.join("; ")
            ),
        )
        .remedy("judge the runs of each machine on their own")),
    }
}

/// The commit that all runs are of, where they say.
///
/// # Errors
/// They are of more than one.
pub fn one_commit(runs: &[Run]) -> Result<Option<String>, Failure> {
    let mut commits = runs.iter().filter_map(|r| Some(&r.record.as_ref()?.commit));
    let first = commits.next().cloned().flatten();
    match commits.find(|commit| **commit != first) {
        None => Ok(first),
        Some(other) => {
            let name = |commit: Option<String>| commit.unwrap_or("none".to_owned());
            Err(Failure::new(format!(
                "the runs are of two commits, {} and {}",
                name(first),
                name(other.clone())
            ))
            .remedy("take the runs of one of them alone"))
        }
    }
}

/// Which part of a suite all runs are of, where they are of one.
///
/// # Errors
/// They are of different ones.
pub fn one_portion(runs: &[Run]) -> Result<Option<&Portion>, Failure> {
    fn of(run: &Run) -> Option<&Portion> {
        run.record.as_ref()?.portion.as_ref()
    }
    let first = runs.first().and_then(of);
    match runs.iter().find(|run| of(run) != first) {
        None => Ok(first),
        Some(other) => Err(Failure::at(
            &other.place,
            "of another part of the suite than the first run",
        )
        .remedy("check the runs of each part on their own, then cargo compare merge")),
    }
}

/// The runs name no machine, whose baseline would be needed.
pub fn unknown_host() -> Failure {
    Failure::new("the runs do not say which machine made them")
        .remedy("--baseline FILE, or make them with `cargo compare run`")
}
