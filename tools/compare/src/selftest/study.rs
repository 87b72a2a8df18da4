//! The study: how often each rule errs on suites drawn from the runs.

use probecost::stats::{Interval, mad, median};

use super::other_tools;
use super::report::{
    Aside, ByBench, ByRule, BySides, FoundRate, PlantedRuns, StudyReport, Without,
};
use super::resample::{Collection, Drawn, Plan, Slowdown, in_order, resample};
use super::sides::SideRuns;
use crate::share::CONFIDENCE;
use crate::thresholds::Thresholds;

/// Slowdowns that are multiplied into unchanged runs, in percent.
const MULTIPLIED: [f64; 4] = [3.0, 5.0, 10.0, 20.0];

/// Those of them that suites of other sizes are tried with.
const WITH_OTHER_SIDES: [f64; 3] = [5.0, 10.0, 20.0];

/// SideRuns that suites are drawn with, where there are runs enough.
const SIDES: [(usize, usize); 6] = [(5, 3), (10, 3), (10, 5), (10, 10), (20, 5), (20, 10)];

/// Resampled suites of up to `FEW` benchmarks: so many that chance adds little to the
/// intervals of sixty runs.
const SUITES: usize = 4000;

/// Benchmarks that are slowed down in one suite, at most.
const SLOWED: usize = 8;

/// Resampled suites with other sides.
const SUITES_OF_OTHER_SIDES: usize = 3000;

/// Benchmarks that are slowed down in one of them, at most: none is told from another.
const SLOWED_OF_OTHER_SIDES: usize = 4;

/// Of more benchmarks fewer suites are drawn, so that it takes as long.
const FEW: usize = 50;

/// Draws suites from the runs and says how often each rule errs. `gate` is the file of the
/// thresholds, unless they are the shipped ones.
pub fn study(
    collection: &Collection,
    aside: Vec<Aside>,
    sides: SideRuns,
    thresholds: &Thresholds,
    gate: Option<String>,
    seed: u64,
) -> StudyReport {
    let other_tools = other_tools::all(sides);
    let kinds = (0..collection.planted.len()).map(Slowdown::Planted);
    let slowdowns: Vec<Slowdown> = multiplied(&MULTIPLIED).into_iter().chain(kinds).collect();
    let plan = Plan {
        sides,
        suites: suites(SUITES, collection),
        seed,
        thresholds,
        other_tools: &other_tools,
        slowdowns: &slowdowns,
        slowed: SLOWED,
    };
    let drawn = resample(collection, &plan);
    let (suites_in_order, in_order) = in_order(collection, &plan);
    let found = |rate: &dyn Fn(Slowdown) -> Option<Interval>| -> Vec<FoundRate> {
        let found = |slowdown: &Slowdown| {
            let (percent, planted) = match slowdown {
                Slowdown::Multiplied(percent) => (*percent, false),
                Slowdown::Planted(kind) => (collection.planted[*kind].percent, true),
            };
            FoundRate {
                percent,
                planted,
                rate: rate(*slowdown),
            }
        };
        slowdowns.iter().map(found).collect()
    };
    let names = ["this gate"]
        .into_iter()
        .chain(other_tools.iter().map(|p| p.name));
    let rules = names
        .zip(in_order)
        .enumerate()
        .map(|(rule, (name, false_alarms_in_order))| ByRule {
            name,
            false_alarms: drawn.false_alarms(rule),
            false_alarms_in_order,
            found: found(&|slowdown| match rule.checked_sub(1) {
                None => drawn.found(slowdown, |_| true),
                Some(other_tool) => drawn.found_by_other_tool(slowdown, other_tool),
            }),
        })
        .collect();
    let rows = collection.benches.iter().enumerate();
    let mut benchmarks: Vec<ByBench> = rows
        .map(|(number, bench)| ByBench {
            id: bench.id.clone(),
            threshold_pct: bench.threshold_pct,
            spread_pct: spread_pct(collection, number),
            false_alarms: drawn.false_alarms_on(number),
            found: found(&|slowdown| drawn.found(slowdown, |b| b == number)),
        })
        .collect();
    let telling = telling_pct(thresholds.usual_threshold_pct());
    rank(&mut benchmarks, telling, thresholds);
    let costly = costly(&benchmarks, telling, thresholds);
    let without = without(collection, &drawn, costly, telling, &plan);
    let (by_sides, too_few_runs_for) = by_sides(collection, &drawn, &plan);
    StudyReport {
        schema: 1,
        seed,
        confidence: CONFIDENCE,
        gate,
        policy: thresholds.policy,
        threshold_pct: thresholds.usual_threshold_pct(),
        unchanged_runs: collection.unchanged.len(),
        planted_runs: collection
            .planted
            .iter()
            .map(|kind| PlantedRuns {
                percent: kind.percent,
                runs: kind.runs.len(),
            })
            .collect(),
        sides,
        suites: plan.suites,
        suites_in_order,
        rules,
        undecided: drawn.undecided(),
        benchmarks,
        aside,
        without,
        by_sides,
        too_few_runs_for,
    }
}

