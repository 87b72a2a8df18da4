//! From paired rounds to a decision, looking more than once: pure.
//!
//! A round gives one number: the logarithm of head's time over base's. Rounds are
//! independent of each other, since each is a pair of processes of its own; nothing is
//! assumed of their distribution. All decisions are those of the sign test (Conover 1999,
//! §3.4) and of the order-statistic interval that belongs to it.

use probecost::gate::Duet;
use probecost::stats::{CONFIDENCE, Interval, holm, median, median_interval};
use statrs::distribution::{Binomial, DiscreteCDF};

/// The fewest rounds that give a 99 % interval.
pub const FEWEST: usize = 8;

/// Rounds between two looks at a benchmark, and before the first.
const STRIDE: usize = FEWEST;

/// The fewest rounds of a screen that may clear a benchmark, where time is short.
pub const SHORT_SCREEN: usize = 3;

/// What the screen says of a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screened {
    /// Nothing there that would be called.
    Cleared,
    /// Fresh rounds must tell.
    Open,
}

/// What one look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Head is slower, or faster, by more than the threshold.
    Changed,
    /// It is not.
    Unchanged,
    /// More rounds must tell.
    Open,
}

/// What a benchmark's fresh rounds came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Slower,
    Faster,
    Unchanged,
    /// Slower by more than the threshold, and it may be chance; so many rounds more
    /// would tell.
    Undecided(usize),
}

/// How benchmarks that the screen left open are judged together.
pub struct Rule {
    /// The chance of any false call, shared out over the benchmarks.
    error: f64,
    /// After how many rounds one looks.
    looks: Vec<usize>,
    rows: usize,
}

/// The smallest change that is called, as rounds have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold(f64);

impl Threshold {
    /// From percent.
    pub fn of(percent: f64) -> Self {
        Self((percent / 100.0).ln_1p())
    }
}

/// Clears a benchmark whose rounds are mostly below half the threshold: two in three, and
/// all where there are so few that two would often be so by chance. The rounds of the
/// screen are not used again, so that what it lets through is judged as if there had
/// been none. Of a benchmark that seems faster all rounds must say so, and clearly: a
/// gain is worth fewer rounds.
pub fn screen(rounds: &[f64], Threshold(threshold): Threshold) -> Screened {
    let calm = rounds.iter().filter(|d| **d < threshold / 2.0).count();
    let enough = match rounds.len() {
        few if few <= SHORT_SCREEN => few,
        several => (2 * several).div_ceil(3),
    };
    let faster = !rounds.is_empty() && rounds.iter().all(|d| *d < -threshold);
    match calm >= enough && !faster {
        true => Screened::Cleared,
        false => Screened::Open,
    }
}

impl Rule {
    /// The rule for `rows` benchmarks, of up to `most` rounds each.
    pub fn new(gate: &Duet, rows: usize, most: usize) -> Self {
        let mut looks: Vec<usize> = (STRIDE..most).step_by(STRIDE).collect();
        looks.push(most);
        Self {
            error: gate.family_error,
            looks,
            rows,
        }
    }

    /// Whether one looks after so many rounds.
    pub fn looks_after(&self, rounds: usize) -> bool {
        self.looks.contains(&rounds)
    }

    /// What a look says, without knowing of the other benchmarks: each look at each
    /// benchmark has an equal share of the error (Bonferroni).
    pub fn look(&self, rounds: &[f64], Threshold(threshold): Threshold) -> Look {
        let (Some(est), Some(interval)) = (median(rounds), median_interval(rounds, CONFIDENCE))
        else {
            return Look::Open;
        };
        let share = self.error / (self.rows * self.looks.len()) as f64;
        if est.abs() >= threshold && p_value(rounds) <= share {
            Look::Changed
        } else if est.abs() < threshold && (interval.hi < threshold || !self.may_be_rare(rounds)) {
            Look::Unchanged
        } else {
            Look::Open
        }
    }

    /// Settles all benchmarks together (Holm over them, Bonferroni over the looks).
    pub fn settle(&self, all: &[(Vec<f64>, Threshold)]) -> Vec<Settled> {
        let p_values: Vec<f64> = all
            .iter()
            .map(|(rounds, _)| self.best_p_value(rounds))
            .collect();
        let (rare, limit) = holm(&p_values, self.error);
        all.iter()
            .zip(rare)
            .map(
                |((rounds, Threshold(threshold)), rare)| match median(rounds) {
                    Some(est) if est >= *threshold && rare => Settled::Slower,
                    Some(est) if est >= *threshold => {
                        Settled::Undecided(self.more_rounds(rounds, limit))
                    }
                    Some(est) if est <= -threshold && rare => Settled::Faster,
                    _ => Settled::Unchanged,
                },
            )
            .collect()
    }

