//! `cargo compare selftest --duet`: how often `duet` errs, live, on this machine.
//!
//! Suites of a bench executable, or of this project's HEAD, against itself: by turns as it
//! is and with a slowdown that the bench plants in one of its benchmarks. Suites are
//! independent of each other, so their rates have exact intervals. Of a project, whose
//! functions can be laid out anew, one suite more: what a layout alone makes of it.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use probecost::schema::{GatePolicy, Status, Verdict, VerdictRow};
use probecost::stats::median;
use regex::Regex;
use serde::Serialize;

use super::format::SelftestFormat;
use crate::duet::{DuetRequest, Interrupt, Stage, Variation, What};
use crate::failure::Failure;
use crate::report::json;
use crate::share::Share;

/// What is planted, in percent.
const PERCENT: u32 = 5;

/// The longest that one process may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is asked.
pub struct LiveTest {
    /// What is held against itself: a bench executable that plants by
    /// `PROBECOST_PLANT_PCT`, or this project's HEAD.
    pub what: What,
    /// Suites of either kind.
    pub times: usize,
    /// Only benchmarks that match.
    pub only: Option<Regex>,
    /// Where the random order of the rounds starts; each suite has its own.
    pub seed: u64,
    /// What is written.
    pub format: SelftestFormat,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct LiveReport {
    schema: u32,
    /// What was held against itself.
    subject: String,
    benchmarks: usize,
    planted_pct: u32,
    /// Suites without a change in which any benchmark was called slower.
    false_alarms: Share,
    /// Planted slowdowns that were called.
    found: Share,
    /// Suites with one planted in which another was called slower.
    strays: Share,
    /// Suites that ended undecided.
    undecided: Share,
    /// What the planted ones were seen to be, in percent: the median.
    seen_pct: Option<f64>,
    /// Two layouts of one source against each other, where there can be two.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<LayoutSpread>,
    /// Machine time of a benchmark in a suite: the mean.
    seconds_per_benchmark: f64,
    /// The benchmarks whose slowdown was not called.
    missed: Vec<String>,
}

/// How far two layouts of one source lie apart.
#[derive(Debug, Serialize)]
struct LayoutSpread {
    /// The change of the middle benchmark, in percent, without its sign.
    median_pct: f64,
    /// That of the one that changes most.
    largest_pct: f64,
    /// Which one that is.
    largest: String,
    /// Benchmarks that would be called slower or faster, were the layouts not shared.
    called: usize,
    benchmarks: usize,
}

/// The suites so far.
#[derive(Default)]
struct Suites {
    unchanged: Vec<Verdict>,
    /// With the id that was planted in.
    planted: Vec<(String, Verdict)>,
    other_layout: Option<Verdict>,
}

/// Runs the suites, and says how often `duet` erred.
///
/// # Errors
/// The executable cannot be used, has no benchmarks, or plants nothing.
pub fn live(trial: &LiveTest) -> Result<String, Failure> {
    let interrupt = Interrupt::listen()?;
    let stage = Stage::set(&trial.what, &interrupt)?;
    let suites = run(trial, &stage, &interrupt)?;
    let report = report(trial, suites)?;
    match trial.format {
        SelftestFormat::Json => json(&report),
        SelftestFormat::Text => Ok(text(&report)),
    }
}

/// Suites of either kind by turns, so that both see the same hours of the machine; fewer
/// where somebody asks us to stop.
fn run(trial: &LiveTest, stage: &Stage, interrupt: &Interrupt) -> Result<Suites, Failure> {
    let mut suites = Suites::default();
    let bar = bar(2 * trial.times + usize::from(stage.has_layouts()));
    let suite = |k: usize, variation: &Variation| {
        let request = DuetRequest {
            only: trial.only.clone(),
            rounds: None,
            time: None,
            timeout: TIMEOUT,
            policy: GatePolicy::Strict,
            seed: trial.seed.wrapping_add(k as u64),
            shard: None,
            profile: None,
        };
        let verdict = stage.compare(&request, variation, interrupt);
        bar.inc(1);
        verdict
    };
    // What somebody cut short is no suite, and takes back none that is done.
    let mut done = 0;
    let mut whole = |made: Result<Verdict, Failure>| match interrupt.came() {
        true if done > 0 => Ok(None),
        true => made.and(Err(Failure::new("interrupted before a suite was done"))),
        false => {
            done += 1;
            made.map(Some)
        }
    };
    if stage.has_layouts() {
        suites.other_layout = whole(suite(0, &Variation::OtherLayout))?;
    }
    let mut all = Vec::new();
    for k in 0..trial.times {
        let Some(unchanged) = whole(suite(k, &Variation::None))? else {
            break;
        };
        match (
            ids(&unchanged, trial.subject()),
            suites.unchanged.is_empty(),
        ) {
            (Ok(ids), true) => all = ids,
            (Ok(_), false) => {}
            (Err(failure), true) => return Err(failure),
            // What is done stays done.
            (Err(failure), false) => {
                bar.suspend(|| eprintln!("suite {} is left out: {failure}", k + 1));
                continue;
            }
        }
        suites.unchanged.push(unchanged);
        let id = all[k % all.len()].clone();
        let variation = Variation::Planted {
            id: id.clone(),
            percent: PERCENT,
        };
        let Some(planted) = whole(suite(k, &variation))? else {
            break;
        };
        suites.planted.push((id, planted));
    }
    bar.finish_and_clear();
    Ok(suites)
}

impl LiveTest {
    /// What is held against itself, in words.
    fn subject(&self) -> &Path {
        match &self.what {
            What::Executables { head, .. } => head,
            What::Revisions { base, .. } => Path::new(base),
        }
    }
}

impl LayoutSpread {
    fn of(verdict: &Verdict) -> Option<Self> {
        let size = |row: &VerdictRow| Some((row.change_pct?.abs(), row.id.clone()));
        let mut sizes: Vec<(f64, String)> = verdict.rows.iter().filter_map(size).collect();
        sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let called = |row: &&VerdictRow| matches!(row.status, Status::Regressed | Status::Improved);
        let (largest_pct, largest) = sizes.last()?.clone();
        let all: Vec<f64> = sizes.iter().map(|(size, _)| *size).collect();
        Some(Self {
            median_pct: median(&all)?,
            largest_pct,
            largest,
            called: verdict.rows.iter().filter(called).count(),
            benchmarks: sizes.len(),
        })
    }
}

/// The benchmarks that raise alarms, in alphabetical order.
fn ids(verdict: &Verdict, executable: &Path) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    for row in &verdict.rows {
        match row.status {
            Status::Broken | Status::Missing | Status::Inconclusive if row.change_pct.is_none() => {
                let cause = format!("`{}`: {}", row.id, row.reason);
                return Err(Failure::at(executable, cause));
            }
            Status::Filtered => {}
            _ => ids.push(row.id.clone()),
        }
    }
    ids.sort();
    match ids.is_empty() {
        true => Err(
            Failure::at(executable, "lists no benchmarks as Criterion does")
                .remedy("cargo bench --no-run prints where the executables lie"),
        ),
        false => Ok(ids),
    }
}

