//! Suites drawn from runs, and what each rule says of them.

use probecost::gate::Gate;
use probecost::stats::mad;
use rayon::prelude::*;

use super::peers::{self, Peer};
use crate::decide::{Evidence, decide};
use crate::input::Time;
use crate::verdict::Status;

/// Slowdowns that are multiplied into unchanged runs, in percent.
const MULTIPLIED: [f64; 4] = [3.0, 5.0, 10.0, 20.0];

/// Benchmarks that are slowed down in one suite, one after the other, at most.
const SLOWED_IN_A_SUITE: usize = 16;

/// Times by run, then by benchmark.
pub struct Collection {
    /// Of an unchanged program, in the order they were made.
    pub unchanged: Vec<Vec<Time>>,
    /// With a slowdown of so many percent.
    pub planted: Vec<(f64, Vec<Vec<Time>>)>,
}

/// How to draw.
pub struct Plan {
    /// Runs of the baseline, and runs held against it.
    pub sides: (usize, usize),
    /// Suites to draw.
    pub suites: usize,
    /// Where the random numbers start.
    pub seed: u64,
    /// What this gate judges by.
    pub gate: Gate,
}

/// What came of it.
pub struct Figures {
    /// The names of the slowdowns.
    pub sizes: Vec<String>,
    /// Suites whose runs follow each other in time.
    pub in_order: usize,
    /// This gate, then its peers.
    pub rules: Vec<Rule>,
    /// This gate by benchmark.
    pub rows: Vec<ByRow>,
}

/// The rates of one rule, 0..=1.
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Suites in which it raised an alarm though nothing had changed.
    pub false_alarms: f64,
    /// The same, where the runs follow each other in time.
    pub false_in_order: f64,
    /// Slowed benchmarks that it found, by size.
    pub found: Vec<f64>,
}

/// The rates of this gate for one benchmark, 0..=1.
pub struct ByRow {
    /// Robust relative standard deviation of the unchanged runs.
    pub spread: f64,
    /// Suites in which it raised an alarm though nothing had changed.
    pub false_alarms: f64,
    /// Suites in which it was found when slowed, by size.
    pub found: Vec<f64>,
}

/// A drawn suite: times by run, then by benchmark.
struct Suite<'a> {
    old: Vec<&'a [Time]>,
    new: Vec<&'a [Time]>,
}

/// How often something was tried, and how often it came true.
#[derive(Clone, Copy, Default)]
struct Tally {
    tried: u32,
    came: u32,
}

impl Tally {
    fn note(&mut self, came: bool) {
        self.tried += 1;
        self.came += u32::from(came);
    }

    fn add(&mut self, other: Tally) {
        self.tried += other.tried;
        self.came += other.came;
    }

    fn rate(self) -> f64 {
        f64::from(self.came) / f64::from(self.tried.max(1))
    }
}

/// Draws suites and counts.
pub fn resample(collection: &Collection, plan: &Plan) -> Figures {
    let rows = collection.unchanged[0].len();
    let rules = 1 + peers::ALL.len();
    let slowdowns: Vec<Slowdown> = MULTIPLIED
        .iter()
        .map(|percent| Slowdown::Multiplied(*percent))
        .chain(
            collection
                .planted
                .iter()
                .map(|(p, runs)| Slowdown::Planted(*p, runs)),
        )
        .collect();

    let drawn: Vec<Counts> = (0..plan.suites)
        .into_par_iter()
        .map(|number| {
            let mut rng = fastrand::Rng::with_seed(plan.seed.wrapping_add(number as u64));
            let suite = draw(&collection.unchanged, plan.sides, &mut rng);
            let mut counts = Counts::new(rows, rules, slowdowns.len());
            counts.unchanged(&suite, plan);
            for (size, slowdown) in slowdowns.iter().enumerate() {
                for row in rng.choose_multiple(0..rows, SLOWED_IN_A_SUITE) {
                    let slowed = slowdown.times(&suite, row, plan.sides.1, &mut rng);
                    counts.slowed(&suite, row, &slowed, size, plan);
                }
            }
            counts
        })
        .collect();
    let mut counts = Counts::new(rows, rules, slowdowns.len());
    drawn.iter().for_each(|one| counts.add(one));

    let mut ordered = Counts::new(rows, rules, 0);
    let (old, new) = plan.sides;
    let windows = collection.unchanged.windows(old + new);
    let in_order = windows.len();
    for window in windows {
        let runs: Vec<&[Time]> = window.iter().map(Vec::as_slice).collect();
        let suite = Suite {
            old: runs[..old].to_vec(),
            new: runs[old..].to_vec(),
        };
        ordered.unchanged(&suite, plan);
    }
    figures(collection, &slowdowns, in_order, &counts, &ordered)
}

