//! What the blocks come to.

use fastrand::Rng;

use crate::gate::{self, Limit};
use crate::schema::pressure::{MonitorBlock, PressureArm, PressureBlock, PressurePolicy};
use crate::schema::{Bound, Finding, Outcome};
use crate::stats::{CONFIDENCE, Interval, median, median_interval};

/// A load that stalls for less of each second makes nothing that could become less.
const LEAST_STALL_US_S: f64 = 10_000.0;
/// In so many runs the baseline is looked at.
const RUNS: usize = 3;

/// The arms, and every limit with what became of it.
pub(super) fn judge(
    blocks: &[PressureBlock],
    policies: &[PressurePolicy],
    frozen: bool,
    budgets: &gate::PressureBudgets,
    seed: u64,
) -> (Vec<PressureArm>, Vec<Finding>) {
    let arms: Vec<PressureArm> = policies.iter().map(|policy| arm(blocks, *policy)).collect();
    let mut rows = Vec::new();
    for arm in &arms {
        if matches!(
            arm.policy,
            PressurePolicy::Throttle | PressurePolicy::Reclaim
        ) {
            rows.push(less(arm, &arms, budgets.less_pct));
        }
    }
    for (measure, limit, value) in [
        (
            "monitor_cpu_pct",
            budgets.cpu_pct,
            monitors(blocks, |m| m.cpu_pct),
        ),
        (
            "monitor_memory_mb",
            budgets.memory_mb,
            monitors(blocks, |m| m.memory_mb),
        ),
    ] {
        rows.push(finding(
            "the monitor",
            measure,
            value,
            Some(limit),
            Bound::AtMost,
        ));
    }
    rows.push(teeth(blocks));
    rows.push(control(blocks, seed));
    let left = Some(Interval::exact(f64::from(u8::from(frozen))));
    rows.push(finding(
        "everything",
        "left_frozen",
        left,
        Some(0.0),
        Bound::AtMost,
    ));
    (arms, rows)
}

fn of(blocks: &[PressureBlock], policy: PressurePolicy) -> Vec<&PressureBlock> {
    blocks
        .iter()
        .filter(|block| block.policy == policy)
        .collect()
}

fn arm(blocks: &[PressureBlock], policy: PressurePolicy) -> PressureArm {
    let own = of(blocks, policy);
    let figure = |value: fn(&PressureBlock) -> f64| {
        let values: Vec<f64> = own.iter().map(|block| value(block)).collect();
        median_interval(&values, CONFIDENCE)
    };
    let monitor = |value: fn(&MonitorBlock) -> Option<f64>| {
        let values: Vec<f64> = own
            .iter()
            .filter_map(|b| value(b.monitor.as_ref()?))
            .collect();
        median_interval(&values, CONFIDENCE)
    };
    let off = of(blocks, PressurePolicy::Off);
    let less: Vec<f64> = own
        .iter()
        .filter_map(|block| {
            let off = off.iter().find(|off| off.round == block.round)?;
            Some((1.0 - block.some_us_s / off.some_us_s) * 100.0)
        })
        .collect();
    PressureArm {
        policy,
        some_us_s: figure(|b| b.some_us_s),
        full_us_s: figure(|b| b.full_us_s),
        high_some_us_s: figure(|b| b.high_some_us_s),
        high_pages_s: figure(|b| b.high_pages_s),
        low_pages_s: figure(|b| b.low_pages_s),
        swapped_pages_s: figure(|b| b.swapped_pages_s),
        reactions: own
            .iter()
            .filter_map(|b| b.monitor)
            .map(|m| m.reactions)
            .sum(),
        monitor_cpu_pct: monitor(|m| Some(m.cpu_pct)),
        monitor_mb: monitor(|m| Some(m.memory_mb)),
        delay_ms: monitor(|m| m.delay_ms),
        less_pct: match policy {
            PressurePolicy::Off => None,
            _ => median_interval(&less, CONFIDENCE),
        },
    }
}

