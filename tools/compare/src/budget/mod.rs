//! Budgets: what benchmarks may cost, held against what the runs say.

mod measured;

use std::collections::{BTreeMap, BTreeSet};

use probecost::gate::{Budget, nearest};
use probecost::schema::{BudgetRow, Measure, Outcome, Severity};
use probecost::stats::{CONFIDENCE, runs_for_median_interval};
use regex::Regex;

use crate::failure::Failure;
use crate::input::Run;

use measured::{MeasuredById, MeasuredValue, by_id, estimate};

/// Outcomes in the order of the reports. A budget has no other.
pub const OUTCOMES: [Outcome; 5] = [
    Outcome::Fail,
    Outcome::Broken,
    Outcome::Inconclusive,
    Outcome::Pass,
    Outcome::Skipped,
];

/// A group is taken for another one misspelt from this likeness on (Jaro and Winkler):
/// `cores` is as like `core`, and no two groups of this project are.
const MISSPELT: f64 = 0.9;

/// Holds the runs to each budget, what matters most first. `known` are the ids of the
/// baseline; with `only`, the budgets of other ids are left out.
///
/// # Errors
/// A name that is misspelt, as far as the ids of either side tell, or a limit in a unit
/// that its benchmark is not measured in.
pub fn judge(
    budgets: &BTreeMap<String, Budget>,
    known: &BTreeSet<&str>,
    runs: &[Run],
    only: Option<&Regex>,
) -> Result<Vec<BudgetRow>, Failure> {
    let measured = by_id(runs);
    let wanted = |id: &str| only.is_none_or(|only| only.is_match(id));
    let mut rows = Vec::new();
    for (name, budget) in budgets {
        let fits = pattern(name)?;
        let mut fitting = measured
            .iter()
            .filter(|(id, _)| fits.is_match(id))
            .peekable();
        if fitting.peek().is_none() {
            let reason = why_unmeasured(name, &fits, known, &measured)?;
            rows.extend(wanted(name).then(|| row(name, budget, Outcome::Skipped, reason)));
        }
        for (id, values) in fitting.filter(|(id, _)| wanted(id)) {
            rows.push(judge_id(id, budget, values)?);
        }
    }
    sort(&mut rows);
    Ok(rows)
}

/// Puts what matters most first.
pub fn sort(rows: &mut [BudgetRow]) {
    let rank = |row: &BudgetRow| OUTCOMES.iter().position(|o| *o == row.verdict);
    rows.sort_by(|a, b| {
        (rank(a).cmp(&rank(b)))
            .then(b.severity.cmp(&a.severity))
            .then(a.id.cmp(&b.id))
    });
}

/// Takes budgets of which nothing was measured for broken.
pub fn insist(rows: &mut [BudgetRow]) {
    for row in rows
        .iter_mut()
        .filter(|row| row.verdict == Outcome::Skipped)
    {
        row.verdict = Outcome::Broken;
    }
    sort(rows);
}

/// Whether a name of gate.toml means this id.
pub fn means(name: &str, id: &str) -> bool {
    pattern(name).is_ok_and(|fits| fits.is_match(id))
}