fn multiplied(percent: &[f64]) -> Vec<Slowdown> {
    percent.iter().copied().map(Slowdown::Multiplied).collect()
}

/// How many suites are drawn of so many benchmarks.
fn suites(of_few: usize, collection: &Collection) -> usize {
    (of_few * FEW / collection.benches.len().max(FEW)).max(of_few / 10)
}

/// The robust relative standard deviation of a benchmark's unchanged runs, in percent.
fn spread_pct(collection: &Collection, bench: usize) -> f64 {
    let runs = collection.unchanged.iter();
    let logs: Vec<f64> = runs.map(|run| run[bench].median.ln()).collect();
    let percent = 100.0 * mad(&logs).unwrap_or(f64::NAN).exp_m1();
    (1000.0 * percent).round() / 1000.0
}

/// The slowdown that tells most, in percent: the smallest beyond the threshold, else the
/// largest.
fn telling_pct(threshold_pct: f64) -> f64 {
    let beyond = MULTIPLIED.iter().find(|size| **size > threshold_pct);
    *beyond.unwrap_or(&MULTIPLIED[MULTIPLIED.len() - 1])
}

/// What costs most first: benchmarks with more false alarms than the family error leaves
/// each, and then those in which the fewest slowdowns are found.
fn rank(benchmarks: &mut [ByBench], telling: f64, thresholds: &Thresholds) {
    let share = fair_share(benchmarks, thresholds);
    let est = |rate: Option<Interval>| rate.map_or(1.0, |r| r.est);
    let alarms = |b: &ByBench| {
        Some(est(b.false_alarms))
            .filter(|a| *a > share)
            .unwrap_or(0.0)
    };
    benchmarks.sort_by(|a, b| {
        let found = |b: &ByBench| est(b.found(telling));
        (alarms(b).total_cmp(&alarms(a)))
            .then(found(a).total_cmp(&found(b)))
            .then(a.id.cmp(&b.id))
    });
}

/// What the family error leaves each benchmark, as a share of suites.
fn fair_share(benchmarks: &[ByBench], thresholds: &Thresholds) -> f64 {
    thresholds.gate.times.family_error / benchmarks.len() as f64
}

/// The ids of the benchmarks, of which what costs most comes first, that stand out: their
/// false alarms are certainly more than their share, or certainly less is found in them than
/// in the benchmark in the middle. Where none does, it is the first.
fn costly(benchmarks: &[ByBench], telling: f64, thresholds: &Thresholds) -> Vec<String> {
    let share = fair_share(benchmarks, thresholds);
    let found = benchmarks.iter().filter_map(|b| b.found(telling));
    let middle = median(&found.map(|r| r.est).collect::<Vec<_>>()).unwrap_or(0.0);
    let stands_out = |b: &&ByBench| {
        b.false_alarms.is_some_and(|r| r.lo > share)
            || b.found(telling).is_some_and(|r| r.hi < middle)
    };
    let ids = |b: &ByBench| b.id.clone();
    let several: Vec<String> = benchmarks.iter().filter(stands_out).map(ids).collect();
    match several.is_empty() {
        true => benchmarks.first().map(ids).into_iter().collect(),
        false => several,
    }
}

/// Draws the suites again without these benchmarks; none where there are no others.
fn without(
    collection: &Collection,
    drawn: &Drawn,
    ids: Vec<String>,
    telling: f64,
    plan: &Plan,
) -> Option<Without> {
    let other = |bench: usize| !ids.contains(&collection.benches[bench].id);
    let others: Vec<usize> = (0..collection.benches.len())
        .filter(|b| other(*b))
        .collect();
    if others.is_empty() {
        return None;
    }
    let slowdown = Slowdown::Multiplied(telling);
    let smaller = Plan {
        other_tools: &[],
        slowdowns: &[slowdown],
        ..*plan
    };
    let alone = resample(&collection.only(&others), &smaller);
    Some(Without {
        false_alarms: [drawn.false_alarms(0), alone.false_alarms(0)],
        percent: telling,
        found_in_others: [
            drawn.found(slowdown, other),
            alone.found(slowdown, |_| true),
        ],
        ids,
    })
}