fn report(trial: &LiveTest, mut suites: Suites) -> Result<LiveReport, Failure> {
    let slower = |row: &VerdictRow| row.status == Status::Regressed;
    let of = |id: &str, verdict: &Verdict| verdict.rows.iter().find(|r| r.id == id).cloned();
    let rows: Vec<VerdictRow> = (suites.planted.iter())
        .filter_map(|(id, verdict)| of(id, verdict))
        .collect();
    let seen: Vec<f64> = rows.iter().filter_map(|r| r.change_pct).collect();
    let seen_pct = median(&seen);
    // A bench that plants nothing would make the power look like none.
    let planted = |seen: f64| seen >= f64::from(PERCENT) / 3.0;
    let rows = match (seen_pct, &trial.what) {
        (Some(seen), What::Executables { head, .. }) if !planted(seen) => {
            return Err(Failure::at(
                head,
                format!(
                    "plants nothing: asked for +{PERCENT} %, it came out {seen:+.1} % slower in the middle"
                ),
            )
            .remedy("let the bench do so many percent more when PROBECOST_PLANT_PCT says so"));
        }
        (Some(seen), What::Revisions { .. }) if !planted(seen) => {
            suites.planted.clear();
            Vec::new()
        }
        _ => rows,
    };
    let seen_pct = seen_pct.filter(|seen| planted(*seen));
    let all = || {
        suites
            .unchanged
            .iter()
            .chain(suites.planted.iter().map(|(_, v)| v))
    };
    let measured = |verdict: &Verdict| verdict.rows.iter().filter(|r| r.paired.is_some()).count();
    let seconds: f64 = all()
        .filter_map(|verdict| Some(verdict.duet.as_ref()?.measure_seconds))
        .sum();
    let strays = |(id, verdict): &(String, Verdict)| {
        verdict.rows.iter().any(|row| row.id != *id && slower(row))
    };
    Ok(LiveReport {
        schema: 1,
        subject: trial.subject().display().to_string(),
        layout: suites.other_layout.as_ref().and_then(LayoutSpread::of),
        benchmarks: suites.unchanged.first().map_or(0, measured),
        planted_pct: PERCENT,
        false_alarms: Share::of(suites.unchanged.iter().map(|v| v.rows.iter().any(slower))),
        found: Share::of(rows.iter().map(slower)),
        strays: Share::of(suites.planted.iter().map(strays)),
        undecided: Share::of(all().map(|v| v.summary.inconclusive > 0)),
        seen_pct,
        seconds_per_benchmark: seconds / all().map(measured).sum::<usize>().max(1) as f64,
        missed: rows
            .into_iter()
            .filter(|r| !slower(r))
            .map(|r| r.id)
            .collect(),
    })
}

