//! Budgets: what benchmarks may cost, held against what the runs say.

use std::collections::{BTreeMap, BTreeSet};

use probecost::gate::{Budget, Measure, nearest};
use probecost::stats::{CONFIDENCE, Interval, median, median_interval, runs_for_median_interval};
use regex::Regex;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::{Figure, Reading, Run};
use crate::verdict::Severity;

/// A budget, and whether it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The benchmark's id; where none was measured, the name in gate.toml.
    pub id: String,
    /// What is limited.
    pub measure: Measure,
    /// The limit.
    pub limit: f64,
    /// The limit beyond which an excess is critical.
    pub critical: Option<f64>,
    /// What the runs say: for a count its least and its greatest, else an interval.
    pub measured: Option<Interval>,
    /// The unit of all these.
    pub unit: String,
    /// Runs that measured it.
    pub runs: usize,
    /// Whether it is kept.
    pub verdict: Outcome,
    /// How bad it is, where it is not kept.
    pub severity: Severity,
    /// Why, in one sentence; empty where nothing needs saying.
    pub reason: String,
}

/// Whether a budget is kept. The order is that of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole interval lies beyond the limit.
    Fail,
    /// The limit lies inside the interval.
    CannotDecide,
    /// The whole interval keeps to the limit.
    Pass,
    /// No run measured it.
    NotRun,
}

impl Outcome {
    /// All of them, in the order of the reports.
    pub const ALL: [Outcome; 4] = [
        Outcome::Fail,
        Outcome::CannotDecide,
        Outcome::Pass,
        Outcome::NotRun,
    ];

    /// The words for it.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Fail => "fail",
            Outcome::CannotDecide => "cannot decide",
            Outcome::Pass => "pass",
            Outcome::NotRun => "not run",
        }
    }
}

/// How many budgets came out like this.
pub fn count(budgets: &[Judged], outcome: Outcome) -> usize {
    budgets.iter().filter(|b| b.verdict == outcome).count()
}

/// What one run says of one id.
struct Value {
    measure: Measure,
    unit: String,
    est: f64,
    /// `None` where the run's samples are too few for one.
    interval: Option<Interval>,
}

/// What all runs say, by id: a value or why there is none.
type Said<'a> = BTreeMap<&'a str, Vec<Result<Value, &'a str>>>;

/// Holds the runs to each budget, what matters most first. `known` are the ids of the
/// baseline; with `only`, the budgets of other ids are left out.
///
/// # Errors
/// A name whose group was measured, but that neither side knows, or a limit in a unit
/// that its benchmark is not measured in.
pub fn judge(
    budgets: &BTreeMap<String, Budget>,
    known: &BTreeSet<&str>,
    runs: &[Run],
    only: Option<&Regex>,
) -> Result<Vec<Judged>, Failure> {
    let said = said(runs);
    let wanted = |id: &str| only.is_none_or(|only| only.is_match(id));
    let mut judged = Vec::new();
    for (name, budget) in budgets {
        let fits = pattern(name)?;
        let mut measured = said.iter().filter(|(id, _)| fits.is_match(id)).peekable();
        if measured.peek().is_none() {
            let reason = not_run(name, &fits, known, &said)?;
            judged.extend(wanted(name).then(|| blank(name, budget, reason)));
        }
        for (id, values) in measured.filter(|(id, _)| wanted(id)) {
            judged.push(judge_one(id, budget, values)?);
        }
    }
    judged.sort_by(|a, b| {
        (a.verdict.cmp(&b.verdict))
            .then(b.severity.cmp(&a.severity))
            .then(a.id.cmp(&b.id))
    });
    Ok(judged)
}