    /// Whether these rounds could still be called slower at the last look, by a benchmark
    /// that is held against nothing but itself, if all to come were slower.
    fn may_be_rare(&self, rounds: &[f64]) -> bool {
        let most = self.looks.last().map_or(0, |most| *most as u64);
        let against = rounds.iter().filter(|d| **d <= 0.0).count() as u64;
        tail(most, against) * self.looks.len() as f64 <= self.error
    }

    /// The smallest chance of any look, times the looks.
    fn best_p_value(&self, rounds: &[f64]) -> f64 {
        let seen = self.looks.iter().filter(|n| **n <= rounds.len());
        let least = seen
            .map(|n| p_value(&rounds[..*n]))
            .fold(p_value(rounds), f64::min);
        (least * self.looks.len() as f64).min(1.0)
    }

    /// Rounds beyond these until as large a share of slower ones would be rare.
    fn more_rounds(&self, rounds: &[f64], limit: f64) -> usize {
        let slower = rounds.iter().filter(|d| **d > 0.0).count() as f64 / rounds.len() as f64;
        let enough = (rounds.len() + 1..=50 * rounds.len()).find(|n| {
            let against = ((1.0 - slower) * *n as f64).ceil() as u64;
            tail(*n as u64, against) * self.looks.len() as f64 <= limit
        });
        enough.map_or(50 * rounds.len(), |n| n - rounds.len())
    }
}

/// The median of the rounds with the narrowest interval that so many can give: 99 %
/// from eight rounds on, and below that all of them.
pub fn estimate(rounds: &[f64]) -> Option<Interval> {
    let range = || {
        Some(Interval {
            est: median(rounds)?,
            lo: rounds.iter().copied().reduce(f64::min)?,
            hi: rounds.iter().copied().reduce(f64::max)?,
        })
    };
    median_interval(rounds, CONFIDENCE).or_else(range)
}

/// The chance that rounds without a change lie as much on one side, and on this one,
/// as these do; a round of exactly zero speaks against either.
fn p_value(rounds: &[f64]) -> f64 {
    let side = |slower: bool| {
        rounds
            .iter()
            .filter(|d| if slower { **d > 0.0 } else { **d < 0.0 })
            .count()
    };
    let most = side(true).max(side(false));
    tail(rounds.len() as u64, (rounds.len() - most) as u64)
}

