//! What a soak comes to.

use crate::gate::{self, AgentBudgets};
use crate::schema::soak::{SoakKind, SoakSample, SoakSettings, SoakTotals};
use crate::schema::{Check, Outcome, SystemLoad};
use crate::stats::{CONFIDENCE, Interval, median_interval, slope};

const MB: f64 = 1e6;
/// The part of a run in which tables and caches fill up.
const WARM_UP: f64 = 0.1;
/// Samples that are averaged before a line is laid through them: neighbours are
/// not independent of each other.
const TOGETHER: usize = 10;
/// The least part of the rate asked for that counts as having been held.
const HELD: f64 = 0.98;

/// Every budget of a soak and what became of it.
pub fn judge(
    totals: &SoakTotals,
    settings: &SoakSettings,
    samples: &[SoakSample],
    budgets: &AgentBudgets,
) -> Vec<Check> {
    let unavailable = unavailable_pct(samples).map(Interval::exact);
    let warm = totals.seconds * WARM_UP;
    let samples: Vec<SoakSample> = samples.iter().filter(|s| s.at_s > warm).copied().collect();
    let mut drops = gate::check(
        "drops_pct",
        budgets.drops_pct,
        Interval::exact(totals.lost as f64 / totals.events.max(1) as f64 * 100.0),
    );
    // Losses are losses; that there were none says little of too few events, or
    // of another load than the one asked for.
    let tried = totals.events >= budgets.least_events && totals.rate() >= HELD * settings.rate;
    if drops.verdict == Outcome::Pass && !tried {
        drops.verdict = Outcome::Inconclusive;
    }
    let growth = slope(&memory_over_hours(&samples), CONFIDENCE);
    let descriptors = samples
        .first()
        .zip(samples.last())
        .map(|(first, last)| Interval::exact(last.descriptors as f64 - first.descriptors as f64));
    let memory: Vec<f64> = samples
        .iter()
        .map(|s| (s.resident + s.maps) as f64 / MB)
        .collect();
    let memory = median_interval(&memory, CONFIDENCE);
    let shares: Vec<f64> = samples.iter().map(|s| s.cpu_share * 100.0).collect();
    // Of records alone it follows the rate that was asked for, and is no figure of the agent.
    let cpu = (settings.load == SoakKind::Storm).then(|| {
        (
            "cpu_pct",
            budgets.cpu_pct,
            median_interval(&shares, CONFIDENCE),
        )
    });
    [
        ("memory_mb", budgets.memory_mb, memory),
        ("memory_mb_per_hour", budgets.growth_mb_per_hour, growth),
        ("descriptors", 0.0, descriptors),
        ("unavailable_pct", budgets.unavailable_pct, unavailable),
    ]
    .into_iter()
    .chain(cpu)
    .map(|(measure, limit, measured)| match measured {
        Some(measured) => gate::check(measure, limit, measured),
        None => Check {
            verdict: Outcome::Inconclusive,
            ..gate::check(measure, limit, Interval::exact(0.0))
        },
    })
    .fold(vec![drops], |mut all, one| {
        all.push(one);
        all
    })
}

/// What a reader should know of the run.
pub(super) fn warnings(totals: &SoakTotals, system_load: &SystemLoad) -> Vec<String> {
    let mut warnings = system_load.disturbances();
    if totals.asleep_s > 0.1 {
        warnings.push(format!(
            "the machine was suspended for {:.0} s of the run",
            totals.asleep_s
        ));
    }
    if totals.held_up_s > 0.0 {
        warnings.push(format!(
            "the load stood still for {:.2} s in all; what was due then was not made",
            totals.held_up_s
        ));
    }
    warnings
}

/// The share of the looks in which an event was lost, or in which some were made and none
/// was received.
fn unavailable_pct(samples: &[SoakSample]) -> Option<f64> {
    let stalled = |sample: &SoakSample| sample.events > 0 && sample.received == Some(0);
    let bad = samples.iter().filter(|s| s.lost > 0 || stalled(s)).count();
    (!samples.is_empty()).then(|| 100.0 * bad as f64 / samples.len() as f64)
}