/// How the intervals came about, where the runs are too few to give one of their own.
pub fn remark(budgets: &[Judged]) -> Option<String> {
    let enough = runs_for_median_interval(CONFIDENCE);
    let runs = budgets
        .iter()
        .filter(|b| b.measured.is_some() && b.measure != Measure::Count)
        .map(|b| b.runs)
        .min()?;
    match runs {
        1 => Some(
            "Budgets: of one run there is only the interval of the median over its own samples, \
             which does not see what differs between runs."
                .to_owned(),
        ),
        runs if runs < enough => Some(format!(
            "Budgets: fewer than {enough} runs give their median no interval; each is held to the \
             range from the lowest to the highest end of the runs' own."
        )),
        _ => None,
    }
}

fn said(runs: &[Run]) -> Said<'_> {
    let mut said = Said::new();
    for run in runs {
        for (id, reading) in &run.readings {
            if let Some(value) = of_reading(reading) {
                said.entry(id).or_default().push(value);
            }
        }
        for (id, figure) in &run.figures {
            said.entry(id).or_default().push(Ok(of_figure(figure)));
        }
    }
    said
}

/// What an earlier run left behind says nothing.
fn of_reading(reading: &Reading) -> Option<Result<Value, &str>> {
    match reading {
        Reading::Time(time) => Some(Ok(Value {
            measure: Measure::Time,
            unit: "ns".into(),
            est: time.median,
            interval: time.interval,
        })),
        Reading::Count(count, unit) => Some(Ok(Value {
            measure: Measure::Count,
            unit: unit.name().into(),
            est: *count,
            interval: Some(exactly(*count)),
        })),
        Reading::Broken(cause) => Some(Err(cause)),
        Reading::Stale(_) => None,
    }
}

fn of_figure(figure: &Figure) -> Value {
    let Figure { unit, value } = figure;
    let (measure, unit, factor) = match unit.as_str() {
        "ns" => (Measure::Time, "ns", 1.0),
        "us" => (Measure::Time, "ns", 1e3),
        "percent" => (Measure::Share, "percent", 1.0),
        unit if unit.ends_with("/s") => (Measure::Rate, unit, 1.0),
        unit => (Measure::Count, unit, 1.0),
    };
    let value = value.map(|v| v * factor);
    Value {
        measure,
        unit: unit.to_owned(),
        est: value.est,
        interval: Some(value),
    }
}

fn exactly(value: f64) -> Interval {
    Interval {
        est: value,
        lo: value,
        hi: value,
    }
}

/// The ids that a name of gate.toml means.
fn pattern(name: &str) -> Result<Regex, Failure> {
    let any = regex::escape(name).replace(r"\*", ".*");
    Regex::new(&format!("^{any}$"))
        .map_err(|e| Failure::new(format!("gate.toml: [budgets] `{name}`: {e}")))
}

/// Why nothing measured is called this.
///
/// # Errors
/// Others of its group were measured, and the baseline does not know it either: it is
/// misspelt, or its benchmark is gone.
fn not_run(
    name: &str,
    fits: &Regex,
    known: &BTreeSet<&str>,
    said: &Said,
) -> Result<String, Failure> {
    if known.iter().any(|id| fits.is_match(id)) {
        return Ok("the baseline has it, and no run measured it".into());
    }
    if !said.keys().any(|id| group(id) == group(name)) {
        return Ok("no run measured any benchmark of its group".into());
    }
    let hint = match nearest(name, said.keys().chain(known).copied()) {
        Some(known) => format!("; did you mean `{known}`?"),
        None => String::new(),
    };
    Err(Failure::new(format!(
        "gate.toml: [budgets] names `{name}`, which neither side measured{hint}"
    )))
}

/// What benchmarks share that one `cargo bench` measures together: Criterion's group, or
/// the module of what is counted.
fn group(id: &str) -> &str {
    id.split_once('/')
        .or_else(|| id.rsplit_once("::"))
        .map_or("", |(group, _)| group)
}