/// How the intervals came about, where the runs are too few to give one of their own.
pub fn remark(budgets: &[BudgetRow]) -> Option<String> {
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

/// The ids that a name of gate.toml means.
fn pattern(name: &str) -> Result<Regex, Failure> {
    let any = regex::escape(name).replace(r"\*", ".*");
    Regex::new(&format!("^{any}$"))
        .map_err(|e| Failure::new(format!("gate.toml: [budgets] `{name}`: {e}")))
}

/// Why nothing measured is called this.
///
/// # Errors
/// It is misspelt, or its benchmark is gone: the baseline does not know it either, and
/// others of its group were measured, or its like of a group with nearly the same name.
fn why_unmeasured(
    name: &str,
    fits: &Regex,
    known: &BTreeSet<&str>,
    measured: &MeasuredById,
) -> Result<String, Failure> {
    if known.iter().any(|id| fits.is_match(id)) {
        return Ok("no run measured it".into());
    }
    let ids = || measured.keys().chain(known).copied();
    let meant = match measured.keys().any(|id| group(id) == group(name)) {
        true => nearest(name, ids()),
        false => match ids().find(|id| group_misspelt(name, id)) {
            Some(id) => Some(id),
            None => return Ok("no run measured any benchmark of its group".into()),
        },
    };
    let hint = meant.map_or(String::new(), |id| format!("; did you mean `{id}`?"));
    Err(Failure::new(format!(
        "gate.toml: [budgets] names `{name}`, which neither side measured{hint}"
    )))
}

/// Whether `name` is `id` but for the spelling of its group.
fn group_misspelt(name: &str, id: &str) -> bool {
    let (ours, theirs) = (group(name), group(id));
    ours != theirs
        && strsim::jaro_winkler(ours, theirs) > MISSPELT
        && pattern(&name.replacen(ours, theirs, 1)).is_ok_and(|fits| fits.is_match(id))
}

/// What benchmarks share that one `cargo bench` measures together: Criterion's group, or
/// the module of what is counted.
fn group(id: &str) -> &str {
    id.split_once('/')
        .or_else(|| id.rsplit_once("::"))
        .map_or("", |(group, _)| group)
}

/// A row without a measurement.
fn row(id: &str, budget: &Budget, verdict: Outcome, reason: impl Into<String>) -> BudgetRow {
    let unit = match budget.measure() {
        Measure::Time => "ns",
        Measure::Count => "count",
        Measure::Rate => "/s",
        Measure::Share => "percent",
    };
    BudgetRow {
        id: id.to_owned(),
        measure: budget.measure(),
        limit: budget.limit(),
        critical: budget.critical(),
        measured: None,
        unit: unit.into(),
        runs: 0,
        verdict,
        severity: Severity::Acceptable,
        reason: reason.into(),
    }
}

/// What all runs say of one id, held to its budget.
fn judge_id(
    id: &str,
    budget: &Budget,
    measured: &[Result<MeasuredValue, &str>],
) -> Result<BudgetRow, Failure> {
    let runs = measured.len();
    let without = |verdict, reason: &str| BudgetRow {
        runs,
        ..row(id, budget, verdict, reason)
    };
    let values: Vec<&MeasuredValue> = match measured.iter().map(Result::as_ref).collect() {
        Ok(values) => values,
        Err(cause) => return Ok(without(Outcome::Broken, cause)),
    };
    if let Some(other) = values.iter().find(|v| v.measure != budget.measure()) {
        let key = budget.measure().keys()[0];
        let (limited, unit, right) = (budget.measure(), &other.unit, other.measure.keys()[0]);
        return Err(Failure::new(format!(
            "gate.toml: [budgets] `{id}` limits {limited} ({key}), and it is measured in {unit}: \
             {right} would fit"
        )));
    }
    let Some((first, interval)) = values.first().zip(estimate(budget.measure(), &values)) else {
        let reason = "its samples are too few for an interval of their median";
        return Ok(without(Outcome::Inconclusive, reason));
    };
    let (verdict, severity) = budget.judge(interval);
    Ok(BudgetRow {
        measured: Some(interval),
        unit: first.unit.clone(),
        severity,
        ..without(verdict, &reason(budget, verdict, severity, runs))
    })
}

fn reason(budget: &Budget, verdict: Outcome, severity: Severity, runs: usize) -> String {
    let enough = runs_for_median_interval(CONFIDENCE);
    match (verdict, severity) {
        (Outcome::Fail, Severity::Critical) => "beyond the critical limit as well".into(),
        (Outcome::Fail, _) if budget.measure() == Measure::Count => {
            "counted, not timed: more than the limit".into()
        }
        (Outcome::Fail, _) => "the whole interval is beyond the limit".into(),
        (Outcome::Inconclusive, _) if runs < enough => {
            format!("the limit lies inside the interval; from {enough} runs on it is narrower")
        }
        (Outcome::Inconclusive, _) => {
            "the limit lies inside the interval; more runs make it narrower".into()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Reading, Time};
    use probecost::gate::Gate;
    use probecost::schema::{FigureRow, Unit};
    use probecost::stats::Interval;
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
            readings: BTreeMap::from([(id.to_owned(), reading)]),
            ..Run::default()
        }
    }

    fn figure(id: &str, unit: &str, value: f64) -> Run {
        let figure = FigureRow {
            id: id.into(),
            unit: unit.into(),
            value: Interval::exact(value),
        };
        Run {
            readings: BTreeMap::new(),
            figures: BTreeMap::from([(id.to_owned(), figure)]),
            ..run(id, time(1.0))
        }
    }

    fn judge_all(text: &str, runs: &[Run]) -> Result<Vec<BudgetRow>, Failure> {
        judge(&budgets(text), &BTreeSet::new(), runs, None)
    }

    fn one(text: &str, runs: &[Run]) -> (Outcome, Severity) {
        let judged = judge_all(text, runs).unwrap();
        assert_eq!(judged.len(), 1);
        (judged[0].verdict, judged[0].severity)
    }

    const KEPT: (Outcome, Severity) = (Outcome::Pass, Severity::Acceptable);
    const OPEN: (Outcome, Severity) = (Outcome::Inconclusive, Severity::Acceptable);
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
        assert_eq!(one(limit, &elsewhere).0, Outcome::Skipped);
        let known = BTreeSet::from(["core/2"]);
        let judged = judge(&budgets(limit), &known, &[run("core/1", time(5.0))], None).unwrap();
        assert_eq!(judged[0].verdict, Outcome::Skipped);
        let counted = r#""a::steps::decod known" = { at_most = 0 }"#;
        let count = Reading::Count(0.0, Unit::Allocations);
        let error = judge_all(counted, &[run("a::steps::decode known", count)]).unwrap_err();
        assert!(error.to_string().contains("did you mean"), "{error}");
    }

    #[test]
    fn a_group_is_misspelt_where_its_like_was_measured() {
        let runs = [run("core/1", time(5.0))];
        let error = judge_all(r#""cores/1" = { at_most_ns = 60 }"#, &runs).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `core/1`?"),
            "{error}"
        );
        let known = BTreeSet::from(["ring/single"]);
        let limit = budgets(r#""rings/single" = { at_most_ns = 60 }"#);
        assert!(judge(&limit, &known, &runs, None).is_err());
        let star = [run("ring_ladder/20/lost", time(5.0))];
        assert!(judge_all(r#""ring_laddr/*/lost" = { at_most_ns = 60 }"#, &star).is_err());
        // Others of the same kind are groups of their own.
        for other in ["create/1", "core/2", "encore/1", "use/first"] {
            let limit = format!(r#""{other}" = {{ at_most_ns = 60 }}"#);
            let elsewhere = [run("register/1", time(5.0)), run("cord/1", time(5.0))];
            assert_eq!(one(&limit, &elsewhere).0, Outcome::Skipped, "{other}");
        }
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
    fn what_cannot_be_read_is_broken() {
        let limit = r#""a/b" = { at_most_ns = 60 }"#;
        let broken = Reading::Broken("x.json: empty".into());
        let judged = judge_all(limit, &[run("a/b", time(5.0)), run("a/b", broken)]).unwrap();
        assert_eq!(judged[0].verdict, Outcome::Broken);
        assert_eq!(judged[0].reason, "x.json: empty");
        let stale = Reading::Stale("old".into());
        assert_eq!(one(limit, &[run("a/b", stale)]).0, Outcome::Skipped);
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