/// Hours and resident megabytes, averaged over stretches.
fn memory_over_hours(samples: &[SoakSample]) -> Vec<(f64, f64)> {
    samples
        .chunks_exact(TOGETHER)
        .map(|chunk| {
            let mean = |value: fn(&SoakSample) -> f64| {
                chunk.iter().map(value).sum::<f64>() / TOGETHER as f64
            };
            (mean(|s| s.at_s / 3600.0), mean(|s| s.resident as f64 / MB))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGETS: AgentBudgets = AgentBudgets {
        drops_pct: 0.1,
        memory_mb: 100.0,
        cpu_pct: 5.0,
        growth_mb_per_hour: 1.0,
        least_events: 1_000_000,
        unavailable_pct: 0.1,
    };

    fn settings(load: SoakKind) -> SoakSettings {
        SoakSettings {
            load,
            seconds: 120.0,
            rate: 5e5,
            ring_bytes: 1 << 20,
            cpu: 0,
            consumer_cpu: Some(1),
            canary: false,
        }
    }

    /// A minute in which each second came out as `change` makes it.
    fn samples(change: impl Fn(usize, &mut SoakSample)) -> Vec<SoakSample> {
        (0..120)
            .map(|second| {
                let mut sample = SoakSample {
                    at_s: second as f64,
                    rate: 5e5,
                    events: 500_000,
                    lost: 0,
                    received: Some(500_000),
                    // A page comes and goes.
                    resident: 30_000_000 + 4096 * (second as u64 * 7919 % 3),
                    maps: 9_000_000,
                    cpu_share: 0.03,
                    descriptors: 20,
                    context_switches: 5000,
                    age_p50_us: 600.0,
                    age_p99_us: 1200.0,
                };
                change(second, &mut sample);
                sample
            })
            .collect()
    }

    fn totals(events: u64, lost: u64) -> SoakTotals {
        SoakTotals {
            seconds: 120.0,
            events,
            lost,
            received: events - lost,
            matched: Some(events - lost),
            held_up_s: 0.0,
            asleep_s: 0.0,
        }
    }

    fn verdict(measure: &str, totals: &SoakTotals, samples: &[SoakSample]) -> Outcome {
        let all = judge(totals, &settings(SoakKind::Storm), samples, &BUDGETS);
        let one = all.iter().find(|judged| judged.measure == measure);
        one.expect("each measure is judged").verdict
    }

    #[test]
    fn a_quiet_run_passes_everything() {
        let run = totals(60_000_000, 0);
        for (load, checks) in [(SoakKind::Records, 5), (SoakKind::Storm, 6)] {
            let all = judge(&run, &settings(load), &samples(|_, _| ()), &BUDGETS);
            assert_eq!(all.len(), checks);
            for judged in all {
                assert_eq!(judged.verdict, Outcome::Pass, "{judged:?}");
            }
        }
    }

    #[test]
    fn each_budget_turns_red() {
        let good = totals(60_000_000, 0);
        let lost = totals(60_000_000, 60_001);
        assert_eq!(
            verdict("drops_pct", &lost, &samples(|_, _| ())),
            Outcome::Fail
        );
        type SampleEdit = fn(usize, &mut SoakSample);
        let cases: [(&str, SampleEdit); 6] = [
            ("memory_mb", |_, s| s.resident += 80_000_000),
            // A page a second is 15 MB an hour.
            ("memory_mb_per_hour", |second, s| {
                s.resident += 4096 * second as u64
            }),
            ("descriptors", |second, s| s.descriptors += second as u64),
            ("cpu_pct", |_, s| s.cpu_share = 0.06),
            // Once in two minutes: in one look, none of its events came.
            ("unavailable_pct", |second, s| {
                s.received = Some(if second == 60 { 0 } else { s.events });
            }),
            ("unavailable_pct", |second, s| {
                s.lost = u64::from(second == 5)
            }),
        ];
        for (measure, change) in cases {
            assert_eq!(
                verdict(measure, &good, &samples(change)),
                Outcome::Fail,
                "{measure}"
            );
        }
    }

    #[test]
    fn one_page_more_is_no_leak() {
        let step = samples(|second, s| s.resident += if second > 60 { 4096 } else { 0 });
        let found = verdict("memory_mb_per_hour", &totals(60_000_000, 0), &step);
        assert_eq!(found, Outcome::Pass);
    }

    #[test]
    fn too_few_events_or_another_rate_decide_nothing() {
        let quiet = samples(|_, _| ());
        let few = totals(999_999, 0);
        assert_eq!(verdict("drops_pct", &few, &quiet), Outcome::Inconclusive);
        let slow = totals(50_000_000, 0);
        assert_eq!(verdict("drops_pct", &slow, &quiet), Outcome::Inconclusive);
        let none = judge(&few, &settings(SoakKind::Storm), &[], &BUDGETS);
        assert!(
            none.iter()
                .all(|judged| judged.verdict == Outcome::Inconclusive)
        );
    }

    #[test]
    fn a_run_that_stood_still_says_so() {
        let mut run = totals(60_000_000, 0);
        run.asleep_s = 30.0;
        run.held_up_s = 0.5;
        let said = warnings(
            &run,
            &SystemLoad {
                steal_pct: None,
                others_pct: Some(40.0),
                cpu_pressure_pct: None,
                load_before: None,
                frequency_mhz: None,
            },
        );
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[1].contains("suspended for 30 s"), "{said:?}");
        assert!(said[2].contains("stood still for 0.50 s"), "{said:?}");
    }
}