fn blank(id: &str, budget: &Budget, reason: String) -> Judged {
    let unit = match budget.measure() {
        Measure::Time => "ns",
        Measure::Count => "count",
        Measure::Rate => "/s",
        Measure::Share => "percent",
    };
    Judged {
        id: id.to_owned(),
        measure: budget.measure(),
        limit: budget.limit(),
        critical: budget.critical(),
        measured: None,
        unit: unit.into(),
        runs: 0,
        verdict: Outcome::NotRun,
        severity: Severity::Acceptable,
        reason,
    }
}

fn judge_one(id: &str, budget: &Budget, said: &[Result<Value, &str>]) -> Result<Judged, Failure> {
    let open = |reason: &str| Judged {
        runs: said.len(),
        verdict: Outcome::CannotDecide,
        ..blank(id, budget, reason.to_owned())
    };
    let mut values = Vec::new();
    for one in said {
        match one {
            Ok(value) => values.push(value),
            Err(cause) => return Ok(open(cause)),
        }
    }
    if let Some(other) = values.iter().find(|v| v.measure != budget.measure()) {
        let key = budget.measure().keys()[0];
        let (limited, unit, right) = (budget.measure(), &other.unit, other.measure.keys()[0]);
        return Err(Failure::new(format!(
            "gate.toml: [budgets] `{id}` limits {limited} ({key}), and it is measured in {unit}: \
             {right} would fit"
        )));
    }
    let Some((first, measured)) = values.first().zip(estimate(budget.measure(), &values)) else {
        return Ok(open(
            "its samples are too few for an interval of their median",
        ));
    };
    let (verdict, severity) = hold(budget, measured);
    Ok(Judged {
        measured: Some(measured),
        unit: first.unit.clone(),
        verdict,
        severity,
        reason: reason(budget, verdict, severity, said.len()),
        ..open("")
    })
}

/// The interval of the median over the runs. Where they are too few for one, and of
/// counts, which must keep to the limit in every run: all that the runs' own intervals
/// cover.
fn estimate(measure: Measure, values: &[&Value]) -> Option<Interval> {
    let points: Vec<f64> = values.iter().map(|v| v.est).collect();
    let over_runs = match measure {
        Measure::Count => None,
        _ => median_interval(&points, CONFIDENCE),
    };
    over_runs.or_else(|| {
        let own: Vec<Interval> = values.iter().map(|v| v.interval).collect::<Option<_>>()?;
        Some(Interval {
            est: median(&points)?,
            lo: own.iter().map(|i| i.lo).fold(f64::INFINITY, f64::min),
            hi: own.iter().map(|i| i.hi).fold(f64::NEG_INFINITY, f64::max),
        })
    })
}

fn hold(budget: &Budget, measured: Interval) -> (Outcome, Severity) {
    let measure = budget.measure();
    let (best, worst) = match measure {
        Measure::Time | Measure::Share => (measured.lo, measured.hi),
        Measure::Rate => (measured.hi, measured.lo),
        Measure::Count => (measured.hi, measured.hi),
    };
    if measure.within(worst, budget.limit()) {
        (Outcome::Pass, Severity::Acceptable)
    } else if measure.within(best, budget.limit()) {
        (Outcome::CannotDecide, Severity::Acceptable)
    } else if budget.critical().is_some_and(|c| !measure.within(best, c)) {
        (Outcome::Fail, Severity::Critical)
    } else {
        (Outcome::Fail, Severity::Warning)
    }
}

fn reason(budget: &Budget, verdict: Outcome, severity: Severity, runs: usize) -> String {
    let enough = runs_for_median_interval(CONFIDENCE);
    match (verdict, severity) {
        (Outcome::Fail, Severity::Critical) => "beyond the critical limit as well".into(),
        (Outcome::Fail, _) if budget.measure() == Measure::Count => {
            "counted, not timed: more than the limit".into()
        }
        (Outcome::Fail, _) => "the whole interval is beyond the limit".into(),
        (Outcome::CannotDecide, _) if runs < enough => {
            format!("the limit lies inside the interval; from {enough} runs on it is narrower")
        }
        (Outcome::CannotDecide, _) => {
            "the limit lies inside the interval; more runs make it narrower".into()
        }
        (Outcome::Pass | Outcome::NotRun, _) => String::new(),
    }
}

