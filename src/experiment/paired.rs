//! What one arm costs against another, from their paired blocks.

use super::Block;
use crate::schema::overhead::{Pair, PairedComparison};
use crate::stats::{CONFIDENCE, median, median_interval};

impl Pair {
    /// Of the blocks of one round. Each side is the mean of its blocks, which
    /// stand symmetrically around the round's middle, so that a steady drift of
    /// the machine cancels.
    pub fn of<'a>(
        arm: impl IntoIterator<Item = &'a Block>,
        against: impl IntoIterator<Item = &'a Block>,
    ) -> Self {
        let (arm_ns, arm_p95) = means(arm);
        let (against_ns, against_p95) = means(against);
        Self {
            delta_ns: arm_ns - against_ns,
            ratio: arm_ns / against_ns,
            p95_ratio: arm_p95 / against_p95,
        }
    }

    /// The medians over rounds: what one process has to say.
    pub fn median(rounds: &[Self]) -> Option<Self> {
        Some(Self {
            delta_ns: median(&column(rounds, |pair| pair.delta_ns))?,
            ratio: median(&column(rounds, |pair| pair.ratio))?,
            p95_ratio: median(&column(rounds, |pair| pair.p95_ratio))?,
        })
    }
}

/// The medians over independent observations (processes, where they can be
/// had), with their intervals. `None` for fewer than an interval needs.
pub fn compare(observations: &[Pair]) -> Option<PairedComparison> {
    let over = |value: fn(&Pair) -> f64| median_interval(&column(observations, value), CONFIDENCE);
    Some(PairedComparison {
        delta_ns: over(|pair| pair.delta_ns)?,
        ratio: over(|pair| pair.ratio)?,
        p95_ratio: over(|pair| pair.p95_ratio)?,
    })
}

fn column(pairs: &[Pair], value: fn(&Pair) -> f64) -> Vec<f64> {
    pairs.iter().map(value).collect()
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
        let at = |place: f64, factor: f64| block(factor * (1000.0 + 20.0 * place));
        let outer = Pair::of(&[at(0.0, 1.1), at(3.0, 1.1)], &[at(1.0, 1.0), at(2.0, 1.0)]);
        assert!((outer.ratio - 1.1).abs() < 1e-9, "{outer:?}");
        assert!((outer.p95_ratio - 1.1).abs() < 1e-9, "{outer:?}");
    }

    /// The interval's promise, by simulation: processes that differ more than
    /// their rounds do.
    #[test]
    fn the_interval_holds_the_truth() {
        let mut rng = fastrand::Rng::with_seed(3);
        let trials = 1000;
        let held = (0..trials)
            .filter(|_| {
                let processes: Vec<Pair> = (0..16)
                    .map(|_| {
                        let truth = 1.16 * (1.0 + 0.04 * (rng.f64() - 0.5));
                        let rounds: Vec<Pair> = (0..3)
                            .map(|_| {
                                let level = 1000.0 * (1.0 + 0.3 * rng.f64());
                                let mut noisy =
                                    |ns: f64| block(ns * (1.0 + 0.01 * (rng.f64() - 0.5)));
                                Pair::of(&[noisy(truth * level)], &[noisy(level)])
                            })
                            .collect();
                        Pair::median(&rounds).unwrap()
                    })
                    .collect();
                compare(&processes).unwrap().ratio.contains(1.16)
            })
            .count();
        assert!(
            held as f64 >= 0.98 * f64::from(trials),
            "{held} of {trials}"
        );
    }

    #[test]
    fn too_few_observations_give_no_answer() {
        let pair = Pair::of(&[block(1.0)], &[block(1.0)]);
        assert!(compare(&[pair; 7]).is_none());
        assert!(compare(&[pair; 8]).is_some());
    }
}
