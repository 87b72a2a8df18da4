//! Collections of runs as machines make them, for tests.

use super::resample::{Bench, Collection, Kind};
use crate::input::Time;
use crate::noise::normal;

/// How a machine disturbs its runs.
#[derive(Clone, Copy)]
pub enum NoiseModel {
    /// One run in twelve is slower as a whole by up to a half, whatever the others are.
    Gusts,
    /// A quarter of the runs is quicker by about a tenth, four in a row on average.
    Phases,
}

/// The machine's part in `runs` runs, as logarithms.
fn machine(runs: usize, noise: NoiseModel, rng: &mut fastrand::Rng) -> Vec<f64> {
    let mut quick = rng.u8(0..4) == 0;
    (0..runs)
        .map(|_| match noise {
            NoiseModel::Gusts if rng.u8(0..12) == 0 => 0.5 * rng.f64(),
            NoiseModel::Gusts => 0.0,
            NoiseModel::Phases => {
                quick = match quick {
                    true => rng.u8(0..4) > 0,
                    false => rng.u8(0..12) == 0,
                };
                if quick {
                    -0.09 + 0.02 * normal(rng)
                } else {
                    0.0
                }
            }
        })
        .collect()
}

/// Runs of benchmarks with spreads of their own between 0.5 and 2 %, all `slower` times as
/// long as without a slowdown.
pub fn runs(rows: usize, runs: usize, slower: f64, noise: NoiseModel, seed: u64) -> Vec<Vec<Time>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let time = |row: usize, machine: f64, rng: &mut fastrand::Rng| {
        let sigma = 0.005 + 0.015 * row as f64 / rows as f64;
        let median = 1000.0 * slower * (machine + sigma * normal(rng)).exp();
        Time {
            median,
            p10: median * (0.985 + 0.005 * normal(rng)),
            mean: median * 1.01,
            mean_error: median * 0.002,
            interval: None,
        }
    };
    machine(runs, noise, &mut rng)
        .into_iter()
        .map(|machine| (0..rows).map(|row| time(row, machine, &mut rng)).collect())
        .collect()
}

/// A collection of such runs, and of `planted`: percent, and how many runs.
pub fn collection(
    rows: usize,
    unchanged: usize,
    planted: &[(f64, usize)],
    noise: NoiseModel,
    seed: u64,
) -> Collection {
    let bench = |row: usize| Bench {
        id: format!("row/{row}"),
        threshold_pct: 5.0,
    };
    let kind = |(k, (percent, count)): (usize, &(f64, usize))| Kind {
        percent: *percent,
        runs: runs(
            rows,
            *count,
            1.0 + percent / 100.0,
            noise,
            seed + 1000 * (k as u64 + 1),
        ),
    };
    Collection {
        benches: (0..rows).map(bench).collect(),
        unchanged: runs(rows, unchanged, 1.0, noise, seed),
        planted: planted.iter().enumerate().map(kind).collect(),
    }
}
