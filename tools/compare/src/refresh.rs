//! `compare refresh`: runs become a baseline.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::Cell;
use jiff::Timestamp;
use probecost::file;
use probecost::schema::{GatePolicy, Host, Status, Unit, VerdictRow};
use probecost::stats::{CONFIDENCE, Reference, median};

use crate::baseline::{Baseline, BenchmarkRuns, Session};
use crate::baselines;
use crate::failure::Failure;
use crate::input::{self, Reading, Run};
use crate::probes::{self, Machine, taken_pct};
use crate::report;
use crate::repository;
use crate::rows::{Rules, rows};
use crate::thresholds::Thresholds;
use crate::verdict::thousandths;

/// Fewer runs show no spread worth the name.
const FEWEST_RUNS: usize = 5;

/// How many runs a change is looked for with, where the size is stated that can be seen.
const RUNS_OF_A_CHECK: usize = 5;

/// `cargo compare refresh`
#[derive(Debug, Args)]
pub struct RefreshArgs {
    /// Criterion homes, directories of runs, or files from `critcmp --export`
    #[arg(long = "run", value_name = "DIR", num_args = 1.., required = true)]
    pub runs: Vec<PathBuf>,
    /// The baseline [default: baselines/<host class>.json]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// As the baseline of this release, whose commit the runs must be of
    #[arg(long, value_name = "NAME", conflicts_with_all = ["out", "append"])]
    pub tag: Option<String>,
    /// The reason, kept in the baseline
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Take runs of a work tree that differs from its commit; not among the committed ones
    #[arg(long)]
    pub allow_dirty: bool,
    /// Add the runs as one more session instead of starting anew
    #[arg(long)]
    pub append: bool,
}

/// Writes the baseline and says, as text, what it changes and what it can see.
///
/// # Errors
/// Too few runs or unusable ones, a dirty tree, or a file that cannot be written.
pub fn refresh(args: &RefreshArgs) -> Result<String, Failure> {
    let runs = input::load_all(&args.runs)?;
    if runs.len() < FEWEST_RUNS {
        return Err(Failure::new(format!(
            "{} runs; a baseline needs {FEWEST_RUNS}, and 10 see smaller changes",
            runs.len()
        ))
        .remedy("cargo compare run --times 10 --out DIR -- cargo bench"));
    }
    if let Some(portion) = input::one_portion(&runs)? {
        let shard = portion.shard;
        return Err(Failure::new(format!(
            "the runs are of part {shard}, a baseline is of all"
        ))
        .remedy("cargo compare run without --shard"));
    }
    let host = input::one_host(&runs)?;
    let path = match (&args.out, &host, &args.tag) {
        (Some(path), ..) => path.clone(),
        (None, Some(host), Some(tag)) => baselines::of_release(host, tag)?,
        (None, Some(host), None) => baselines::own(host),
        (None, None, _) => {
            return Err(Failure::new("the runs do not say which machine made them")
                .remedy("--out FILE, or make them with `cargo compare run`"));
        }
    };
    let gate = baselines::gate(Some(&path))?;
    let session = session(&runs, args, &path)?;
    if let Some(tag) = &args.tag {
        of_that_release(tag, session.commit.as_deref())?;
    }
    let old = match path.exists() {
        true => Some(Baseline::load(&path).map_err(|e| {
            let file = path.display();
            e.remedy(format!("git checkout {file}, or rm {file} to begin anew"))
        })?),
        false => None,
    };
    let thresholds = Thresholds::of(&gate, GatePolicy::Strict)?;
    // What cannot be said of the old one must not be found out once it is gone.
    let moved = match &old {
        Some(old) => moved(old, &runs, host.as_ref(), &thresholds)?,
        None => String::new(),
    };
    let mut baseline = match (&old, args.append) {
        (Some(old), true) => same_machine(old, host, &path)?,
        (None, true) => {
            return Err(Failure::at(&path, "no baseline to append to").remedy("leave out --append"));
        }
        (_, false) => Baseline::new(host),
    };
    add(&mut baseline, session, &runs)?;
    let text = baseline.text().map_err(|e| Failure::at(&path, e))?;
    // What nobody can read must not take the place of what everybody can.
    Baseline::parse(text.as_bytes()).map_err(|cause| {
        Failure::at(&path, format!("not written: {cause}"))
            .remedy("cargo compare run --times 10 --out DIR -- cargo bench")
    })?;
    file::replace(&path, text.as_bytes())?;

    let runs_in_all = baseline.runs();
    let sessions = baseline.sessions.len();
    let mut said = format!(
        "{}: {} benchmarks, {runs_in_all} runs in {sessions} session{}\n",
        path.display(),
        baseline.benchmarks.len(),
        if sessions == 1 { "" } else { "s" },
    );
    said += &moved;
    said += &sight(&baseline, &thresholds);
    Ok(said)
}

