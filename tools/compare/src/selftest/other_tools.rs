//! The rules of other tools, as their documentation states them, on the same runs.

use statrs::distribution::{ContinuousCDF, Normal};

use super::sides::SideRuns;
use crate::input::Time;

/// Whether a tool says that the new runs are slower than the old ones, given both. One that
/// compares two runs takes the last of the old and the first of the new.
type Alarm = Box<dyn Fn(&[Time], &[Time]) -> bool + Send + Sync>;

/// Another tool's rule.
pub struct OtherTool {
    /// The tool, and its setting.
    pub name: &'static str,
    /// What it says.
    pub alarm: Alarm,
}

/// All of them, for so many runs on either side.
pub fn all(sides: SideRuns) -> Vec<OtherTool> {
    let rarest = rarest_u(sides);
    vec![
        OtherTool {
            name: "critcmp 5 %",
            alarm: Box::new(|old, new| {
                two(old, new).is_some_and(|(old, new)| new.mean > 1.05 * old.mean)
            }),
        },
        OtherTool {
            name: "github-action-benchmark 120 %",
            alarm: Box::new(|old, new| {
                two(old, new).is_some_and(|(old, new)| new.median > 1.2 * old.median)
            }),
        },
        OtherTool {
            name: "github-action-benchmark 200 %",
            alarm: Box::new(|old, new| {
                two(old, new).is_some_and(|(old, new)| new.median > 2.0 * old.median)
            }),
        },
        OtherTool {
            name: "benchstat p < 0.05",
            alarm: Box::new(move |old, new| {
                rarest.is_some_and(|rarest| benchstat(old, new, rarest))
            }),
        },
        OtherTool {
            name: "Criterion p < 0.05, 1 %",
            alarm: Box::new(criterion),
        },
    ]
}

fn two<'a>(old: &'a [Time], new: &'a [Time]) -> Option<(&'a Time, &'a Time)> {
    old.last().zip(new.first())
}

/// The U-test of Mann and Whitney (1947) over all runs, exact (statrs counts all placements
/// of the runs at each call: of 20 and 10, thirty million): whether in at most `rarest`
/// pairs of runs the old one took longer.
fn benchstat(old: &[Time], new: &[Time], rarest: usize) -> bool {
    let beats = |a: f64, b: f64| match a.partial_cmp(&b) {
        Some(std::cmp::Ordering::Greater) => 1.0,
        Some(std::cmp::Ordering::Equal) => 0.5,
        _ => 0.0,
    };
    let u: f64 = new
        .iter()
        .flat_map(|n| old.iter().map(move |o| beats(n.median, o.median)))
        .sum();
    (old.len() * new.len()) as f64 - u < (rarest + 1) as f64
}

/// The largest U that is significant at 5 %, two-sided; `None` where none is.
fn rarest_u(sides: SideRuns) -> Option<usize> {
    let (m, n) = (sides.baseline, sides.current);
    (0..=m * n)
        .take_while(|u| 2.0 * u_at_most(m, n, *u) < 0.05)
        .last()
}

/// The chance that U is at most `u` for sides of `m` and `n`: of all ways to place `n`
/// among `m + n`, those with at most `u` inversions.
fn u_at_most(m: usize, n: usize, u: usize) -> f64 {
    // ways[k][j]: ways to choose parts of which k are used and that add up to j, each
    // part at most m: partitions that fit into a box of n by m.
    let mut ways = vec![vec![0.0f64; m * n + 1]; n + 1];
    ways[0][0] = 1.0;
    for part in 1..=m {
        for k in 1..=n {
            for j in part..=m * n {
                ways[k][j] += ways[k - 1][j - part];
            }
        }
    }
    let by_sum = |j: usize| ways.iter().map(|w| w[j]).sum::<f64>();
    let all: f64 = (0..=m * n).map(by_sum).sum();
    (0..=u.min(m * n)).map(by_sum).sum::<f64>() / all
}

/// Criterion's t-test on the samples of two runs at 5 %, and its noise threshold of 1 %
/// for the interval of the change. Criterion resamples; with a hundred samples the
/// normal distribution says nearly the same.
fn criterion(old: &[Time], new: &[Time]) -> bool {
    let Some((old, new)) = two(old, new) else {
        return false;
    };
    let difference = new.mean - old.mean;
    let error = old.mean_error.hypot(new.mean_error);
    let reach = Normal::standard().inverse_cdf(0.975) * error;
    difference > reach && (difference - reach) / old.mean > 0.01
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(medians: &[f64]) -> Vec<Time> {
        let time = |m: &f64| Time {
            median: *m,
            p10: *m,
            mean: *m,
            mean_error: 0.01 * m,
            interval: None,
        };
        medians.iter().map(time).collect()
    }

    #[test]
    fn the_u_test_agrees_with_its_tables() {
        // Five against five: U <= 2 is significant at 5 % two-sided, U = 3 is not.
        assert!(2.0 * u_at_most(5, 5, 2) < 0.05 && 2.0 * u_at_most(5, 5, 3) > 0.05);
        assert!((u_at_most(10, 5, 0) - 1.0 / 3003.0).abs() < 1e-12);
        assert_eq!(u_at_most(4, 3, 12), 1.0);
        let rarest = |baseline, current| rarest_u(SideRuns { baseline, current });
        assert_eq!((rarest(5, 5), rarest(5, 2)), (Some(2), None));
    }

    #[test]
    fn each_rule_finds_what_it_must_and_nothing_in_equals() {
        let old = times(&[1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0]);
        let sides = SideRuns {
            baseline: 10,
            current: 5,
        };
        for other_tool in all(sides) {
            assert!(
                (other_tool.alarm)(&old, &times(&[3.0; 5])),
                "{}",
                other_tool.name
            );
            assert!(
                !(other_tool.alarm)(&old, &times(&[1.0; 5])),
                "{}",
                other_tool.name
            );
            assert!(
                !(other_tool.alarm)(&old, &times(&[0.5; 5])),
                "{}",
                other_tool.name
            );
        }
    }
}