fn figures(
    collection: &Collection,
    slowdowns: &[Slowdown],
    in_order: usize,
    counts: &Counts,
    ordered: &Counts,
) -> Figures {
    let names = ["this gate"]
        .into_iter()
        .chain(peers::ALL.iter().map(|p| p.name));
    let rules = names
        .enumerate()
        .map(|(rule, name)| Rule {
            name,
            false_alarms: counts.alarms[rule].rate(),
            false_in_order: ordered.alarms[rule].rate(),
            found: counts.found[rule].iter().map(|t| t.rate()).collect(),
        })
        .collect();
    let rows = (0..counts.row_alarms.len())
        .map(|row| {
            let medians: Vec<f64> = collection
                .unchanged
                .iter()
                .map(|run| run[row].median.ln())
                .collect();
            ByRow {
                spread: mad(&medians).unwrap_or(f64::NAN).exp_m1(),
                false_alarms: counts.row_alarms[row].rate(),
                found: counts.row_found[row].iter().map(|t| t.rate()).collect(),
            }
        })
        .collect();
    Figures {
        sizes: slowdowns.iter().map(Slowdown::name).collect(),
        in_order,
        rules,
        rows,
    }
}

/// A way to make one benchmark of a suite slower.
enum Slowdown<'a> {
    /// Unchanged times, multiplied.
    Multiplied(f64),
    /// Times of runs that were slower.
    Planted(f64, &'a [Vec<Time>]),
}

impl Slowdown<'_> {
    fn name(&self) -> String {
        match self {
            Slowdown::Multiplied(percent) => format!("×{}", 1.0 + percent / 100.0),
            Slowdown::Planted(percent, _) => format!("+{percent} %"),
        }
    }

    fn times(&self, suite: &Suite, row: usize, runs: usize, rng: &mut fastrand::Rng) -> Vec<Time> {
        match self {
            Slowdown::Multiplied(percent) => {
                let factor = 1.0 + percent / 100.0;
                let slower = |t: Time| Time {
                    median: t.median * factor,
                    p10: t.p10 * factor,
                    mean: t.mean * factor,
                    mean_error: t.mean_error * factor,
                    interval: t.interval.map(|i| i.map(|ns| ns * factor)),
                };
                suite.new.iter().map(|run| slower(run[row])).collect()
            }
            Slowdown::Planted(_, planted) => rng
                .choose_multiple(planted.iter(), runs)
                .iter()
                .map(|run| run[row])
                .collect(),
        }
    }
}

fn draw<'a>(runs: &'a [Vec<Time>], sides: (usize, usize), rng: &mut fastrand::Rng) -> Suite<'a> {
    let mut order: Vec<usize> = (0..runs.len()).collect();
    rng.shuffle(&mut order);
    let mut drawn = order.into_iter().map(|k| runs[k].as_slice());
    let old = drawn.by_ref().take(sides.0).collect();
    Suite {
        old,
        new: drawn.take(sides.1).collect(),
    }
}

/// Tallies by rule, by benchmark, and by size of the slowdown.
struct Counts {
    alarms: Vec<Tally>,
    found: Vec<Vec<Tally>>,
    row_alarms: Vec<Tally>,
    row_found: Vec<Vec<Tally>>,
}

impl Counts {
    fn new(rows: usize, rules: usize, sizes: usize) -> Self {
        let none = Tally::default();
        Self {
            alarms: vec![none; rules],
            found: vec![vec![none; sizes]; rules],
            row_alarms: vec![none; rows],
            row_found: vec![vec![none; sizes]; rows],
        }
    }

    fn unchanged(&mut self, suite: &Suite, plan: &Plan) {
        let rows = suite.old[0].len();
        let evidence: Vec<Evidence> = (0..rows)
            .map(|row| evidence(suite, row, None, plan))
            .collect();
        let ours = regressed(&evidence, plan);
        self.alarms[0].note(ours.contains(&true));
        for (row, alarm) in ours.iter().enumerate() {
            self.row_alarms[row].note(*alarm);
        }
        for (rule, peer) in peers::ALL.iter().enumerate() {
            let alarm = (0..rows).any(|row| alarm(peer, suite, row, None));
            self.alarms[1 + rule].note(alarm);
        }
    }