/// What is noted of the runs as a whole.
fn session(runs: &[Run], args: &RefreshArgs, path: &Path) -> Result<Session, Failure> {
    let records: Vec<_> = runs.iter().filter_map(|r| r.record.as_ref()).collect();
    let (commit, changed) = match records.first() {
        Some(_) => {
            let dirty = records.iter().find(|r| r.dirty);
            (
                input::one_commit(runs)?,
                dirty.map(|_| "when the runs were made".to_owned()),
            )
        }
        // Runs that say nothing of where they come from are taken to be of this work tree.
        None => match repository::head(Path::new("."))? {
            None => (None, None),
            Some(head) => {
                let ours =
                    |file: &&String| !path.ends_with(file) && !Path::new(file).ends_with(path);
                let changed = head
                    .changed
                    .iter()
                    .find(ours)
                    .map(|file| format!("in {file}"));
                (Some(head.commit), changed)
            }
        },
    };
    if let Some(place) = changed.as_ref().filter(|_| !args.allow_dirty) {
        return Err(Failure::new(format!(
            "the work tree differed from its commit {place}: nobody could make this baseline again"
        ))
        .remedy("git commit, or --allow-dirty"));
    }
    if changed.is_some() && baselines::is_committed(path) {
        return Err(Failure::at(
            path,
            "a baseline that others will be held to comes of a commit, and the work tree differed",
        )
        .remedy("git commit and measure again, or --out FILE elsewhere"));
    }
    Ok(Session {
        date: Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_default(),
        runs: runs.len(),
        commit,
        dirty: changed.is_some(),
        toolchain: records.first().and_then(|r| r.toolchain.clone()),
        taken_pct: taken_pct(runs).map(thousandths),
        why: args.why.clone().unwrap_or_else(|| "not stated".into()),
    })
}

/// A release's baseline is of the release, and not of what lies around it.
fn of_that_release(tag: &str, commit: Option<&str>) -> Result<(), Failure> {
    let released = repository::commit_of(Path::new("."), tag)?;
    match commit {
        Some(commit) if commit == released => Ok(()),
        other => Err(Failure::new(format!(
            "{tag} is {released}, and the runs are of {}",
            other.unwrap_or("no commit that they know")
        ))
        .remedy(format!("git switch --detach {tag}, and measure there"))),
    }
}

fn same_machine(old: &Baseline, host: Option<Host>, path: &Path) -> Result<Baseline, Failure> {
    match (&old.host, &host) {
        (Some(theirs), Some(ours)) if theirs.class() != ours.class() => Err(Failure::at(
            path,
            format!("of another machine: {}", theirs.difference(ours).join("; ")),
        )
        .remedy("leave out --out: each class of machine has a baseline of its own")),
        (Some(theirs), Some(ours)) if !theirs.kept_differently(ours).is_empty() => {
            let reasons = theirs.kept_differently(ours).join("; ");
            Err(Failure::at(
                path,
                format!("of a machine that was kept differently: {reasons}"),
            )
            .remedy("keep it as it was, or leave out --append"))
        }
        _ => {
            let mut baseline = old.clone();
            baseline.host = baseline.host.or(host);
            Ok(baseline)
        }
    }
}

