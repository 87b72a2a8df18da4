//! The tracer's requirements, each held against what was measured.

use std::time::Duration;

use statrs::distribution::{Beta, ContinuousCDF};

use super::measured::{ArmBlock, BLOCK, TracingMeasured};
use crate::gate::{self, Limit, TracingLimits};
use crate::load::KEPT_UP;
use crate::schema::Outcome;
use crate::schema::tracing::{Requirement, TracingArm};
use crate::stats::{CONFIDENCE, Interval, median_interval, shift_interval, slope};

/// The part of a run in which tables and caches fill up.
const WARM_UP: f64 = 0.2;
/// Looks at memory, one a cycle, that are averaged before a line is laid through them:
/// neighbours are not independent of each other.
const TOGETHER: usize = 4;

/// Every requirement and what became of it.
pub(super) fn judge(measured: &TracingMeasured, limits: &TracingLimits) -> Vec<Requirement> {
    let blocks = &measured.blocks;
    let traced = || blocks.iter().filter(|b| b.arm == TracingArm::Tracing);
    let cpu: Vec<f64> = traced().map(|b| b.tracer_cpu_pct).collect();
    let busy = differences(blocks, TracingArm::Tracing, |b| b.busy_pct);
    let memory = Interval::exact(measured.memory as f64 / 1e6);
    let lost = measured.counts.traffic.failed;
    let load = requests_per_s(measured);
    let mut rows = vec![
        most("cpu_pct", median_interval(&cpu, CONFIDENCE), limits.cpu_pct),
        most(
            "machine_cpu_points",
            median_interval(&busy, CONFIDENCE),
            limits.machine_cpu_points,
        ),
        most("memory_mb", Some(memory), limits.memory_mb),
        growth(&measured.asked_for, limits.growth_mb_per_hour),
        events_per_s(pieces_per_s(traced()), lost, limits.events_per_s),
        most("lost_pieces", Some(Interval::exact(lost as f64)), 0.0),
    ];
    for (arm, name) in [
        (TracingArm::Attached, "attached"),
        (TracingArm::Tracing, "added"),
    ] {
        for (at, percentile) in ["p50", "p95", "p99"].into_iter().enumerate() {
            let rounds = || {
                (measured.latencies.iter()).filter_map(|round| {
                    let without = round[TracingArm::Off as usize][at]? / 1e3;
                    Some((without, round[arm as usize][at]? / 1e3 - without))
                })
            };
            let added: Vec<f64> = rounds().map(|(_, added)| added).collect();
            let without: Vec<f64> = rounds().map(|(without, _)| without).collect();
            let row = most(
                &format!("{name}_{percentile}_ms"),
                shift_interval(&added, CONFIDENCE),
                limits.added_ms,
            );
            rows.push(match arm {
                TracingArm::Tracing => beside(row, median_interval(&without, CONFIDENCE)),
                _ => row,
            });
        }
    }
    let seen = (measured.sent > 0)
        .then(|| Interval::exact(measured.seen as f64 / measured.sent as f64 * 100.0));
    rows.push(Requirement {
        reason: format!(
            "{} of {} requests, by their number",
            measured.seen, measured.sent
        ),
        ..least("seen_pct", seen, limits.seen_pct)
    });
    let age = measured.spans.age_ms(0.99).map(Interval::exact);
    rows.push(most("span_p99_ms", age, limits.span_p99_ms));
    rows.push(availability(
        traced(),
        total(blocks),
        limits.availability_pct,
    ));
    if load.verdict != Outcome::Pass {
        rows.iter_mut().for_each(|row| doubt(row, &load));
    }
    rows.insert(0, load);
    rows
}

/// Whether the load was made as asked: what the server answered, and requests under way.
fn requests_per_s(measured: &TracingMeasured) -> Requirement {
    let kept = measured.asked * measured.pace.kept(measured.connections);
    // An arm that holds the load up is seen only where it does not, however calm the others.
    let mut arms = measured.left_out().into_iter();
    let misled = arms.find(|(left_out, all)| 2 * left_out > *all);
    let (verdict, reason) = if let Some(why) = &measured.broken_off {
        (Outcome::Broken, why.clone())
    } else if !measured.pace.is_kept(measured.connections) {
        let reason = format!(
            "{:.0} of {} requests a second were answered in time: ask for a lower --rate",
            measured.pace.reached(measured.length),
            measured.asked
        );
        (Outcome::Inconclusive, reason)
    } else if let Some((left_out, all)) = misled {
        let reason = format!(
            "the load fell behind by itself in {left_out} of {all} blocks of one arm: ask for \
             a lower --rate, or try on a quieter machine"
        );
        (Outcome::Inconclusive, reason)
    } else {
        (Outcome::Pass, String::new())
    };
    let limit = KEPT_UP * measured.asked;
    Requirement {
        verdict,
        reason,
        ..least("requests_per_s", Some(Interval::exact(kept)), limit)
    }
}

