//! `compare check`: runs against a baseline.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use probecost::gate::Gate;
use probecost::host::provenance;
use probecost::schema::{
    BaselineUsed, GatePolicy, Host, Outcome, ShardPart, Status, Summary, Verdict, VerdictRow,
};
use regex::Regex;

use crate::baseline::Baseline;
use crate::baselines;
use crate::budget;
use crate::decide::shared_shift;
use crate::failure::Failure;
use crate::input::{self, Run};
use crate::probes::Machine;
use crate::report::OutputArgs;
use crate::repository;
use crate::rows::{JudgedRows, Rules, rows};
use crate::shard;
use crate::thresholds::{Thresholds, policy};
use crate::verdict::{changes_pct, timed};

/// `cargo compare check`
#[derive(Debug, Args)]
#[command(after_help = crate::EXIT_CODES)]
pub struct CheckArgs {
    /// The baseline [default: baselines/<host class>.json]
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Criterion homes, directories of runs, or files from `critcmp --export`
    /// [default: where `cargo bench` leaves them]
    #[arg(long = "run", value_name = "DIR", num_args = 1..)]
    pub runs: Vec<PathBuf>,
    /// The baseline of this release
    #[arg(long, value_name = "NAME", conflicts_with = "baseline")]
    pub tag: Option<String>,
    /// Take the baseline's file from this commit
    #[arg(long, value_name = "REV")]
    pub against: Option<String>,
    /// How strictly to judge
    #[arg(long, value_parser = policy(), default_value = "strict")]
    pub policy: GatePolicy,
    /// Only benchmarks that match
    #[arg(long, value_name = "REGEX")]
    pub only: Option<Regex>,
    /// Take a budget of which nothing was measured for broken, as where all targets ran
    #[arg(long)]
    pub all_budgets: bool,
    /// How and where the verdict is written.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// load → match host → estimate → decide → verdict.
///
/// # Errors
/// A file that is needed cannot be used.
pub fn check(args: &CheckArgs) -> Result<Verdict, Failure> {
    let runs = load(&args.runs)?;
    input::one_commit(&runs)?;
    let host = match input::one_host(&runs)? {
        Some(host) => Some(host),
        // Nobody copied these here: `cargo bench` has just made them.
        None if args.runs.is_empty() => Host::read().ok(),
        None => None,
    };
    let path = match &args.baseline {
        Some(path) => path.clone(),
        None => {
            let host = host.as_ref().ok_or_else(input::unknown_host)?;
            let own = baselines::own(host);
            match (&args.tag, &args.against) {
                (Some(tag), _) => baselines::of_release(host, tag)?,
                // The work tree may have none of this class, or only others.
                (None, Some(revision)) => match repository::file_at(&own, revision) {
                    Ok(_) => own,
                    Err(_) => baselines::nearest(host).unwrap_or(own),
                },
                (None, None) => baselines::nearest(host)?,
            }
        }
    };
    let (baseline, commit) = load_baseline(&path, args.against.as_deref())?;
    let gate = baselines::gate(Some(&path))?;
    let mut notes = Vec::new();
    let other_machine = baseline.other_machine(host.as_ref());
    match (&host, &baseline.host) {
        (Some(ours), Some(theirs)) if ours.class() == theirs.class() => {
            notes.extend(unknown_settings(ours, theirs));
        }
        (Some(_), Some(_)) => {}
        _ => notes.push(
            "Not both sides say which machine they were measured on: taken to be the same one."
                .to_owned(),
        ),
    }
    let thresholds = Thresholds::of(&gate, args.policy)?;
    let machine = Machine::of(
        &baseline,
        &runs,
        &gate.times,
        thresholds.usual_threshold_pct(),
    );
    let portion = input::one_portion(&runs)?;
    let rules = Rules {
        thresholds: &thresholds,
        only: args.only.as_ref(),
        other_machine: other_machine.as_deref(),
        machine: &machine,
        portion,
    };
    let JudgedRows { rows, evidence } = rows(&baseline, &runs, &rules)?;
    let known = baseline.benchmarks.keys();
    let mut known: BTreeSet<&str> = (known.chain(portion.iter().flat_map(|p| &p.suite)))
        .map(String::as_str)
        .collect();
    // What has no name to ask for is the first shard's, which finds the misspelt ones as well.
    if portion.is_some_and(|portion| portion.shard.index() > 1) {
        known.extend(gate.budgets.keys().map(String::as_str));
    }
    let mut budgets = budget::judge(&gate.budgets, &known, &runs, args.only.as_ref())?;
    // What each shard measures, such as what lists no benchmarks, is the first one's.
    budgets.retain(|budget| {
        budget.verdict == Outcome::Skipped || portion.is_none_or(|p| p.has(&budget.id))
    });
    // What this shard did not measure another one may have: `merge` insists.
    if args.all_budgets && portion.is_none() {
        budget::insist(&mut budgets);
    }
    let part = portion.map(|portion| ShardPart {
        portion: portion.clone(),
        plan: shard::plan_of_runs(&runs, &gate, args),
        evidence,
    });
    if other_machine.is_none() {
        notes.extend(machine.remark(&baseline, &runs));
    }
    notes.extend(remarks(&runs, &rows, &gate));
    if other_machine.is_some() && rows.iter().any(|r| r.status == Status::Incomparable) {
        notes.push(
            "Not the machine of the baseline: of what is incomparable only ratios within a run and counts were judged."
                .to_owned(),
        );
    }
    notes.extend(budget::remark(&budgets));
    let summary = Summary::of(&rows);
    if summary.only_new() {
        let append = match baseline.benchmarks.is_empty() {
            true => "",
            false => " --append",
        };
        notes.push(format!(
            "Nothing of what was measured is in the baseline; refresh it: cargo compare refresh \
             --run DIR... --out {}{append}",
            path.display()
        ));
    }
    let changes = changes_pct(&rows);
    Ok(Verdict {
        schema: Verdict::SCHEMA,
        provenance: provenance(),
        policy: args.policy,
        host,
        baseline: BaselineUsed {
            file: path.display().to_string(),
            commit,
            host: baseline.host.as_ref().map(Host::class),
            runs: baseline.runs(),
            digest: Some(baseline.digest().map_err(|e| Failure::at(&path, e))?),
        },
        duet: None,
        exit: match part {
            None => Verdict::exit_of(&rows, &budgets, args.policy),
            Some(_) => Verdict::exit_of_part(&rows, &budgets, args.policy),
        },
        summary,
        shift: shared_shift(&changes, thresholds.usual_threshold_pct()),
        notes,
        probes: machine.probes,
        rows,
        budgets,
        shard: part,
        merged: Vec::new(),
    })
}

fn load(places: &[PathBuf]) -> Result<Vec<Run>, Failure> {
    match places {
        [] => input::load_all(&[input::criterion_home()]),
        places => input::load_all(places),
    }
}

/// What changes times, and cannot be compared because a side does not say it.
fn unknown_settings(ours: &Host, theirs: &Host) -> Option<String> {
    let mut unknown = ours.unknown_settings();
    unknown.extend(theirs.unknown_settings());
    unknown.sort_unstable();
    unknown.dedup();
    (!unknown.is_empty()).then(|| {
        format!(
            "Not both sides say how their machine is kept: whether it is the same cannot be \
             known of {}.",
            unknown.join(", ")
        )
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
    let baseline = Baseline::parse(&bytes).map_err(|cause| {
        Failure::new(format!("{revision}:{}: {cause}", path.display())).remedy(format!(
            "--against another of git log --oneline -- {}, or leave it out",
            path.display()
        ))
    })?;
    Ok((baseline, Some(commit)))
}

/// What a reader of the whole verdict should know.
fn remarks(runs: &[Run], rows: &[VerdictRow], gate: &Gate) -> Vec<String> {
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
    let mut edits = runs
        .iter()
        .filter_map(|run| Some(&run.record.as_ref()?.edits));
    let first = edits.next();
    if edits.any(|edits| Some(edits) != first) {
        remarks.push(
            "The work tree changed between these runs: they may not be of one program.".to_owned(),
        );
    }
    let judged = judged_together(rows, gate);
    let few = judged.is_some() && runs.len() < 3;
    remarks.extend(judged);
    if few {
        remarks.push(
            "Few runs see only large changes. For more: cargo compare run --times 5 --out DIR -- cargo bench, \
             and check with --run DIR."
                .to_owned(),
        );
    }
    remarks
}

/// How many times were judged together, and what chance is allowed among them.
pub fn judged_together(rows: &[VerdictRow], gate: &Gate) -> Option<String> {
    let judged = timed(rows).count();
    (judged > 0).then(|| {
        format!(
            "{judged} times judged together: chance alone is allowed {} % of unchanged suites (Holm); \
             cargo compare selftest measures how few it gets.",
            100.0 * gate.times.family_error
        )
    })
}
