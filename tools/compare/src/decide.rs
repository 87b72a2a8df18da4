//! From figures to a decision: pure, and the same for `check` and for its self-test.

use probecost::gate::{Severities, Times};
use probecost::schema::{Severity, Shift, Status, TimedEvidence};
use probecost::stats::{CONFIDENCE, Interval, Reference, holm, median};

use crate::verdict::{FLOOR_CONFIDENCE, percent};

/// A benchmark's figures on both sides. All are positive.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The baseline's runs by session: their medians.
    pub old: Vec<Vec<f64>>,
    /// Their 10 % quantiles.
    pub old_p10: Vec<Vec<f64>>,
    /// The current runs: their medians.
    pub new: Vec<f64>,
    /// Their 10 % quantiles.
    pub new_p10: Vec<f64>,
    /// A change beyond this is called, in percent.
    pub threshold_pct: f64,
}

/// What was decided about a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Regressed, improved, unchanged or inconclusive.
    pub status: Status,
    /// How large the regression is.
    pub severity: Severity,
    /// The change in percent, with its interval where the runs give one.
    pub change_pct: f64,
    /// The interval around it.
    pub interval_pct: Option<Interval>,
    /// The smallest change that could be seen, in percent.
    pub noise_floor_pct: Option<f64>,
    /// How many more runs would decide.
    pub more_runs: Option<usize>,
    /// Why, in one sentence; empty where nothing needs saying.
    pub reason: String,
}

/// Which rows of a suite moved further than chance moves any of them.
pub struct Family {
    rare: Vec<bool>,
    /// What a p-value is held against, of rows that look slower and of the others.
    limits: [f64; 2],
}

/// Decides about all rows of a suite together.
///
/// A change is called where all of these hold:
/// * it exceeds the row's threshold and its noise floor;
/// * its interval excludes zero, and by chance alone any of the rows would move this far
///   in less than `family_error` of suites (Holm), regressions and improvements apart;
/// * the quickest run of either side, by its quickest tenth, moved the same way by more
///   than half the threshold: a slower program is slower also when it is left alone, a
///   disturbed one is not. Half, since the quickest of many runs may have had a faster
///   machine than the rest.
pub fn decide(rows: &[TimedEvidence], times: &Times, names: &Severities) -> Vec<Decision> {
    let family = Family::of(&rows.iter().collect::<Vec<_>>(), times.family_error);
    rows.iter()
        .enumerate()
        .map(|(i, m)| {
            let (status, more_runs, reason) = family.call(i, m);
            let change_pct = 100.0 * m.est.exp_m1();
            let severity = match status {
                Status::Regressed => names.of(change_pct),
                _ => Severity::Acceptable,
            };
            Decision {
                status,
                severity,
                change_pct,
                interval_pct: m.change.and_then(|c| c.interval(CONFIDENCE)).map(percent),
                noise_floor_pct: m.floor.map(|f| 100.0 * f.exp_m1()),
                more_runs,
                reason,
            }
        })
        .collect()
}

impl Family {
    /// Holds the rows of a suite against each other (Holm), the slower and the faster apart.
    pub fn of(rows: &[&TimedEvidence], error: f64) -> Self {
        let [slower, faster] = [true, false].map(|slower| {
            let p_values: Vec<f64> = rows
                .iter()
                .map(|m| {
                    if (m.est > 0.0) == slower {
                        m.p_value
                    } else {
                        1.0
                    }
                })
                .collect();
            holm(&p_values, error)
        });
        Self {
            rare: slower.0.iter().zip(&faster.0).map(|(s, f)| s | f).collect(),
            limits: [slower.1, faster.1],
        }
    }

    /// What is decided about row number `i`, whose figures are `m`.
    pub fn status(&self, i: usize, m: &TimedEvidence) -> Status {
        self.call(i, m).0
    }

    fn call(&self, i: usize, m: &TimedEvidence) -> (Status, Option<usize>, String) {
        call(m, self.rare[i], self.limits[usize::from(m.est <= 0.0)])
    }
}

