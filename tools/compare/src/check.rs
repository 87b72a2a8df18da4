//! `compare check`: runs against a baseline.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use probecost::gate::Gate;
use probecost::host::Host;
use regex::Regex;

use crate::baseline::Baseline;
use crate::budget;
use crate::decide::shared_shift;
use crate::failure::Failure;
use crate::input::{self, Run};
use crate::repository;
use crate::rows::{Rules, rows};
use crate::terms::Terms;
use crate::verdict::{Against, Policy, Row, Status, Summary, Verdict};

/// Where baselines lie when nobody says otherwise.
pub const BASELINES: &str = "baselines";

/// Where `cargo bench` leaves its results.
const CRITERION_HOME: &str = "target/criterion";

/// What is asked.
pub struct Question {
    /// The baseline's file; else the one of the runs' host class.
    pub baseline: Option<PathBuf>,
    /// Where the runs lie; else where `cargo bench` left one.
    pub runs: Vec<PathBuf>,
    /// The commit whose baseline is meant.
    pub against: Option<String>,
    /// How strictly to judge.
    pub policy: Policy,
    /// Only what matches.
    pub only: Option<Regex>,
}

/// load → match host → estimate → decide → verdict.
///
/// # Errors
/// A file that is needed cannot be used.
pub fn check(question: &Question) -> Result<Verdict, Failure> {
    let runs = load(&question.runs)?;
    let host = match one_host(&runs)? {
        Some(host) => Some(host),
        // Nobody copied these here: `cargo bench` has just made them.
        None if question.runs.is_empty() => Host::read().ok(),
        None => None,
    };
    let path = match &question.baseline {
        Some(path) => path.clone(),
        None => baseline_for(host.as_ref())?,
    };
    let (baseline, commit) = load_baseline(&path, question.against.as_deref())?;
    let gate = gate_beside(&path)?;
    let mut notes = Vec::new();
    let other_machine = match (&host, &baseline.host) {
        (Some(ours), Some(theirs)) if ours.class() != theirs.class() => {
            Some(theirs.difference(ours).join("; "))
        }
        (Some(_), Some(_)) => None,
        _ => {
            notes.push(
                "Not both sides say which machine they were measured on: taken to be the same one."
                    .to_owned(),
            );
            None
        }
    };
    let terms = Terms::of(&gate, question.policy)?;
    let rules = Rules {
        terms: &terms,
        only: question.only.as_ref(),
        other_machine: other_machine.as_deref(),
    };
    let rows = rows(&baseline, &runs, &rules)?;
    let known: BTreeSet<&str> = baseline.benchmarks.keys().map(String::as_str).collect();
    let budgets = budget::judge(&gate.budgets, &known, &runs, question.only.as_ref())?;
    notes.extend(remarks(&runs, &rows, &gate));
    notes.extend(budget::remark(&budgets));
    let summary = Summary::of(&rows);
    let changes: Vec<f64> = timed(&rows).filter_map(|r| r.change_pct).collect();
    Ok(Verdict {
        schema: 1,
        policy: question.policy,
        host,
        baseline: Against {
            file: path.display().to_string(),
            commit,
            host: baseline.host.as_ref().map(Host::class),
            runs: baseline.runs(),
        },
        duet: None,
        exit: summary.exit(&budgets, question.policy),
        summary,
        shift: shared_shift(&changes, terms.usual_threshold_pct()),
        notes,
        rows,
        budgets,
    })
}

fn load(places: &[PathBuf]) -> Result<Vec<Run>, Failure> {
    match places {
        [] => input::load_all(&[PathBuf::from(CRITERION_HOME)]),
        places => input::load_all(places),
    }
}