/// Whether acting on pressure saves enough of it, and what it costs the group that pays.
fn less(arm: &PressureArm, arms: &[PressureArm], limit: f64) -> Finding {
    let name = format!("stall of both groups, {}", arm.policy);
    let mut row = finding(&name, "less_pct", arm.less_pct, Some(limit), Bound::AtLeast);
    let off = arms.iter().find(|arm| arm.policy == PressurePolicy::Off);
    let Some(off) = off else { return row };
    if off
        .some_us_s
        .is_some_and(|some| some.est < LEAST_STALL_US_S)
    {
        row.verdict = Outcome::Broken;
        row.reason = "the load makes too little pressure; take a smaller --limit".into();
        return row;
    }
    let share = |with: Option<Interval>, without: Option<Interval>| {
        with.zip(without)
            .map(|(with, without)| (with.est / without.est - 1.0) * 100.0)
    };
    let paid = share(arm.low_pages_s, off.low_pages_s);
    let gained = share(arm.high_pages_s, off.high_pages_s);
    if let (Some(paid), Some(gained)) = (paid, gained) {
        let words = format!("the low group gets on {paid:+.0} %, the high one {gained:+.0} %");
        row.reason = match row.reason.as_str() {
            "" => words,
            reason => format!("{reason}; {words}"),
        };
    }
    row
}

/// A monitor that did not react in a block did nothing there.
fn teeth(blocks: &[PressureBlock]) -> Finding {
    let watched: Vec<_> = blocks.iter().filter_map(|block| block.monitor).collect();
    let awake = watched
        .iter()
        .filter(|monitor| monitor.reactions > 0)
        .count();
    let value = Some(Interval::exact(awake as f64));
    let limit = Some(watched.len() as f64);
    let mut row = finding(
        "blocks in which it reacted",
        "blocks",
        value,
        limit,
        Bound::AtLeast,
    );
    if awake < watched.len() {
        row.verdict = Outcome::Broken;
        row.reason = "where the monitor did not react, nothing was compared".into();
    }
    row
}

/// The two halves of blocks without a monitor, in an order that is drawn: they must come
/// out as one.
fn control(blocks: &[PressureBlock], seed: u64) -> Finding {
    let mut rng = Rng::with_seed(seed);
    let ratios: Vec<f64> = of(blocks, PressurePolicy::Off)
        .iter()
        .map(|block| {
            let [first, second] = block.halves_us_s;
            if rng.bool() {
                first / second
            } else {
                second / first
            }
        })
        .collect();
    let value = median_interval(&ratios, CONFIDENCE);
    let mut row = finding(
        "off / off, halves of a block",
        "control",
        value,
        None,
        Bound::AtMost,
    );
    if let Some(value) = value
        && !value.contains(1.0)
    {
        row.verdict = Outcome::Broken;
        row.reason = "the same was measured twice and came out as two".into();
    }
    row
}