/// Nothing passes by those requests alone that were answered, or before it broke off.
fn doubt(row: &mut Requirement, load: &Requirement) {
    if row.verdict == Outcome::Pass {
        row.verdict = load.verdict;
        row.reason = match load.verdict {
            Outcome::Broken => format!("it broke off: {}", load.reason),
            _ => format!("not at the rate that was asked for: {}", load.reason),
        };
    }
}

fn most(measure: &str, measured: Option<Interval>, limit: f64) -> Requirement {
    requirement(measure, measured, limit, false)
}

fn least(measure: &str, measured: Option<Interval>, limit: f64) -> Requirement {
    requirement(measure, measured, limit, true)
}

fn requirement(
    measure: &str,
    measured: Option<Interval>,
    limit: f64,
    is_least: bool,
) -> Requirement {
    let held = if is_least {
        Limit::AtLeast(limit)
    } else {
        Limit::AtMost(limit)
    };
    Requirement {
        measure: measure.into(),
        measured,
        limit,
        is_least,
        verdict: measured.map_or(Outcome::Inconclusive, |interval| {
            gate::judge(interval, held)
        }),
        reason: match measured {
            Some(_) => String::new(),
            None => "too few blocks for an interval: give it longer".into(),
        },
    }
}

/// What was added, as a share of the latency it was added to, in ms.
fn beside(row: Requirement, without: Option<Interval>) -> Requirement {
    let Some((added, without)) = row.measured.zip(without).filter(|(_, w)| w.est > 0.0) else {
        return row;
    };
    let [lo, hi] = [added.lo, added.hi].map(|end| 100.0 * end / without.est);
    Requirement {
        reason: format!(
            "{lo:.1} … {hi:.1} % of a round's {:.3} ms under `off`",
            without.est
        ),
        ..row
    }
}

/// What an arm has more of than `off` in the same round.
fn differences(blocks: &[ArmBlock], arm: TracingArm, value: impl Fn(&ArmBlock) -> f64) -> Vec<f64> {
    let mean = |round: &[ArmBlock], arm: TracingArm| {
        let values: Vec<f64> = (round.iter().filter(|b| b.arm == arm))
            .map(&value)
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let rounds = blocks.chunk_by(|one, next| one.round == next.round);
    rounds
        .map(|round| mean(round, arm) - mean(round, TracingArm::Off))
        // Of a round without a block of one of them there is none.
        .filter(|difference| difference.is_finite())
        .collect()
}

/// The slope of the memory that was asked for, once it is warm. Its interval allows for one
/// step as large as the largest between neighbours: a late page, or a table that doubles, is
/// no trend.
fn growth(asked_for: &[(f64, f64)], limit: f64) -> Requirement {
    let warm = (asked_for.len() as f64 * WARM_UP) as usize;
    let points: Vec<(f64, f64)> = asked_for[warm..]
        .chunks_exact(TOGETHER)
        .map(|chunk| {
            let mean = |value: fn(&(f64, f64)) -> f64| {
                chunk.iter().map(value).sum::<f64>() / TOGETHER as f64
            };
            (mean(|p| p.0), mean(|p| p.1) / 1e6)
        })
        .collect();
    let slope = slope(&points, CONFIDENCE).map(|slope| with_a_step(slope, &asked_for[warm..]));
    most("growth_mb_per_hour", slope, limit)
}

/// A step in the middle of a run of length T looks like a slope of 1.5 steps / T.
fn with_a_step(slope: Interval, samples: &[(f64, f64)]) -> Interval {
    let ends = samples.first().zip(samples.last());
    let hours = ends.map_or(0.0, |(first, last)| last.0 - first.0);
    let steps = || samples.windows(2).map(|pair| (pair[1].1 - pair[0].1) / 1e6);
    let (rise, fall) = steps().fold((0.0_f64, 0.0_f64), |(rise, fall), step| {
        (rise.max(step), fall.max(-step))
    });
    Interval {
        lo: slope.lo - 1.5 * rise / hours,
        hi: slope.hi + 1.5 * fall / hours,
        ..slope
    }
}

/// Pieces and time of the same blocks: between them the load goes on.
fn pieces_per_s<'a>(blocks: impl Iterator<Item = &'a ArmBlock>) -> Option<f64> {
    let (pieces, ns) = blocks.fold((0, 0), |(pieces, ns), block| {
        (
            pieces + block.pieces,
            ns + block.span.end - block.span.start,
        )
    });
    (ns > 0).then(|| pieces as f64 * 1e9 / ns as f64)
}