/// The machine that all runs were made on, where they say.
///
/// # Errors
/// They were made on machines of more than one class.
pub fn one_host<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Result<Option<Host>, Failure> {
    let mut hosts = runs
        .into_iter()
        .filter_map(|r| Some((r, &r.record.as_ref()?.host)));
    let Some((_, first)) = hosts.next() else {
        return Ok(None);
    };
    match hosts.find(|(_, host)| host.class() != first.class()) {
        None => Ok(Some(first.clone())),
        Some((run, other)) => Err(Failure::at(
            &run.place,
            format_args!(
                "made on another machine than the first run: {}",
                first.difference(other).join("; ")
            ),
        )
        .remedy("judge the runs of each machine on their own")),
    }
}

/// The baseline of this host class or, where there is none, the newest of another one.
///
/// # Errors
/// No host is given, or there is no baseline at all.
pub fn baseline_for(host: Option<&Host>) -> Result<PathBuf, Failure> {
    let host = host.ok_or_else(|| {
        Failure::new("the runs do not say which machine made them")
            .remedy("--baseline FILE, or make them with `cargo compare run`")
    })?;
    let directory = Path::new(BASELINES);
    let own = directory.join(format!("{}.json", host.class()));
    if own.exists() {
        return Ok(own);
    }
    let others = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let baseline = Baseline::load(&path).ok()?;
            Some((baseline.sessions.last()?.date, path))
        });
    others.max().map(|(_, path)| path).ok_or_else(|| {
        Failure::at(&own, "no baseline for this class of machine, nor for any other")
            .remedy("cargo compare run --times 10 --out DIR -- cargo bench && cargo compare refresh --run DIR")
    })
}

fn load_baseline(
    path: &Path,
    against: Option<&str>,
) -> Result<(Baseline, Option<String>), Failure> {
    let Some(revision) = against else {
        let baseline = Baseline::load(path)?;
        let commit = baseline.sessions.last().and_then(|s| s.commit.clone());
        return Ok((baseline, commit));
    };
    let (bytes, commit) = repository::file_at(path, revision)?;
    let baseline = Baseline::parse(&bytes)
        .map_err(|cause| Failure::new(format!("{revision}:{}: {cause}", path.display())))?;
    Ok((baseline, Some(commit)))
}

/// The gate.toml beside a baseline, or the shipped one.
///
/// # Errors
/// There is one, and it cannot be used.
pub fn gate_beside(baseline: &Path) -> Result<Gate, Failure> {
    let path = baseline.with_file_name("gate.toml");
    match path.exists() {
        true => Gate::load(&path).map_err(|e| Failure::new(e.to_string())),
        false => Ok(Gate::shipped()),
    }
}

/// The rows that were decided by their times.
fn timed(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|r| r.ci_pct.is_some())
}

/// What a reader of the whole verdict should know.
fn remarks(runs: &[Run], rows: &[Row], gate: &Gate) -> Vec<String> {
    let mut remarks = Vec::new();
    let disturbed: Vec<String> = runs
        .iter()
        .filter_map(|run| {
            let why = run.record.as_ref()?.surroundings.disturbances();
            (!why.is_empty()).then(|| format!("{} ({})", run.place.display(), why.join(", ")))
        })
        .collect();
    if !disturbed.is_empty() {
        remarks.push(format!(
            "{} of {} runs were disturbed: {}.",
            disturbed.len(),
            runs.len(),
            disturbed.join("; ")
        ));
    }
    let judged = timed(rows).count();
    if judged > 0 {
        remarks.push(format!(
            "{judged} times judged together: chance alone is allowed {} % of unchanged suites (Holm); \
             cargo compare selftest measures how few it gets.",
            100.0 * gate.times.family_error
        ));
    }
    if judged > 0 && runs.len() < 3 {
        remarks.push(
            "Few runs see only large changes. For more: cargo compare run --times 5 --out DIR -- cargo bench, \
             and check with --run DIR."
                .to_owned(),
        );
    }
    if rows.iter().any(|r| r.status == Status::Incomparable) {
        remarks.push(
            "Measured on another machine than the baseline: only ratios within a run and counts were judged."
                .to_owned(),
        );
    }
    remarks
}