/// Says that the baseline itself moves by more than `limit` percent over three runs, where
/// it does. Arms are compared within a round, so that this fails nothing.
pub(super) fn unsteady(blocks: &[PressureBlock], limit: f64) -> Option<String> {
    let off: Vec<f64> = of(blocks, PressurePolicy::Off)
        .iter()
        .map(|b| b.some_us_s)
        .collect();
    let runs: Vec<f64> = off
        .chunks(off.len().div_ceil(RUNS).max(1))
        .filter_map(median)
        .collect();
    if runs.len() < RUNS {
        return None;
    }
    let (lo, hi) = runs
        .iter()
        .fold((f64::MAX, 0.0_f64), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    let spread = (hi / lo - 1.0) * 100.0;
    (spread > limit).then(|| {
        format!(
            "the baseline itself moved by {spread:.0} % over three thirds of the run, more than \
             {limit:.0} %: only arms of the same round can be compared"
        )
    })
}

fn monitors(blocks: &[PressureBlock], value: fn(&MonitorBlock) -> f64) -> Option<Interval> {
    let all: Vec<f64> = blocks
        .iter()
        .filter_map(|b| b.monitor.as_ref())
        .map(value)
        .collect();
    median_interval(&all, CONFIDENCE)
}

fn finding(
    name: &str,
    measure: &str,
    value: Option<Interval>,
    limit: Option<f64>,
    bound: Bound,
) -> Finding {
    let (verdict, reason) = match (value, limit) {
        (None, _) => (Outcome::Inconclusive, "too few rounds make no interval"),
        (Some(_), None) => (Outcome::Pass, ""),
        (Some(value), Some(limit)) => {
            let limit = match bound {
                Bound::AtMost => Limit::AtMost(limit),
                Bound::AtLeast => Limit::AtLeast(limit),
            };
            let verdict = gate::judge(value, limit);
            let inside = verdict == Outcome::Inconclusive;
            (
                verdict,
                if inside {
                    "the limit lies inside the interval"
                } else {
                    ""
                },
            )
        }
    };
    Finding {
        name: name.into(),
        measure: measure.into(),
        value,
        unit: measure.rsplit('_').next().unwrap_or_default().into(),
        limit,
        bound,
        verdict,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGETS: gate::PressureBudgets = gate::PressureBudgets {
        less_pct: 5.0,
        cpu_pct: 1.0,
        memory_mb: 20.0,
        steady_pct: 5.0,
    };

    fn block(round: usize, policy: PressurePolicy, some: f64) -> PressureBlock {
        let noise = 1.0 + 0.01 * (round % 3) as f64;
        PressureBlock {
            round,
            policy,
            some_us_s: some * noise,
            halves_us_s: [some * (1.0 + 0.02 * (round % 2) as f64), some * 1.01],
            full_us_s: some / 2.0,
            machine_some_us_s: some,
            high_some_us_s: some / 2.0,
            high_pages_s: 1000.0,
            low_pages_s: if policy == PressurePolicy::Throttle {
                800.0
            } else {
                1000.0
            },
            swapped_pages_s: 0.0,
            monitor: (policy != PressurePolicy::Off).then_some(MonitorBlock {
                reactions: 2,
                cpu_pct: 0.1,
                memory_mb: 6.0,
                delay_ms: Some(1500.0),
            }),
        }
    }

    fn blocks(throttled: f64) -> Vec<PressureBlock> {
        (0..9)
            .flat_map(|round| {
                [
                    block(round, PressurePolicy::Off, 300_000.0),
                    block(round, PressurePolicy::Observe, 300_000.0),
                    block(round, PressurePolicy::Throttle, throttled),
                ]
            })
            .collect()
    }

    fn verdict(blocks: &[PressureBlock], frozen: bool, measure: &str) -> Outcome {
        let policies = [
            PressurePolicy::Off,
            PressurePolicy::Observe,
            PressurePolicy::Throttle,
        ];
        let (_, rows) = judge(blocks, &policies, frozen, &BUDGETS, 1);
        let row = rows.iter().find(|row| row.measure == measure);
        row.unwrap_or_else(|| panic!("no row {measure}")).verdict
    }

    #[test]
    fn a_good_run_passes_and_says_who_pays() {
        let policies = [
            PressurePolicy::Off,
            PressurePolicy::Observe,
            PressurePolicy::Throttle,
        ];
        let (arms, rows) = judge(&blocks(200_000.0), &policies, false, &BUDGETS, 1);
        for row in &rows {
            assert_eq!(row.verdict, Outcome::Pass, "{row:?}");
        }
        assert!(
            rows[0].reason.contains("low group gets on -20 %"),
            "{:?}",
            rows[0]
        );
        assert_eq!(arms[0].less_pct, None);
        assert_eq!(arms[2].reactions, 18);
    }

    #[test]
    fn each_row_turns_red() {
        assert_eq!(
            verdict(&blocks(299_000.0), false, "less_pct"),
            Outcome::Fail
        );
        assert_eq!(
            verdict(&blocks(200_000.0), true, "left_frozen"),
            Outcome::Fail
        );
        type BlockEdit = fn(&mut PressureBlock);
        let cases: [(&str, BlockEdit, Outcome); 4] = [
            ("less_pct", |b| b.some_us_s /= 1000.0, Outcome::Broken),
            (
                "monitor_cpu_pct",
                |b| change(b, |m| m.cpu_pct = 1.5),
                Outcome::Fail,
            ),
            (
                "monitor_memory_mb",
                |b| change(b, |m| m.memory_mb = 25.0),
                Outcome::Fail,
            ),
            (
                "blocks",
                |b| change(b, |m| m.reactions = 0),
                Outcome::Broken,
            ),
        ];
        for (measure, spoil, outcome) in cases {
            let mut all = blocks(200_000.0);
            all.iter_mut().for_each(spoil);
            assert_eq!(verdict(&all, false, measure), outcome, "{measure}");
        }
    }

    #[test]
    fn a_baseline_that_moves_is_said_to() {
        let mut all = blocks(200_000.0);
        assert_eq!(unsteady(&all, 5.0), None);
        all.iter_mut()
            .for_each(|b| b.some_us_s *= 1.0 + b.round as f64 / 10.0);
        assert!(unsteady(&all, 5.0).is_some_and(|said| said.contains("more than 5 %")));
    }

    fn change(block: &mut PressureBlock, change: fn(&mut MonitorBlock)) {
        if let Some(monitor) = &mut block.monitor {
            change(monitor);
        }
    }

    #[test]
    fn too_few_rounds_decide_nothing() {
        let few = &blocks(200_000.0)[..6];
        assert_eq!(verdict(few, false, "less_pct"), Outcome::Inconclusive);
    }
}