/// A rate below the limit says nothing of what could be taken.
fn events_per_s(events: Option<f64>, lost: u64, limit: f64) -> Requirement {
    let row = least("events_per_s", events.map(Interval::exact), limit);
    match row.verdict {
        Outcome::Pass if lost > 0 => Requirement {
            verdict: Outcome::Fail,
            reason: "at this rate some were lost".into(),
            ..row
        },
        Outcome::Fail => Requirement {
            verdict: Outcome::Inconclusive,
            reason: "the load made no more: ask for a higher --rate".into(),
            ..row
        },
        _ => row,
    }
}

/// From the begin of the first block to the end of the last.
fn total(blocks: &[ArmBlock]) -> Duration {
    let ends = blocks.first().zip(blocks.last());
    ends.map_or(Duration::ZERO, |(first, last)| {
        Duration::from_nanos(last.span.end - first.span.start)
    })
}

/// The share of blocks without loss, error or stall. `total` is what measuring took, all
/// arms and switches together.
fn availability<'a>(
    blocks: impl Iterator<Item = &'a ArmBlock>,
    total: Duration,
    limit: f64,
) -> Requirement {
    let (mut all, mut up) = (0.0, 0.0);
    for block in blocks.filter(|block| block.due > 0) {
        let is_up = block.lost == 0 && block.faults == 0;
        all += 1.0;
        up += f64::from(is_up);
    }
    let row = least(
        "availability_pct",
        share(up, all).map(|s| s.map(|x| x * 100.0)),
        limit,
    );
    let needed = ((1.0 - CONFIDENCE) / 2.0).ln() / (limit / 100.0).ln();
    let traced_s = needed * BLOCK.as_secs_f64();
    Requirement {
        reason: match row.verdict {
            Outcome::Inconclusive => format!(
                "without a single fault {limit} % takes {traced_s:.0} s of tracing to show: \
                 --duration {:.0}",
                needed / all.max(1.0) * total.as_secs_f64()
            ),
            _ => row.reason,
        },
        ..row
    }
}