    fn slowed(&mut self, suite: &Suite, row: usize, slowed: &[Time], size: usize, plan: &Plan) {
        let evidence: Vec<Evidence> = (0..suite.old[0].len())
            .map(|other| evidence(suite, other, (other == row).then_some(slowed), plan))
            .collect();
        let found = regressed(&evidence, plan)[row];
        self.found[0][size].note(found);
        self.row_found[row][size].note(found);
        for (rule, peer) in peers::ALL.iter().enumerate() {
            self.found[1 + rule][size].note(alarm(peer, suite, row, Some(slowed)));
        }
    }

    fn add(&mut self, other: &Counts) {
        let sum = |ours: &mut Vec<Tally>, theirs: &[Tally]| {
            ours.iter_mut().zip(theirs).for_each(|(a, b)| a.add(*b));
        };
        sum(&mut self.alarms, &other.alarms);
        sum(&mut self.row_alarms, &other.row_alarms);
        for (ours, theirs) in self.found.iter_mut().zip(&other.found) {
            sum(ours, theirs);
        }
        for (ours, theirs) in self.row_found.iter_mut().zip(&other.row_found) {
            sum(ours, theirs);
        }
    }
}

fn evidence(suite: &Suite, row: usize, slowed: Option<&[Time]>, plan: &Plan) -> Evidence {
    let new: Vec<Time> = match slowed {
        Some(slowed) => slowed.to_vec(),
        None => suite.new.iter().map(|run| run[row]).collect(),
    };
    Evidence {
        old: vec![suite.old.iter().map(|run| run[row].median).collect()],
        old_p10: vec![suite.old.iter().map(|run| run[row].p10).collect()],
        new: new.iter().map(|t| t.median).collect(),
        new_p10: new.iter().map(|t| t.p10).collect(),
        threshold_pct: plan.gate.policy.strict.change_pct,
    }
}

fn regressed(evidence: &[Evidence], plan: &Plan) -> Vec<bool> {
    decide(evidence, &plan.gate.times, &plan.gate.severity)
        .iter()
        .map(|d| d.status == Status::Regressed)
        .collect()
}

fn alarm(peer: &Peer, suite: &Suite, row: usize, slowed: Option<&[Time]>) -> bool {
    let old: Vec<Time> = suite.old.iter().map(|run| run[row]).collect();
    match slowed {
        Some(slowed) => (peer.alarm)(&old, slowed),
        None => {
            let new: Vec<Time> = suite.new.iter().map(|run| run[row]).collect();
            (peer.alarm)(&old, &new)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    fn normal(rng: &mut fastrand::Rng) -> f64 {
        (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (2.0 * PI * rng.f64()).cos()
    }

    /// Runs as they were seen on a shared machine: each benchmark with a spread of its
    /// own between 0.5 and 2 %, and one run in twelve in which the machine as a whole
    /// is slower by up to a half.
    fn collection(rows: usize, runs: usize, slower: f64, seed: u64) -> Vec<Vec<Time>> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..runs)
            .map(|_| {
                let machine = if rng.u8(0..12) == 0 {
                    0.5 * rng.f64()
                } else {
                    0.0
                };
                (0..rows)
                    .map(|row| {
                        let sigma = 0.005 + 0.015 * row as f64 / rows as f64;
                        let log = machine + sigma * normal(&mut rng);
                        let median = 1000.0 * slower * log.exp();
                        Time {
                            median,
                            p10: median * (0.985 + 0.005 * normal(&mut rng)),
                            mean: median * 1.01,
                            mean_error: median * 0.002,
                            interval: None,
                        }
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn the_gate_keeps_what_it_promises() {
        let collection = Collection {
            unchanged: collection(8, 60, 1.0, 1),
            planted: vec![
                (10.0, collection(8, 30, 1.10, 2)),
                (20.0, collection(8, 30, 1.20, 3)),
            ],
        };
        let plan = Plan {
            sides: (10, 5),
            suites: 400,
            seed: 1,
            gate: Gate::shipped(),
        };
        let figures = resample(&collection, &plan);
        let ours = &figures.rules[0];
        assert!(ours.false_alarms <= 0.01, "{}", ours.false_alarms);
        let [.., ten, twenty] = ours.found[..] else {
            panic!()
        };
        assert!(ten >= 0.95 && twenty >= 0.99, "{ten} {twenty}");
        // The peers' rules are there to be worse: where they were not, this would be moot.
        assert!(figures.rules[1..].iter().any(|r| r.false_alarms > 0.1));
    }
}