/// Adds the runs to the baseline as its newest session.
fn add(baseline: &mut Baseline, session: Session, runs: &[Run]) -> Result<(), Failure> {
    let earlier: Vec<usize> = baseline.sessions.iter().map(|s| s.runs).collect();
    let measured = measured(runs)?;
    if measured.is_empty() {
        return Err(Failure::new(
            "the runs hold no times and no counts; other figures are held to budgets alone",
        )
        .remedy("cargo compare run --times 10 --out DIR -- cargo bench"));
    }
    if let Some((run, session)) = twin(baseline, &measured) {
        let (place, date) = (&runs[run].place, session.date);
        let why = format!("the session of {date} has this very run");
        return Err(
            Failure::at(place, why).remedy("--append with runs that the baseline has not yet")
        );
    }
    for (id, new) in &measured {
        let gaps = || BenchmarkRuns::gaps(new.unit, earlier.iter().copied());
        let old = baseline.benchmarks.entry(id.clone()).or_insert_with(gaps);
        if old.unit != new.unit {
            let (new, old) = (new.unit.name(), old.unit.name());
            return Err(Failure::new(format!(
                "`{id}` is counted in {new}, in the baseline in {old}"
            ))
            .remedy("leave out --append"));
        }
    }
    for (id, old) in &mut baseline.benchmarks {
        let new = match measured.get(id) {
            Some(new) => new.clone(),
            None => BenchmarkRuns::gaps(old.unit, [runs.len()].into_iter()),
        };
        old.median.extend(new.median);
        old.p10.extend(new.p10);
    }
    // Those that another version of this program took as well.
    let mut names: BTreeSet<String> = baseline.probes.keys().cloned().collect();
    names.extend(probes::ALL.iter().map(|probe| probe.name.to_owned()));
    for name in names {
        let taken: Vec<Option<f64>> = runs
            .iter()
            .map(|run| run.probe(&name).map(six_digits))
            .collect();
        if baseline.probes.contains_key(&name) || taken.iter().any(Option::is_some) {
            let gaps = || earlier.iter().map(|runs| vec![None; *runs]).collect();
            let table = baseline.probes.entry(name);
            table.or_insert_with(gaps).push(taken);
        }
    }
    baseline.sessions.push(session);
    Ok(())
}

/// A run that the baseline has already, and in which session: of two runs medians and tenths
/// are never all the same to the last digit, as counts are.
fn twin<'a>(
    baseline: &'a Baseline,
    measured: &BTreeMap<String, BenchmarkRuns>,
) -> Option<(usize, &'a Session)> {
    let timed = |(_, new): &(&String, &BenchmarkRuns)| new.unit == Unit::Ns;
    let times: Vec<_> = measured.iter().filter(timed).collect();
    let runs = times.iter().map(|(_, new)| new.median[0].len()).max()?;
    let figures = |of: &BenchmarkRuns, session: usize, run: usize| {
        Some((
            (*of.median.get(session)?.get(run)?)?,
            *of.p10.get(session)?.get(run)?,
        ))
    };
    (0..runs).find_map(|run| {
        let own = times
            .iter()
            .filter_map(|(id, new)| Some((*id, figures(new, 0, run)?)));
        let own: Vec<_> = own.collect();
        let old = |id, session, past| figures(baseline.benchmarks.get(id)?, session, past);
        let same = |(k, session): &(usize, &Session)| {
            let alike = |past| own.iter().all(|(id, new)| old(*id, *k, past) == Some(*new));
            !own.is_empty() && (0..session.runs).any(alike)
        };
        let (_, session) = baseline.sessions.iter().enumerate().find(same)?;
        Some((run, session))
    })
}

/// The runs as the one session of each benchmark.
fn measured(runs: &[Run]) -> Result<BTreeMap<String, BenchmarkRuns>, Failure> {
    let mut measured: BTreeMap<String, BenchmarkRuns> = BTreeMap::new();
    for (k, run) in runs.iter().enumerate() {
        for (id, reading) in &run.readings {
            let (unit, median, p10) = match reading {
                Reading::Time(time) => {
                    let p10 = six_digits(time.p10);
                    (Unit::Ns, six_digits(time.median), Some(p10))
                }
                Reading::Count(count, unit) => (*unit, *count, None),
                // Beside what `cargo bench` has just measured lies what it did not.
                Reading::Stale(_) if run.record.is_none() => continue,
                Reading::Stale(cause) | Reading::Broken(cause) => {
                    return Err(Failure::new(cause.clone()).remedy(format!(
                        "make this run again: rm -r {}",
                        run.place.display()
                    )));
                }
            };
            let gaps = || BenchmarkRuns::gaps(unit, [runs.len()].into_iter());
            let history = measured.entry(id.clone()).or_insert_with(gaps);
            if history.unit != unit {
                let (unit, other) = (unit.name(), history.unit.name());
                let cause = format!("`{id}` is counted in {unit}, in another run in {other}");
                return Err(Failure::at(&run.place, cause));
            }
            history.median[0][k] = Some(median);
            if let Some(p10) = p10 {
                history.p10[0][k] = Some(p10);
            }
        }
    }
    Ok(measured)
}