/// The figures of a row by itself.
pub fn measure(row: &Evidence, times: &Times) -> TimedEvidence {
    let logs = |values: &[f64]| values.iter().map(|v| v.ln()).collect::<Vec<f64>>();
    let sessions: Vec<Vec<f64>> = row.old.iter().map(|s| logs(s)).collect();
    let new = logs(&row.new);
    let reference = Reference {
        sessions: &sessions,
        drift: (times.session_drift_pct / 100.0).ln_1p(),
    };
    let least = (times.noise_floor_min_pct / 100.0).ln_1p();
    let middle = |values: &[f64]| median(values).unwrap_or(f64::NAN);
    let change = reference.change(&new);
    TimedEvidence {
        change,
        p_value: change.map_or(1.0, |c| c.p_value()),
        est: middle(&new) - middle(&sessions.concat()),
        quick: lowest(&logs(&row.new_p10)) - lowest(&logs(&row.old_p10.concat())),
        threshold: (row.threshold_pct / 100.0).ln_1p(),
        floor: reference
            .noise_floor(new.len(), FLOOR_CONFIDENCE)
            .map(|f| f.max(least)),
        runs: new.len(),
    }
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn call(m: &TimedEvidence, rare: bool, limit: f64) -> (Status, Option<usize>, String) {
    let size = m.est.abs();
    let size_pct = 100.0 * m.est.exp_m1();
    if size <= m.threshold {
        return (Status::Unchanged, None, String::new());
    }
    // What may be a gain is no reason to hold anybody up.
    let unsure = match m.est > 0.0 {
        true => Status::Inconclusive,
        false => Status::Unchanged,
    };
    let (Some(change), Some(floor)) = (&m.change, m.floor) else {
        let reason = format!(
            "{size_pct:+.1} %, but the baseline has too few runs of it to tell that from noise; \
             refresh it with at least 5"
        );
        return (unsure, None, reason);
    };
    if size <= floor {
        let reason = format!(
            "{size_pct:+.1} % is within the noise of the baseline's own runs, which hides \
             anything up to {:.1} %",
            100.0 * floor.exp_m1()
        );
        return (Status::Unchanged, None, reason);
    }
    let certain = change
        .interval(CONFIDENCE)
        .is_some_and(|i| !i.contains(0.0));
    if !(rare && certain) {
        let more = change
            .runs_for(limit.min((1.0 - CONFIDENCE) / 2.0))
            .map(|n| n.saturating_sub(m.runs).max(1));
        let remedy = match more {
            Some(1) => "1 more run would decide".to_owned(),
            Some(more) => format!("about {more} more runs would decide"),
            None => "refresh the baseline with more runs; more runs now do not help".to_owned(),
        };
        return (
            unsure,
            more,
            format!("{size_pct:+.1} % may still be chance: {remedy}"),
        );
    }
    let quick_pct = 100.0 * m.quick.exp_m1();
    if m.quick.signum() != m.est.signum() || m.quick.abs() <= m.threshold / 2.0 {
        let reason = format!(
            "the median moved by {size_pct:+.1} %, the quickest run by only {quick_pct:+.1} %: \
             something else disturbed it, or only its slow cases changed; run it again"
        );
        return (unsure, Some(m.runs), reason);
    }
    match m.est > 0.0 {
        true => {
            let reason = "slower in its quickest runs as well: no disturbance".to_owned();
            (Status::Regressed, None, reason)
        }
        false => {
            let reason = "faster; refresh the baseline to hold on to it".to_owned();
            (Status::Improved, None, reason)
        }
    }
}

/// A change in one direction, larger than half the threshold, that at least three rows
/// in four share: more likely the machine, the compiler, or a change to something that
/// all of them use. `None` for fewer than five rows.
pub fn shared_shift(changes_pct: &[f64], threshold_pct: f64) -> Option<Shift> {
    let of = changes_pct.len();
    let median_pct = median(changes_pct)?;
    let rows = changes_pct
        .iter()
        .filter(|c| c.signum() == median_pct.signum() && c.abs() > threshold_pct / 2.0)
        .count();
    (of >= 5 && 4 * rows >= 3 * of).then_some(Shift {
        median_pct,
        rows,
        of,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use probecost::gate::Gate;

    fn evidence(old: &[f64], new: &[f64]) -> Evidence {
        Evidence {
            old: vec![old.to_vec()],
            old_p10: vec![old.to_vec()],
            new: new.to_vec(),
            new_p10: new.to_vec(),
            threshold_pct: 5.0,
        }
    }

    fn decide_one(row: Evidence) -> Decision {
        let gate = Gate::shipped();
        let row = measure(&row, &gate.times);
        decide(&[row], &gate.times, &gate.severity).remove(0)
    }

    const OLD: [f64; 10] = [
        100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 101.5, 98.5, 100.0,
    ];

    #[test]
    fn slower_faster_and_the_same() {
        let slower = decide_one(evidence(&OLD, &[120.0, 121.0, 119.0]));
        assert_eq!(
            (slower.status, slower.severity),
            (Status::Regressed, Severity::Warning)
        );
        let interval = slower.interval_pct.unwrap();
        assert!((slower.change_pct - 20.0).abs() < 0.1 && interval.lo > 0.0);
        let faster = decide_one(evidence(&OLD, &[80.0, 81.0, 79.0]));
        assert_eq!(
            (faster.status, faster.severity),
            (Status::Improved, Severity::Acceptable)
        );
        let same = decide_one(evidence(&OLD, &OLD));
        assert_eq!((same.status, same.reason.as_str()), (Status::Unchanged, ""));
    }

    #[test]
    fn a_slowdown_below_the_threshold_is_none() {
        assert_eq!(
            decide_one(evidence(&OLD, &[104.0; 5])).status,
            Status::Unchanged
        );
    }

    #[test]
    fn one_run_is_enough_for_what_is_plain() {
        assert_eq!(
            decide_one(evidence(&OLD, &[130.0])).status,
            Status::Regressed
        );
    }

    #[test]
    fn a_change_within_the_noise_is_no_finding_and_says_so() {
        let noisy = [
            100.0, 80.0, 120.0, 90.0, 110.0, 75.0, 125.0, 95.0, 105.0, 100.0,
        ];
        let row = decide_one(evidence(&noisy, &[112.0, 113.0, 111.0]));
        assert_eq!(row.status, Status::Unchanged);
        assert!(row.reason.contains("within the noise"), "{}", row.reason);
        assert!(row.noise_floor_pct.unwrap() > 12.0);
    }

    #[test]
    fn a_disturbance_of_the_slow_runs_is_not_a_regression() {
        let row = decide_one(evidence(&OLD, &[100.0, 99.0, 140.0, 142.0, 141.0]));
        assert_eq!(row.status, Status::Inconclusive);
        // The same medians, but in each run the quick samples took as long as before.
        let mut row = evidence(&OLD, &[140.0, 142.0, 141.0, 140.0, 143.0]);
        row.new_p10 = vec![100.0; 5];
        let row = decide_one(row);
        assert_eq!(row.status, Status::Inconclusive);
        assert!(row.reason.contains("quickest run"), "{}", row.reason);
    }

    #[test]
    fn what_may_be_a_gain_holds_nobody_up() {
        let mut row = evidence(&OLD, &[70.0, 71.0, 72.0, 70.5, 71.5]);
        row.new_p10 = vec![100.0; 5];
        let row = decide_one(row);
        assert_eq!(row.status, Status::Unchanged);
        assert!(row.change_pct < -20.0 && !row.reason.is_empty(), "{row:?}");
    }

    #[test]
    fn what_may_be_chance_says_how_many_runs_would_tell() {
        let old = [
            100.0, 103.0, 97.0, 102.0, 98.0, 104.0, 96.0, 101.0, 99.0, 100.0,
        ];
        let gate = Gate::shipped();
        let mut rows = vec![evidence(&OLD, &OLD); 50];
        rows.push(evidence(&old, &[110.0, 115.0, 107.0]));
        let rows: Vec<_> = rows.iter().map(|row| measure(row, &gate.times)).collect();
        let row = decide(&rows, &gate.times, &gate.severity).pop().unwrap();
        assert_eq!(row.status, Status::Inconclusive, "{row:?}");
        assert!(
            row.more_runs.is_some_and(|n| n > 0) && row.reason.contains("more run"),
            "{row:?}"
        );
    }

    #[test]
    fn too_few_runs_decide_nothing_large() {
        let row = decide_one(evidence(&[100.0, 101.0], &[150.0]));
        assert_eq!(row.status, Status::Inconclusive);
        assert!(row.reason.contains("too few runs"), "{}", row.reason);
    }

    #[test]
    fn a_shift_is_shared_by_three_in_four() {
        let shift = shared_shift(&[8.0, 9.0, 10.0, 8.5, 0.0], 5.0).unwrap();
        assert_eq!((shift.rows, shift.of, shift.median_pct), (4, 5, 8.5));
        assert_eq!(shared_shift(&[8.0, 9.0, 10.0, 0.5, 0.0], 5.0), None);
        assert_eq!(shared_shift(&[8.0, 9.0, 10.0], 5.0), None);
        assert_eq!(shared_shift(&[8.0, -9.0, 10.0, -8.0, 9.0], 5.0), None);
        assert_eq!(shared_shift(&[], 5.0), None);
    }
}