/// A budget that came out like this.
#[cfg(test)]
pub fn example(id: &str, verdict: Outcome) -> Judged {
    Judged {
        id: id.into(),
        measure: Measure::Time,
        limit: 60.0,
        critical: None,
        measured: None,
        unit: "ns".into(),
        runs: 1,
        verdict,
        severity: Severity::Acceptable,
        reason: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Time, Unit};
    use probecost::gate::Gate;
    use std::path::PathBuf;

    fn budgets(text: &str) -> BTreeMap<String, Budget> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gate.toml");
        std::fs::write(&path, format!("[budgets]\n{text}")).unwrap();
        Gate::load(&path).unwrap().budgets
    }

    fn time(ns: f64) -> Reading {
        Reading::Time(Time {
            median: ns,
            p10: ns,
            mean: ns,
            mean_error: 0.0,
            interval: Some(Interval {
                est: ns,
                lo: ns - 1.0,
                hi: ns + 1.0,
            }),
        })
    }

    fn run(id: &str, reading: Reading) -> Run {
        Run {
            place: PathBuf::from("run"),
            record: None,
            readings: BTreeMap::from([(id.to_owned(), reading)]),
            figures: BTreeMap::new(),
        }
    }

    fn figure(id: &str, unit: &str, value: f64) -> Run {
        let figure = Figure {
            unit: unit.into(),
            value: exactly(value),
        };
        Run {
            readings: BTreeMap::new(),
            figures: BTreeMap::from([(id.to_owned(), figure)]),
            ..run(id, time(1.0))
        }
    }

    fn judge_all(text: &str, runs: &[Run]) -> Result<Vec<Judged>, Failure> {
        judge(&budgets(text), &BTreeSet::new(), runs, None)
    }

    fn one(text: &str, runs: &[Run]) -> (Outcome, Severity) {
        let judged = judge_all(text, runs).unwrap();
        assert_eq!(judged.len(), 1);
        (judged[0].verdict, judged[0].severity)
    }

    const KEPT: (Outcome, Severity) = (Outcome::Pass, Severity::Acceptable);
    const OPEN: (Outcome, Severity) = (Outcome::CannotDecide, Severity::Acceptable);
    const OVER: (Outcome, Severity) = (Outcome::Fail, Severity::Warning);

    #[test]
    fn a_time_is_judged_by_its_interval_and_not_its_point() {
        let limit = r#""a/b" = { at_most_ns = 60, critical_ns = 100 }"#;
        let timed = |ns| one(limit, &[run("a/b", time(ns))]);
        assert_eq!([timed(59.0), timed(59.5), timed(60.5)], [KEPT, OPEN, OPEN]);
        assert_eq!([timed(61.5), timed(100.5)], [OVER, OVER]);
        assert_eq!(timed(101.5), (Outcome::Fail, Severity::Critical));
    }

    #[test]
    fn few_runs_count_all_and_many_their_median() {
        let limit = r#""a/b" = { at_most_ns = 60 }"#;
        let mut runs: Vec<Run> = (0..7).map(|_| run("a/b", time(50.0))).collect();
        assert_eq!(one(limit, &runs), KEPT);
        runs[3] = run("a/b", time(70.0));
        assert_eq!(one(limit, &runs), OPEN);
        runs.extend((0..13).map(|_| run("a/b", time(50.0))));
        assert_eq!(one(limit, &runs), KEPT);
    }

    #[test]
    fn a_count_must_keep_to_the_limit_in_every_run() {
        let limit = r#""a/b" = { at_most = 0 }"#;
        let count = |n| run("a/b", Reading::Count(n, Unit::Allocations));
        let mut runs: Vec<Run> = (0..20).map(|_| count(0.0)).collect();
        assert_eq!(one(limit, &runs), KEPT);
        runs[7] = count(1.0);
        assert_eq!(one(limit, &runs), OVER);
    }

    #[test]
    fn shares_rates_and_times_of_figures() {
        let lost = r#""a/lost" = { at_most_pct = 0.1 }"#;
        assert_eq!(one(lost, &[figure("a/lost", "percent", 0.1)]), KEPT);
        assert_eq!(one(lost, &[figure("a/lost", "percent", 0.2)]), OVER);
        let made = r#""a/made" = { at_least_per_s = 100, critical_per_s = 50 }"#;
        let of = |rate| one(made, &[figure("a/made", "events/s", rate)]);
        assert_eq!([of(100.0), of(99.0)], [KEPT, OVER]);
        assert_eq!(of(49.0), (Outcome::Fail, Severity::Critical));
        let age = r#""a/age" = { at_most_ns = 2000 }"#;
        assert_eq!(one(age, &[figure("a/age", "us", 2.0)]), KEPT);
    }

    #[test]
    fn a_star_stands_for_each_that_fits() {
        let limit = r#""ladder/*/miscounted" = { at_most = 0 }"#;
        let runs = [
            figure("ladder/1/miscounted", "count", 0.0),
            figure("ladder/2/miscounted", "count", 3.0),
            figure("ladder/2/lost", "percent", 3.0),
        ];
        let judged = judge_all(limit, &runs).unwrap();
        let ids: Vec<&str> = judged.iter().map(|b| b.id.as_str()).collect();
        assert_eq!(ids, ["ladder/2/miscounted", "ladder/1/miscounted"]);
    }

    #[test]
    fn a_name_is_wrong_where_its_group_was_measured() {
        let limit = r#""core/2" = { at_most_ns = 60 }"#;
        let error = judge_all(limit, &[run("core/1", time(5.0))]).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `core/1`?"),
            "{error}"
        );
        let elsewhere = [run("open_close/off", time(5.0))];
        assert_eq!(one(limit, &elsewhere).0, Outcome::NotRun);
        let known = BTreeSet::from(["core/2"]);
        let judged = judge(&budgets(limit), &known, &[run("core/1", time(5.0))], None).unwrap();
        assert_eq!(judged[0].verdict, Outcome::NotRun);
        let counted = r#""a::steps::decod known" = { at_most = 0 }"#;
        let count = Reading::Count(0.0, Unit::Allocations);
        let error = judge_all(counted, &[run("a::steps::decode known", count)]).unwrap_err();
        assert!(error.to_string().contains("did you mean"), "{error}");
    }

    #[test]
    fn a_limit_in_the_wrong_unit_says_which_is_right() {
        let limit = r#""a/b" = { at_most = 60 }"#;
        let error = judge_all(limit, &[run("a/b", time(5.0))]).unwrap_err();
        assert!(
            error.to_string().contains("at_most_ns would fit"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_be_read_cannot_be_decided() {
        let limit = r#""a/b" = { at_most_ns = 60 }"#;
        let broken = Reading::Broken("x.json: empty".into());
        let judged = judge_all(limit, &[run("a/b", time(5.0)), run("a/b", broken)]).unwrap();
        assert_eq!(judged[0].verdict, Outcome::CannotDecide);
        assert_eq!(judged[0].reason, "x.json: empty");
        let stale = Reading::Stale("old".into());
        assert_eq!(one(limit, &[run("a/b", stale)]).0, Outcome::NotRun);
    }

    #[test]
    fn only_leaves_the_others_out() {
        let limits = budgets("\"a/b\" = { at_most_ns = 60 }\n\"c/d\" = { at_most_ns = 60 }");
        let only = Regex::new("^a/").unwrap();
        let runs = [run("a/b", time(5.0)), run("c/d", time(5.0))];
        let judged = judge(&limits, &BTreeSet::new(), &runs, Some(&only)).unwrap();
        assert_eq!((judged.len(), judged[0].id.as_str()), (1, "a/b"));
    }
}