/// More digits than any run's times repeat only make diffs longer.
fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// What the new runs change, held against the old baseline as `check` would.
fn moved(
    old: &Baseline,
    runs: &[Run],
    host: Option<&Host>,
    thresholds: &Thresholds,
) -> Result<String, Failure> {
    let other_machine = old.other_machine(host);
    let rules = Rules {
        thresholds,
        only: None,
        other_machine: other_machine.as_deref(),
        machine: &Machine::default(),
        portion: None,
    };
    let rows = rows(old, runs, &rules)?.rows;
    let plain = [Status::Unchanged, Status::Filtered, Status::Incomparable];
    let moved: Vec<&VerdictRow> = rows.iter().filter(|r| !plain.contains(&r.status)).collect();
    let times = match other_machine {
        Some(why) => format!("Times of another machine are not compared: {why}.\n"),
        None => String::new(),
    };
    if moved.is_empty() {
        return Ok(format!(
            "\nNothing moved against the baseline that was there.\n{times}"
        ));
    }
    let body = moved.iter().map(|row| {
        let some = |v: Option<f64>| v.map_or("–".into(), |v| report::quantity(v, row.unit));
        vec![
            Cell::new(&row.id),
            Cell::new(some(row.baseline)),
            Cell::new(some(row.current)),
            Cell::new(row.change_pct.map_or(String::new(), report::percent)),
            Cell::new(row.status.word()),
        ]
    });
    let head = ["moved", "before", "now", "change", "verdict"];
    Ok(format!("\n{}\n{times}", report::table(&head, body, false)))
}

/// Above which size a change of each benchmark is called, where that is not the threshold.
fn sight(baseline: &Baseline, thresholds: &Thresholds) -> String {
    let times = baseline
        .benchmarks
        .iter()
        .filter(|(id, h)| h.unit == Unit::Ns && thresholds.out_of_focus(id).is_none());
    let judged: Vec<(&str, &BenchmarkRuns, f64)> = times
        .filter_map(|(id, history)| {
            let ns = median(&history.medians().concat())?;
            let short = thresholds.too_short(ns, ns).is_some();
            (!short).then_some((id.as_str(), history, ns))
        })
        .collect();
    let gate = &thresholds.gate.times;
    // What `check` asks of the only row that moved: that chance moves none of them as far to
    // that side (Holm), and an interval without zero.
    let alone = 1.0 - 2.0 * gate.family_error / judged.len() as f64;
    let mut noisy: Vec<(f64, &str, f64)> = judged
        .iter()
        .filter_map(|(id, history, ns)| {
            let logs: Vec<Vec<f64>> = history
                .medians()
                .iter()
                .map(|s| s.iter().map(|v| v.ln()).collect())
                .collect();
            let floor = Reference {
                sessions: &logs,
                drift: (gate.session_drift_pct / 100.0).ln_1p(),
            }
            .noise_floor(RUNS_OF_A_CHECK, alone.max(CONFIDENCE));
            let floor = floor.map_or(f64::INFINITY, |f| 100.0 * f.exp_m1());
            (floor > thresholds.threshold_pct(id)).then_some((floor, *id, *ns))
        })
        .collect();
    if noisy.is_empty() {
        return "\nEvery benchmark shows changes above its threshold.\n".to_owned();
    }
    noisy.sort_by(|a, b| b.0.total_cmp(&a.0));
    let body = noisy.iter().map(|(floor, id, ns)| {
        let floor = match floor.is_finite() {
            true => format!("{floor:.1} %"),
            false => "never: too few runs".into(),
        };
        vec![
            Cell::new(id),
            Cell::new(report::quantity(*ns, Unit::Ns)),
            Cell::new(floor),
        ]
    });
    let table = report::table(
        &["too noisy for its threshold", "time", "seen above"],
        body,
        false,
    );
    format!(
        "\n{table}\nAll others show changes above theirs. More runs and more sessions (--append) see more.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_exact() {
        let run = Run {
            place: PathBuf::from("run"),
            readings: BTreeMap::from([(
                "decode".into(),
                Reading::Count(2_527_294.0, Unit::Instructions),
            )]),
            ..Run::default()
        };
        let measured = measured(&[run]).unwrap();
        assert_eq!(measured["decode"].median, [[Some(2_527_294.0)]]);
    }

    #[test]
    fn six_digits_are_kept() {
        assert_eq!(six_digits(123_456_789.0), 123_457_000.0);
        assert_eq!(six_digits(0.123_456_789), 0.123457);
        assert_eq!(six_digits(7.0), 7.0);
    }
}
