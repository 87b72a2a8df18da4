//! What one arm costs against another, from their paired blocks.

use serde::{Deserialize, Serialize};

use super::Block;
use crate::stats::{CONFIDENCE, Interval, median_interval};

/// One arm against another: medians over rounds, with their intervals.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Versus {
    /// The difference of the mean times of an operation, in nanoseconds.
    pub delta_ns: Interval,
    /// The ratio of the mean times of an operation.
    pub ratio: Interval,
    /// The ratio of the 95th percentiles of single operations.
    pub p95_ratio: Interval,
}

/// Compares the blocks of each round, `(arm, against)`, with each other. Each
/// side of a round is the mean of its blocks, which stand symmetrically around
/// the round's middle. `None` for fewer rounds than an interval needs.
pub fn versus<'a, A, B>(rounds: impl Iterator<Item = (A, B)>) -> Option<Versus>
where
    A: IntoIterator<Item = &'a Block>,
    B: IntoIterator<Item = &'a Block>,
{
    let (mut deltas, mut ratios, mut p95_ratios) = (Vec::new(), Vec::new(), Vec::new());
    for (arm, against) in rounds {
        let (arm_ns, arm_p95) = means(arm);
        let (against_ns, against_p95) = means(against);
        deltas.push(arm_ns - against_ns);
        ratios.push(arm_ns / against_ns);
        p95_ratios.push(arm_p95 / against_p95);
    }
    Some(Versus {
        delta_ns: median_interval(&deltas, CONFIDENCE)?,
        ratio: median_interval(&ratios, CONFIDENCE)?,
        p95_ratio: median_interval(&p95_ratios, CONFIDENCE)?,
    })
}

/// The means of `ns_per_op` and `p95_ns` over blocks.
fn means<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> (f64, f64) {
    let (mut count, mut ns, mut p95) = (0.0, 0.0, 0.0);
    for block in blocks {
        count += 1.0;
        ns += block.ns_per_op;
        p95 += block.p95_ns;
    }
    (ns / count, p95 / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(ns: f64) -> Block {
        Block {
            ops: 1000,
            ns_per_op: ns,
            p95_ns: 2.0 * ns,
        }
    }

    /// A machine that drifts by 2 % a block, and an arm that costs 10 %: the
    /// mirrored order cancels the drift.
    #[test]
    fn a_steady_drift_cancels() {
        let rounds: Vec<([Block; 2], [Block; 2])> = (0..20)
            .map(|round| {
                let at = |place: f64, factor: f64| {
                    block(factor * (1000.0 + 20.0 * (4.0 * f64::from(round) + place)))
                };
                ([at(0.0, 1.1), at(3.0, 1.1)], [at(1.0, 1.0), at(2.0, 1.0)])
            })
            .collect();
        let found = versus(rounds.iter().map(|(a, b)| (a, b))).unwrap();
        assert!((found.ratio.est - 1.1).abs() < 1e-9, "{found:?}");
        assert!((found.p95_ratio.est - 1.1).abs() < 1e-9, "{found:?}");
    }

    /// The interval's promise, by simulation with noise that differs by round.
    #[test]
    fn the_interval_holds_the_truth() {
        let mut rng = fastrand::Rng::with_seed(3);
        let trials = 1000;
        let held = (0..trials)
            .filter(|_| {
                let rounds: Vec<_> = (0..40)
                    .map(|_| {
                        let level = 1000.0 * (1.0 + 0.3 * rng.f64());
                        let mut noisy = |ns: f64| block(ns * (1.0 + 0.02 * (rng.f64() - 0.5)));
                        ([noisy(1.16 * level)], [noisy(level)])
                    })
                    .collect();
                let found = versus(rounds.iter().map(|(a, b)| (a, b))).unwrap();
                found.ratio.contains(1.16)
            })
            .count();
        assert!(
            held as f64 >= 0.98 * f64::from(trials),
            "{held} of {trials}"
        );
    }

    #[test]
    fn too_few_rounds_give_no_answer() {
        let round = ([block(1.0)], [block(1.0)]);
        assert!(versus(std::iter::repeat_n((&round.0, &round.1), 7)).is_none());
        assert!(versus(std::iter::repeat_n((&round.0, &round.1), 8)).is_some());
    }
}