/// The chance of at most `against` heads in `n` throws.
fn tail(n: u64, against: u64) -> f64 {
    Binomial::new(0.5, n).map_or(1.0, |throws| throws.cdf(against))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal;
    use probecost::gate::Gate;

    fn gate() -> Duet {
        Gate::shipped().duet
    }

    fn three_percent() -> Threshold {
        Threshold::of(3.0)
    }

    /// A round as it was seen on a shared machine: one in eight is disturbed by up to a
    /// third, on either side.
    fn round(rng: &mut fastrand::Rng, change: f64, sigma: f64) -> f64 {
        let calm = change + sigma * normal(rng);
        match rng.u8(0..8) {
            0 => calm + 0.3 * rng.f64() * if rng.bool() { 1.0 } else { -1.0 },
            _ => calm,
        }
    }

    /// A suite as `duet` runs it: a screen of all benchmarks, fresh rounds for the open
    /// ones. What became of each, and the rounds spent.
    fn suite(
        rng: &mut fastrand::Rng,
        changes: &[f64],
        sigma: f64,
        gate: &Duet,
    ) -> (Vec<Settled>, usize) {
        let mut spent = 0;
        let mut rounds = |rng: &mut fastrand::Rng, n: usize, change: f64| -> Vec<f64> {
            spent += n;
            (0..n).map(|_| round(rng, change, sigma)).collect()
        };
        let open: Vec<usize> = (0..changes.len())
            .filter(|i| {
                let rounds = rounds(rng, gate.screen_rounds, changes[*i]);
                screen(&rounds, three_percent()) == Screened::Open
            })
            .collect();
        let rule = Rule::new(gate, open.len(), gate.rounds);
        let fresh: Vec<(Vec<f64>, Threshold)> = open
            .iter()
            .map(|i| {
                let mut all = Vec::new();
                while all.len() < gate.rounds {
                    all.extend(rounds(rng, 1, changes[*i]));
                    if rule.looks_after(all.len()) && rule.look(&all, three_percent()) != Look::Open
                    {
                        break;
                    }
                }
                (all, three_percent())
            })
            .collect();
        let mut settled = vec![Settled::Unchanged; changes.len()];
        for (i, one) in open.into_iter().zip(rule.settle(&fresh)) {
            settled[i] = one;
        }
        (settled, spent)
    }

    /// The promises, on rounds with 1 to 3.5 % of noise and one in eight disturbed.
    #[test]
    fn a_suite_errs_as_rarely_as_it_says_and_finds_five_percent() {
        let gate = gate();
        for (sigma, power) in [(0.01, 0.99), (0.025, 0.98), (0.035, 0.9)] {
            let mut rng = fastrand::Rng::with_seed(1);
            let suites = 1000;
            let (mut false_alarms, mut found, mut strays, mut spent) = (0, 0, 0, 0);
            for _ in 0..suites {
                let (same, rounds) = suite(&mut rng, &[0.0; 8], sigma, &gate);
                false_alarms += usize::from(same.contains(&Settled::Slower));
                spent += rounds;
                let mut changes = [0.0; 8];
                changes[3] = 0.05f64.ln_1p();
                let (slower, _) = suite(&mut rng, &changes, sigma, &gate);
                found += usize::from(slower[3] == Settled::Slower);
                strays += usize::from((0..8).any(|i| i != 3 && slower[i] == Settled::Slower));
            }
            let share = |count: usize| count as f64 / suites as f64;
            assert!(share(false_alarms) <= gate.family_error, "{false_alarms}");
            assert!(share(strays) <= gate.family_error, "{strays}");
            assert!(share(found) >= power, "{found} at {sigma}");
            // The screen is what keeps an unchanged suite short.
            assert!(share(spent) <= 8.0 * 16.0, "{spent}");
        }
    }

    #[test]
    fn the_screen_clears_what_is_calm_and_leaves_what_may_be_slower() {
        let screen = |rounds: [f64; 6]| screen(&rounds, three_percent());
        assert_eq!(
            screen([0.0, 0.01, -0.01, 0.002, 0.3, 0.4]),
            Screened::Cleared
        );
        assert_eq!(screen([0.05, 0.04, 0.06, 0.0, 0.0, 0.0]), Screened::Open);
        assert_eq!(screen([-0.02; 6]), Screened::Cleared);
        assert_eq!(screen([-0.04; 6]), Screened::Open);
    }

    /// However few rounds the time suffices for.
    #[test]
    fn a_screen_seldom_clears_five_percent() {
        let mut rng = fastrand::Rng::with_seed(1);
        let tries = 20_000;
        for sigma in [0.01, 0.025, 0.035] {
            for rounds in SHORT_SCREEN..=gate().screen_rounds {
                let mut cleared = || {
                    let change = 0.05f64.ln_1p();
                    let rounds = (0..rounds).map(|_| round(&mut rng, change, sigma));
                    screen(&Vec::from_iter(rounds), three_percent()) == Screened::Cleared
                };
                let cleared = (0..tries).filter(|_| cleared()).count();
                assert!(30 * cleared <= tries, "{cleared} by {rounds} at {sigma}");
            }
        }
    }

    #[test]
    fn a_look_stops_as_soon_as_it_is_plain() {
        let rule = Rule::new(&gate(), 1, 32);
        assert_eq!(
            rule.look(&[0.05; 8], three_percent()),
            Look::Open,
            "1 in 256 is not rare enough"
        );
        assert_eq!(rule.look(&[0.05; 16], three_percent()), Look::Changed);
        assert_eq!(rule.look(&[-0.05; 16], three_percent()), Look::Changed);
        assert_eq!(rule.look(&[0.001; 8], three_percent()), Look::Unchanged);
        assert_eq!(rule.look(&[0.001; 7], three_percent()), Look::Open);
        // Slower in 8 of 16, and in all to come, is 24 of 32: not rare enough. One more is.
        let scattered = |slower: usize| -> Vec<f64> {
            let size = |k: usize| if k < 5 { 0.08 } else { 0.02 };
            let rounds = (0..16).map(|k| if k < slower { size(k) } else { -0.05 });
            rounds.collect()
        };
        assert_eq!(rule.look(&scattered(8), three_percent()), Look::Unchanged);
        assert_eq!(rule.look(&scattered(9), three_percent()), Look::Open);
        assert!(rule.looks_after(8) && rule.looks_after(32) && !rule.looks_after(12));
    }

    #[test]
    fn what_may_be_chance_says_how_many_rounds_would_tell() {
        let rule = Rule::new(&gate(), 1, 8);
        let rounds = vec![0.05, 0.06, 0.04, 0.05, 0.05, -0.02, 0.06, 0.05];
        let [Settled::Undecided(more)] = rule.settle(&[(rounds, three_percent())])[..] else {
            panic!()
        };
        assert!((4..40).contains(&more), "{more}");
    }

    #[test]
    fn an_interval_is_at_least_the_range() {
        let few = estimate(&[0.03, 0.01, 0.02]).unwrap();
        assert_eq!((few.lo, few.est, few.hi), (0.01, 0.02, 0.03));
        assert_eq!(estimate(&[]), None);
    }

    #[test]
    fn rounds_of_zero_speak_for_nothing() {
        assert_eq!(p_value(&[0.0; 10]), 1.0);
        assert!((p_value(&[1.0; 10]) - 0.5f64.powi(10)).abs() < 1e-12);
    }
}