/// This gate with other numbers of runs, and the numbers that the runs are too few for.
fn by_sides(collection: &Collection, drawn: &Drawn, plan: &Plan) -> (Vec<BySides>, Vec<SideRuns>) {
    let known = SIDES.map(|(baseline, current)| SideRuns { baseline, current });
    let runs = collection.unchanged.len();
    let (mut fit, too_many): (Vec<SideRuns>, Vec<SideRuns>) =
        known.iter().partition(|sides| sides.total() <= runs);
    if !fit.contains(&plan.sides) {
        fit.push(plan.sides);
    }
    let of = |drawn: &Drawn, plan: &Plan| BySides {
        sides: plan.sides,
        suites: plan.suites,
        false_alarms: drawn.false_alarms(0),
        found: WITH_OTHER_SIDES
            .iter()
            .map(|percent| FoundRate {
                percent: *percent,
                planted: false,
                rate: drawn.found(Slowdown::Multiplied(*percent), |_| true),
            })
            .collect(),
    };
    let slowdowns = multiplied(&WITH_OTHER_SIDES);
    let by_sides = fit.into_iter().map(|sides| {
        if sides == plan.sides {
            return of(drawn, plan);
        }
        let other = Plan {
            sides,
            suites: suites(SUITES_OF_OTHER_SIDES, collection),
            other_tools: &[],
            slowdowns: &slowdowns,
            slowed: SLOWED_OF_OTHER_SIDES,
            ..*plan
        };
        of(&resample(collection, &other), &other)
    });
    (by_sides.collect(), too_many)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::synthetic::{NoiseModel, collection};
    use probecost::gate::Gate;
    use probecost::schema::GatePolicy;

    fn study_of(collection: &Collection, policy: GatePolicy) -> StudyReport {
        let gate = Gate::shipped();
        let thresholds = Thresholds::of(&gate, policy).unwrap();
        let sides = SideRuns::fitting(collection.unchanged.len()).unwrap();
        study(collection, Vec::new(), sides, &thresholds, None, 1)
    }

    fn sides(baseline: usize, current: usize) -> SideRuns {
        SideRuns { baseline, current }
    }

    #[test]
    fn few_runs_make_small_suites_and_too_few_none() {
        assert_eq!(SideRuns::fitting(6), None);
        for (runs, expected) in [
            (7, sides(5, 2)),
            (9, sides(6, 3)),
            (14, sides(10, 4)),
            (15, sides(10, 5)),
            (60, sides(10, 5)),
        ] {
            assert_eq!(SideRuns::fitting(runs), Some(expected), "{runs}");
        }
    }

    #[test]
    fn other_sides_are_tried_as_far_as_the_runs_go() {
        let report = study_of(
            &collection(1, 12, &[], NoiseModel::Gusts, 1),
            GatePolicy::Strict,
        );
        let tried: Vec<SideRuns> = report.by_sides.iter().map(|row| row.sides).collect();
        assert_eq!(tried, [sides(5, 3), sides(8, 4)]);
        assert_eq!(report.too_few_runs_for.len(), 5);
        assert!(report.without.is_none(), "there is no other benchmark");
    }

    #[test]
    fn the_worst_benchmark_comes_first_and_is_left_out() {
        let mut collection = collection(4, 30, &[], NoiseModel::Gusts, 1);
        let mut rng = fastrand::Rng::with_seed(1);
        for run in &mut collection.unchanged {
            // It runs at two speeds, a process at a time.
            let factor = if rng.bool() { 1.0 } else { 1.3 };
            (run[2].median, run[2].p10) = (run[2].median * factor, run[2].p10 * factor);
        }
        let report = study_of(&collection, GatePolicy::Strict);
        assert_eq!(report.benchmarks[0].id, "row/2");
        let without = report.without.unwrap();
        assert_eq!(
            (without.ids.as_slice(), without.percent),
            (&["row/2".to_owned()][..], 10.0)
        );
        // With a policy that no slowdown but the largest reaches, that one tells.
        assert_eq!(telling_pct(20.0), 20.0);
    }

    #[test]
    fn an_alarm_costs_more_than_a_miss() {
        let rate = |est| {
            Some(Interval {
                est,
                lo: 0.0,
                hi: 1.0,
            })
        };
        let bench = |id: &str, alarms: f64, found: f64| ByBench {
            id: id.into(),
            threshold_pct: 5.0,
            spread_pct: 1.0,
            false_alarms: rate(alarms),
            found: vec![FoundRate {
                percent: 10.0,
                planted: false,
                rate: rate(found),
            }],
        };
        // The family error leaves each of five 1 %.
        let mut rows = [
            bench("good", 0.0, 1.0),
            bench("blind", 0.005, 0.2),
            bench("dim", 0.009, 0.6),
            bench("loud", 0.02, 1.0),
            bench("louder", 0.03, 1.0),
        ];
        let gate = Gate::shipped();
        let thresholds = Thresholds::of(&gate, GatePolicy::Strict).unwrap();
        rank(&mut rows, 10.0, &thresholds);
        let ids: Vec<&str> = rows.iter().map(|b| b.id.as_str()).collect();
        assert_eq!(ids, ["louder", "loud", "blind", "dim", "good"]);
        // Nothing is certain here, so the first it is.
        assert_eq!(costly(&rows, 10.0, &thresholds), ["louder"]);
    }

    #[test]
    fn of_many_benchmarks_fewer_suites_are_drawn() {
        let count = |rows| suites(SUITES, &collection(rows, 1, &[], NoiseModel::Gusts, 1));
        assert_eq!(
            [count(1), count(50), count(100), count(5000)],
            [4000, 4000, 2000, 400]
        );
    }
}