/// Markdown, which a terminal shows as well.
fn text(report: &LiveReport) -> String {
    let mut text = format!(
        "duet, {} against itself: {} benchmarks, {} suites without a change and {} with +{} % in one of them.\n\n\
         | suites | came | rate (95 %) |\n|:--|--:|--:|\n",
        report.subject,
        report.benchmarks,
        report.false_alarms.of,
        report.found.of,
        report.planted_pct,
    );
    for (name, share) in [
        (
            "without a change: false alarm".to_owned(),
            &report.false_alarms,
        ),
        (format!("+{} %: found", report.planted_pct), &report.found),
        (
            format!("+{} %: another one called", report.planted_pct),
            &report.strays,
        ),
        ("either: undecided".to_owned(), &report.undecided),
    ] {
        if share.of == 0 {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {name} | {} | {} |",
            share.counts(),
            share.percent()
        );
    }
    if let Some(layout) = &report.layout {
        let _ = writeln!(
            text,
            "\nLayout: two layouts of one source lie {:.1} % apart in the middle, at most {:.1} % ({}); \
             {} of {} would be called. Base and head share theirs.",
            layout.median_pct, layout.largest_pct, layout.largest, layout.called, layout.benchmarks
        );
    }
    if let Some(seen) = report.seen_pct {
        let _ = write!(
            text,
            "\nThe planted ones came out {seen:+.1} % slower in the middle. "
        );
    }
    let _ = writeln!(
        text,
        "A benchmark took {:.1} s of the machine on average.",
        report.seconds_per_benchmark
    );
    if !report.missed.is_empty() {
        let _ = writeln!(text, "Not found: {}.", report.missed.join(", "));
    }
    text
}

fn bar(suites: usize) -> ProgressBar {
    let bar = ProgressBar::new(suites as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} suites, {eta} left") {
        bar.set_style(style);
    }
    bar
}