/// A share and its interval (Clopper & Pearson 1934).
fn share(hits: f64, all: f64) -> Option<Interval> {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let end = |a: f64, b: f64, p: f64| Some(Beta::new(a, b).ok()?.inverse_cdf(p));
    Some(Interval {
        est: (all > 0.0).then(|| hits / all)?,
        lo: if hits == 0.0 {
            0.0
        } else {
            end(hits, all - hits + 1.0, tail)?
        },
        hi: if hits == all {
            1.0
        } else {
            end(hits + 1.0, all - hits, 1.0 - tail)?
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::tracing::measured::ARMS;
    use crate::gate::Gate;
    use crate::host::Obstacle;
    use crate::load::RequestRecord;
    use crate::schema::load::RequestError;

    /// Blocks of half a second, one of each arm in turn, in which all is well.
    fn measured(rounds: usize) -> TracingMeasured {
        let blocks = (0..rounds).flat_map(|round| {
            ARMS.into_iter()
                .zip(3 * round as u64..)
                .map(move |(arm, k)| ArmBlock {
                    arm,
                    round,
                    span: k * 500_000_000..(k + 1) * 500_000_000,
                    due: 100,
                    faults: 0,
                    busy_pct: 50.0,
                    tracer_cpu_pct: 1.0,
                    pieces: 5_000,
                    lost: 0,
                })
        });
        let mut measured = TracingMeasured::with_room(1000.0, 10, Duration::ZERO);
        measured.blocks.extend(blocks);
        measured.latencies = vec![[[Some(100.0); 3]; 3]; rounds];
        measured
    }

    #[test]
    fn a_request_that_outlives_its_block_is_held_against_it() {
        let available = |measured: &TracingMeasured| {
            let traced = measured
                .blocks
                .iter()
                .filter(|b| b.arm == TracingArm::Tracing);
            let row = availability(traced, total(&measured.blocks), 99.9);
            // 5296 blocks of tracing, of which this run of 15 s had ten.
            let longer =
                row.verdict != Outcome::Inconclusive || row.reason.ends_with("--duration 7944");
            assert!(longer, "{}", row.reason);
            row.measured.unwrap().est
        };
        let second = 1_000_000_000;
        let in_round = |round: u64, arm: TracingArm| (3 * round + arm as u64) * second / 2 + 7;
        for (arm, took, outcome, share, failed) in [
            (
                TracingArm::Tracing,
                2 * second,
                Err(RequestError::Timeout),
                90.0,
                1,
            ),
            (TracingArm::Tracing, second, Ok(()), 90.0, 0),
            (TracingArm::Tracing, second / 2, Ok(()), 100.0, 0),
            (
                TracingArm::Off,
                2 * second,
                Err(RequestError::Timeout),
                100.0,
                1,
            ),
        ] {
            let mut measured = measured(10);
            measured.arms[arm as usize].across = 1;
            let intended = in_round(4, arm);
            let record = RequestRecord {
                number: 1,
                intended,
                noticed: intended,
                ended: intended + took,
                outcome,
            };
            measured.take_late(&record, u64::MAX);
            assert_eq!(available(&measured), share, "{arm:?} {took} {outcome:?}");
            let total = &measured.arms[arm as usize];
            assert_eq!(
                (total.tally.failed(), total.tally.due() + total.across),
                (failed, 1)
            );
        }
    }

    #[test]
    fn a_share_without_a_fault_is_no_certainty() {
        // 0.005^(1/n) for n without a fault.
        let all = share(100.0, 100.0).unwrap();
        assert!(
            (all.lo - 0.005_f64.powf(0.01)).abs() < 1e-6 && all.hi == 1.0,
            "{all:?}"
        );
        let none = share(0.0, 10.0).unwrap();
        assert!(none.lo == 0.0 && (none.hi - (1.0 - 0.005_f64.powf(0.1))).abs() < 1e-6);
        assert!(share(0.0, 0.0).is_none());
    }

    #[test]
    fn a_planted_leak_is_a_slope_and_none_is_none() {
        let hours = |k: usize| k as f64 * 0.5 / 3600.0;
        let mut rng = fastrand::Rng::with_seed(3);
        let mut memory = |mb_per_hour: f64| -> Vec<(f64, f64)> {
            (0..600)
                .map(|k| {
                    (
                        hours(k),
                        2e7 + mb_per_hour * 1e6 * hours(k) + rng.f64() * 4096.0,
                    )
                })
                .collect()
        };
        assert_eq!(growth(&memory(60.0), 1.0).verdict, Outcome::Fail);
        assert_eq!(growth(&memory(0.0), 1.0).verdict, Outcome::Pass);
        assert_eq!(growth(&[], 1.0).verdict, Outcome::Inconclusive);
    }

    /// Pages that were late, and a table that doubled: in a short run they decide nothing, in
    /// a long one they weigh nothing, and a leak is found beside them.
    #[test]
    fn a_late_step_is_no_trend() {
        let samples = |seconds: f64, mb_per_minute: f64, step: f64| -> Vec<(f64, f64)> {
            let count = (seconds / 0.75) as usize;
            (0..count)
                .map(|k| {
                    let hours = k as f64 * 0.75 / 3600.0;
                    let grown = 2e7 + mb_per_minute * 60.0 * 1e6 * hours;
                    let late = if k > count * 6 / 10 { step } else { 0.0 };
                    // Memory comes by pages.
                    (hours, ((grown + late) / 4096.0).ceil() * 4096.0)
                })
                .collect()
        };
        for (seconds, leak, step, verdict) in [
            (90.0, 0.0, 37e3, Outcome::Inconclusive),
            (90.0, 0.0, 0.0, Outcome::Pass),
            (3600.0, 0.0, 256e3, Outcome::Pass),
            (300.0, 1.0, 0.0, Outcome::Fail),
            (300.0, 1.0, 256e3, Outcome::Fail),
        ] {
            let row = growth(&samples(seconds, leak, step), 1.0);
            assert_eq!(row.verdict, verdict, "{seconds} {leak} {step}: {row:?}");
        }
    }

    /// Requests that fell due and were never sent: what was measured is of the others.
    #[test]
    fn nothing_passes_at_a_rate_that_was_not_reached() {
        let judged = |unsent: u64, left_out: usize, ended: Option<&str>| {
            let mut measured = measured(20);
            measured.broken_off = ended.map(str::to_owned);
            measured.arms[TracingArm::Tracing as usize].left_out = left_out;
            for number in 0..1000 {
                let intended = number * 1_000_000;
                let record = RequestRecord {
                    number,
                    intended,
                    noticed: intended,
                    ended: intended,
                    outcome: match number < unsent {
                        true => Err(RequestError::Unsent),
                        false => Ok(()),
                    },
                };
                measured.pace.add(&record, 1_000_000_000);
            }
            measured.length = Duration::from_secs(1);
            let rows = judge(&measured, &Gate::shipped().tracing);
            assert_eq!(rows[0].measure, "requests_per_s");
            let passed = rows.iter().filter(|row| row.verdict == Outcome::Pass);
            (rows[0].clone(), passed.count())
        };
        // Each arm has 20 blocks besides.
        let (load, passed) = judged(0, 20, None);
        assert!(load.verdict == Outcome::Pass && passed > 8, "{passed}");
        for (unsent, left_out, ended, verdict, said) in [
            (500, 0, None, Outcome::Inconclusive, "500 of 1000 requests"),
            (0, 21, None, Outcome::Inconclusive, "21 of 41 blocks"),
            (0, 0, Some("nginx has ended"), Outcome::Broken, "nginx"),
        ] {
            let (load, passed) = judged(unsent, left_out, ended);
            assert_eq!((load.verdict, passed), (verdict, 0));
            assert!(load.reason.contains(said), "{}", load.reason);
        }
    }

    #[test]
    fn what_broke_off_keeps_what_was_measured_and_passes_nothing() {
        let stalled = || Obstacle::new("the consumer took 5 of 9 records", "give it a CPU");
        let mut none = measured(0);
        assert_eq!(none.break_off(stalled()).unwrap_err().why, stalled().why);
        let mut some = measured(20);
        some.break_off(stalled()).unwrap();
        let rows = judge(&some, &Gate::shipped().tracing);
        assert!(rows[0].verdict == Outcome::Broken && rows[0].reason.contains("5 of 9"));
        let cpu = rows.iter().find(|row| row.measure == "cpu_pct").unwrap();
        assert_eq!(
            (cpu.verdict, cpu.measured.is_some()),
            (Outcome::Broken, true)
        );
        assert!(cpu.reason.starts_with("it broke off"), "{}", cpu.reason);
    }

    #[test]
    fn what_is_added_is_said_beside_what_it_was_added_to() {
        let mut measured = measured(10);
        for (k, round) in measured.latencies.iter_mut().enumerate() {
            round[TracingArm::Tracing as usize][0] = Some(102.0 + k as f64 / 10.0);
        }
        let rows = judge(&measured, &Gate::shipped().tracing);
        let said = |name: &str| {
            let row = rows.iter().find(|row| row.measure == name).unwrap();
            row.reason.as_str()
        };
        assert_eq!(
            said("added_p50_ms"),
            "2.1 … 2.8 % of a round's 0.100 ms under `off`"
        );
        assert_eq!(
            said("added_p95_ms"),
            "0.0 … 0.0 % of a round's 0.100 ms under `off`"
        );
    }

    #[test]
    fn pieces_between_blocks_are_no_part_of_the_rate() {
        let mut measured = measured(10);
        measured.counts.traffic.seen = 60_000;
        let limits = Gate::shipped().tracing;
        let rows = judge(&measured, &limits);
        let row = rows.iter().find(|row| row.measure == "events_per_s");
        assert_eq!(row.unwrap().measured.unwrap().est, 10_000.0);
    }

    #[test]
    fn a_load_that_makes_few_events_decides_nothing() {
        for (events, lost, verdict) in [
            (None, 0, Outcome::Inconclusive),
            (Some(400.0), 0, Outcome::Inconclusive),
            (Some(12_000.0), 0, Outcome::Pass),
            (Some(12_000.0), 3, Outcome::Fail),
        ] {
            assert_eq!(events_per_s(events, lost, 10_000.0).verdict, verdict);
        }
    }
}
