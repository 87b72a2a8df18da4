//! The versions of a baseline, read as a series for each benchmark.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use probecost::schema::{Host, Unit};
use probecost::stats::quantile;
use rayon::prelude::*;
use serde::Serialize;

use super::machine;
use crate::baseline::{Baseline, Session};
use crate::repository::Version;

/// Runs that a commit brought into the baseline.
#[derive(Debug, Serialize)]
pub struct Refresh {
    /// The commit that brought them.
    pub commit: String,
    /// When the baseline took them in.
    pub date: Timestamp,
    /// The reason given.
    pub why: String,
    /// How many runs there are.
    pub runs: usize,
    /// The commit that was measured, where it is known.
    pub measured: Option<String>,
    /// Whether the work tree differed from that commit.
    pub dirty: bool,
    /// What `rustc --version` said.
    pub toolchain: Option<String>,
    /// What is not as it was at the refresh before: the toolchain, and all that is known of
    /// the machine.
    pub changed: Vec<String>,
}

/// A benchmark from refresh to refresh.
#[derive(Debug, Serialize)]
pub struct BenchmarkSeries {
    /// Its name.
    pub id: String,
    /// What its values count.
    pub unit: Unit,
    /// What was measured, oldest first; never empty.
    pub points: Vec<Point>,
    /// The first refresh whose baseline has it no longer.
    pub ended: Option<usize>,
}

/// What a refresh says of a benchmark, in the benchmark's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Which refresh it is of.
    pub refresh: usize,
    /// The median over its runs.
    pub value: f64,
    /// The lower quartile of its runs.
    pub lo: f64,
    /// The upper quartile.
    pub hi: f64,
}

/// A session of a version.
struct Measured<'a> {
    commit: &'a str,
    session: Session,
    host: Option<Host>,
    /// The runs of each benchmark that the baseline has, none where this session left it out.
    runs: BTreeMap<(String, Unit), Vec<f64>>,
}

/// The refreshes, oldest first, the series in the order of their names, and a remark for each
/// version that cannot be read.
pub fn gather(versions: &[Version]) -> (Vec<Refresh>, Vec<BenchmarkSeries>, Vec<String>) {
    let read: Vec<_> = versions.par_iter().map(measured).collect();
    let mut sessions: Vec<Measured> = Vec::new();
    let mut remarks = Vec::new();
    for (version, read) in versions.iter().zip(read) {
        match read {
            Ok(read) => {
                let newest = read.len() - 1;
                for (k, new) in read.into_iter().enumerate() {
                    // A reason that was mended, or an older session edited: nothing was measured.
                    let is_known = sessions.iter().any(|old| match k == newest {
                        true => same_runs(old, &new),
                        false => old.session.date == new.session.date,
                    });
                    sessions.extend((!is_known).then_some(new));
                }
            }
            Err(cause) => {
                let commit = short(&version.commit);
                remarks.push(format!(
                    "The baseline of commit {commit} is left out: {cause}."
                ));
            }
        }
    }
    (refreshes(&sessions), series(&sessions), remarks)
}

/// The first characters of a commit's name.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// The sessions of a version, oldest first, at least one.
fn measured(version: &Version) -> Result<Vec<Measured<'_>>, String> {
    let baseline = Baseline::parse(&version.bytes)?;
    let medians: BTreeMap<(String, Unit), Vec<Vec<f64>>> = (baseline.benchmarks.into_iter())
        .map(|(id, history)| ((id, history.unit), history.medians()))
        .collect();
    let of_session = |k: usize| {
        let runs = |sessions: &Vec<Vec<f64>>| sessions.get(k).cloned().unwrap_or_default();
        let all = medians
            .iter()
            .map(|(key, sessions)| (key.clone(), runs(sessions)));
        all.collect()
    };
    let sessions: Vec<_> = (baseline.sessions.into_iter().enumerate())
        .map(|(k, session)| Measured {
            commit: &version.commit,
            session,
            host: baseline.host.clone(),
            runs: of_session(k),
        })
        .collect();
    match sessions.is_empty() {
        true => Err("it has no session".into()),
        false => Ok(sessions),
    }
}

fn same_runs(old: &Measured, new: &Measured) -> bool {
    old.session.date == new.session.date && old.runs == new.runs
}

fn refreshes(sessions: &[Measured]) -> Vec<Refresh> {
    let mut refreshes = Vec::new();
    // As the sessions before said last: not each of them says it.
    let (mut toolchain, mut host) = (None, None);
    for new in sessions {
        let session = &new.session;
        let mut changed = Vec::new();
        if let (Some(old), Some(new)) = (toolchain, &session.toolchain)
            && old != new
        {
            changed.push(format!("toolchain: {old} → {new}"));
        }
        if let (Some(old), Some(new)) = (host, &new.host) {
            changed.extend(machine::differences(old, new));
        }
        toolchain = session.toolchain.as_ref().or(toolchain);
        host = new.host.as_ref().or(host);
        refreshes.push(Refresh {
            commit: new.commit.to_owned(),
            date: session.date,
            why: session.why.clone(),
            runs: session.runs,
            measured: session.commit.clone(),
            dirty: session.dirty,
            toolchain: session.toolchain.clone(),
            changed,
        });
    }
    refreshes
}

/// A series for each benchmark in each unit: where a benchmark is counted in another unit, one
/// series ends and another begins.
fn series(sessions: &[Measured]) -> Vec<BenchmarkSeries> {
    let keys: BTreeSet<_> = sessions.iter().flat_map(|s| s.runs.keys()).collect();
    let series = keys.into_iter().map(|key| {
        let points = sessions
            .iter()
            .enumerate()
            .filter_map(|(refresh, session)| {
                let runs = session.runs.get(key)?;
                Some(Point {
                    refresh,
                    value: quantile(runs, 0.5)?,
                    lo: quantile(runs, 0.25)?,
                    hi: quantile(runs, 0.75)?,
                })
            });
        let last = sessions.iter().rposition(|s| s.runs.contains_key(key));
        BenchmarkSeries {
            id: key.0.clone(),
            unit: key.1,
            points: points.collect(),
            ended: last.map(|k| k + 1).filter(|k| *k < sessions.len()),
        }
    });
    // A baseline may hold runs of an older session only.
    series.filter(|s| !s.points.is_empty()).collect()
}
