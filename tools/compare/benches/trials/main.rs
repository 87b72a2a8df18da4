//! Duets on projects made for them: how often they err, and how long they take.
//!
//!     cargo bench --package compare --bench trials -- [--at-most N] [KIND...]
//!
//! What was tried is kept in target/trials, a verdict each, and not tried again; the table
//! is of all that there is. `--at-most 0` shows it.

mod peers;
mod project;
mod trial;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use compare::failure::Failure;
use compare::share::Share;
use probecost::schema::Verdict;
use probecost::stats::median;

use project::Change;
use trial::{CRITERIONS, Kind, Trial};

#[derive(Debug, Parser)]
struct Args {
    /// What is tried [default: everything]
    kinds: Vec<Kind>,
    /// The most trials; those that are missing are made next time
    #[arg(long, value_name = "N")]
    at_most: Option<usize>,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<String, Failure> {
    let kinds = match args.kinds.is_empty() {
        true => &Kind::ALL[..],
        false => &args.kinds[..],
    };
    let tmp = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let place = tmp.with_file_name("trials");
    fs::create_dir_all(&place).map_err(|e| Failure::at(&place, e))?;
    let missing = kinds.iter().flat_map(|kind| kind.trials());
    let missing = missing.filter(|trial| !kept(&place, *trial).exists());
    for trial in missing.take(args.at_most.unwrap_or(usize::MAX)) {
        eprintln!("{}", trial.name());
        let verdict = trial.run(&place)?;
        keep(&kept(&place, trial), &verdict)?;
    }
    let mut done = Vec::new();
    for trial in kinds.iter().flat_map(|kind| kind.trials()) {
        if let Some(verdict) = read(&kept(&place, trial))? {
            done.push((trial, verdict));
        }
    }
    let mut text = table(&done);
    if kinds.contains(&Kind::Peers) {
        text += &peers::table(&place.join("peers"), args.at_most != Some(0))?;
    }
    Ok(text)
}

fn kept(place: &Path, trial: Trial) -> PathBuf {
    place.join(format!("{}.json", trial.name()))
}

fn keep(path: &Path, verdict: &Verdict) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(verdict).map_err(|e| Failure::at(path, e))?;
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|e| Failure::at(path, e))
}

fn read(path: &Path) -> Result<Option<Verdict>, Failure> {
    match fs::read_to_string(path) {
        Err(_) => Ok(None),
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| Failure::at(path, e)),
    }
}

/// A line for what was tried, as far as it was.
fn table(done: &[(Trial, Verdict)]) -> String {
    let mut text = "| trials | came right | rate (95 %) | measured, longest | built, middle |\n\
                    |:--|--:|--:|--:|--:|\n"
        .to_owned();
    let mut line = |what: &str, which: &dyn Fn(Trial) -> bool| {
        let these: Vec<&(Trial, Verdict)> = done.iter().filter(|(t, _)| which(*t)).collect();
        if these.is_empty() {
            return;
        }
        let share = Share::of(
            these
                .iter()
                .map(|(trial, verdict)| trial.right(&verdict.rows)),
        );
        let seconds = |of: fn(&Verdict) -> Option<f64>| -> Vec<f64> {
            these.iter().filter_map(|(_, v)| of(v)).collect()
        };
        let measured = seconds(|v| Some(v.duet.as_ref()?.measure_seconds));
        let built = seconds(|v| Some(v.duet.as_ref()?.build_seconds));
        text += &format!(
            "| {what} | {} | {} | {:.0} s | {:.0} s |\n",
            share.counts(),
            share.percent(),
            measured.into_iter().fold(0.0, f64::max),
            median(&built).unwrap_or(0.0),
        );
    };
    line(
        "a change that no benchmark should feel: nothing called",
        &|t| t.kind == Kind::Harmless,
    );
    line("+5 % in one of 30: named alone", &|t| {
        t.kind == Kind::Planted
    });
    line("100 behind 4 s of set-up: nothing called", &|t| {
        t.kind == Kind::SetUp
    });
    line("60 of a microsecond: nothing called", &|t| {
        t.kind == Kind::Quick
    });
    line("60 with times set in code: nothing called", &|t| {
        t.kind == Kind::Insisting
    });
    for version in CRITERIONS {
        line(&format!("Criterion {version}: nothing called"), &|t| {
            t.kind == Kind::Criterions && t.recipe().criterion == version
        });
    }
    for lto in [false, true] {
        for change in Change::ALL {
            let with = if lto { ", lto = true" } else { "" };
            line(&format!("by change: {}{with}", change.words()), &|t| {
                t.kind == Kind::Harmless && t.change() == change && t.recipe().lto == lto
            });
        }
    }
    text += &wrong(done);
    text
}

/// What came otherwise, by name; and what made all of it.
fn wrong(done: &[(Trial, Verdict)]) -> String {
    let mut text = String::new();
    for (trial, verdict) in done.iter().filter(|(t, v)| !t.right(&v.rows)) {
        let first = verdict.rows.iter().take(2).map(|row| {
            let change = row
                .change_pct
                .map_or("no figure".to_owned(), |c| format!("{c:+.1} %"));
            format!("{} {:?} {change} {}", row.id, row.status, row.reason)
        });
        let first: Vec<String> = first.collect();
        text += &format!("\n{}: {}\n", trial.name(), first.join("; "));
    }
    let commits: BTreeSet<&str> = (done.iter())
        .filter_map(|(_, v)| v.provenance.commit.as_deref())
        .map(|commit| &commit[..commit.len().min(7)])
        .collect();
    let commits: Vec<&str> = commits.into_iter().collect();
    text += &format!("\nMade by {}.\n", commits.join(", "));
    text
}
