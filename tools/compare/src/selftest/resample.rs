//! Suites drawn from runs, and what each rule says of them.

use probecost::schema::{Status, TimedEvidence};
use probecost::stats::{Interval, median};
use rayon::prelude::*;

use super::other_tools::OtherTool;
use super::rate::{Pool, rate, rate_in_order};
use super::sides::SideRuns;
use crate::decide::{Evidence, Family, measure};
use crate::input::Time;
use crate::thresholds::Thresholds;

/// Times of the same benchmarks by run, then by benchmark.
pub struct Collection {
    /// The benchmarks.
    pub benches: Vec<Bench>,
    /// Of an unchanged program, in the order they were made.
    pub unchanged: Vec<Vec<Time>>,
    /// Of slower programs.
    pub planted: Vec<Kind>,
}

/// Runs of a program with a slowdown in every benchmark.
pub struct Kind {
    /// Its size in percent.
    pub percent: f64,
    /// Times by run, then by benchmark.
    pub runs: Vec<Vec<Time>>,
}

/// A benchmark that is judged.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Its id.
    pub id: String,
    /// A change beyond this is called, in percent.
    pub threshold_pct: f64,
}

/// A way to make one benchmark of a suite slower.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slowdown {
    /// Its unchanged times are multiplied: by so many percent.
    Multiplied(f64),
    /// Its times are those of planted runs of this kind.
    Planted(usize),
}

/// How to draw.
pub struct Plan<'a> {
    /// Runs on either side.
    pub sides: SideRuns,
    /// Suites to draw.
    pub suites: usize,
    /// Where the random numbers start.
    pub seed: u64,
    /// What this gate judges by.
    pub thresholds: &'a Thresholds<'a>,
    /// Whose rules judge the same suites.
    pub other_tools: &'a [OtherTool],
    /// What is done to one benchmark of a suite after the other.
    pub slowdowns: &'a [Slowdown],
    /// To how many of them at most.
    pub slowed: usize,
}

/// The suites that were drawn, and what was said of each.
pub struct Drawn<'a> {
    slowdowns: &'a [Slowdown],
    plays: Vec<Play>,
    unchanged: Pool,
    planted: Vec<Pool>,
}

/// What was said of one suite.
struct Play {
    calm: Calm,
    /// Benchmarks that were slowed down.
    slowed: Vec<usize>,
    /// Which of them this gate found, by slowdown.
    found: Vec<Vec<bool>>,
    /// The share of them that each other_tool found, by slowdown.
    found_by_other_tools: Vec<Vec<f64>>,
}

/// What was said of a suite in which nothing had changed.
struct Calm {
    /// This gate's statuses by benchmark; one that is too short has none.
    statuses: Vec<Option<Status>>,
    /// Which other_tools raised an alarm.
    other_tools: Vec<bool>,
}

/// The runs of a suite, by number.
struct Choice {
    /// Of the unchanged ones: the baseline's, then the current ones.
    unchanged: Vec<usize>,
    /// Of each kind of planted ones: the current ones.
    planted: Vec<Vec<usize>>,
}

/// The times of a suite, by benchmark, then by run.
struct DrawnSuite<'a> {
    collection: &'a Collection,
    plan: &'a Plan<'a>,
    old: Vec<Vec<Time>>,
    new: Vec<Vec<Time>>,
}

impl Collection {
    /// The unchanged runs with some of the benchmarks.
    pub fn only(&self, kept: &[usize]) -> Collection {
        let run = |run: &Vec<Time>| kept.iter().map(|bench| run[*bench]).collect();
        Collection {
            benches: kept.iter().map(|b| self.benches[*b].clone()).collect(),
            unchanged: self.unchanged.iter().map(run).collect(),
            planted: Vec::new(),
        }
    }
}

/// Draws suites, and lets every rule judge them: as they are, and with one benchmark after
/// the other slowed down.
pub fn resample<'a>(collection: &Collection, plan: &Plan<'a>) -> Drawn<'a> {
    let mut seeds = fastrand::Rng::with_seed(plan.seed);
    let seeds: Vec<u64> = (0..plan.suites).map(|_| seeds.u64(..)).collect();
    let (choices, plays): (Vec<Choice>, Vec<Play>) = seeds
        .into_par_iter()
        .map(|seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let choice = Choice::draw(collection, plan.sides, &mut rng);
            let slowed = rng.choose_multiple(0..collection.benches.len(), plan.slowed);
            let play =
                DrawnSuite::of(collection, &choice.unchanged, plan).play(slowed, &choice.planted);
            (choice, play)
        })
        .unzip();
    let pool = |runs: &[Vec<Time>], drawn: &dyn Fn(&Choice) -> &[usize]| Pool {
        runs: runs.len(),
        drawn: choices.iter().map(|c| drawn(c).to_vec()).collect(),
    };
    let kinds = collection.planted.iter().enumerate();
    Drawn {
        slowdowns: plan.slowdowns,
        unchanged: pool(&collection.unchanged, &|c| &c.unchanged),
        planted: kinds
            .map(|(number, kind)| pool(&kind.runs, &|c| &c.planted[number]))
            .collect(),
        plays,
    }
}

/// False alarms where the runs follow each other in time, of this gate and then of its
/// other_tools; and how many suites that are.
pub fn in_order(collection: &Collection, plan: &Plan) -> (usize, Vec<Option<Interval>>) {
    let total = plan.sides.total();
    let numbers: Vec<usize> = (0..collection.unchanged.len()).collect();
    let calm: Vec<Calm> = numbers
        .windows(total)
        .map(|runs| DrawnSuite::of(collection, runs, plan).calm().1)
        .collect();
    let rates = (0..=plan.other_tools.len()).map(|rule| {
        let shares: Vec<f64> = calm.iter().map(|c| c.false_alarm(rule)).collect();
        rate_in_order(&shares, collection.unchanged.len(), total)
    });
    (calm.len(), rates.collect())
}

impl Drawn<'_> {
    /// Suites in which a rule raised an alarm though nothing had changed: this gate is
    /// number 0, its other_tools follow.
    pub fn false_alarms(&self, rule: usize) -> Option<Interval> {
        self.rate(&[&self.unchanged], |play| Some(play.calm.false_alarm(rule)))
    }

    /// Suites in which this gate raised an alarm on this benchmark though nothing had changed.
    pub fn false_alarms_on(&self, bench: usize) -> Option<Interval> {
        self.rate(&[&self.unchanged], |play| {
            Some(share(play.calm.statuses[bench] == Some(Status::Regressed)))
        })
    }

    /// Suites in which this gate raised no alarm, but could not decide about some benchmark.
    pub fn undecided(&self) -> Option<Interval> {
        self.rate(&[&self.unchanged], |play| {
            let any = |status| play.calm.statuses.contains(&Some(status));
            Some(share(any(Status::Inconclusive) && !any(Status::Regressed)))
        })
    }

    /// Benchmarks that this gate found when they were slowed down, of those that are asked for.
    pub fn found(&self, slowdown: Slowdown, of: impl Fn(usize) -> bool) -> Option<Interval> {
        let number = self.slowdowns.iter().position(|s| *s == slowdown)?;
        self.rate(&self.pools(slowdown), |play| {
            let tried = play.slowed.iter().zip(&play.found[number]);
            let shares = tried.filter(|(bench, _)| of(**bench));
            mean(shares.map(|(_, found)| share(*found)))
        })
    }

    /// Benchmarks that a other_tool found when they were slowed down.
    pub fn found_by_other_tool(&self, slowdown: Slowdown, other_tool: usize) -> Option<Interval> {
        let number = self.slowdowns.iter().position(|s| *s == slowdown)?;
        self.rate(&self.pools(slowdown), |play| {
            Some(play.found_by_other_tools[number][other_tool])
        })
    }

    /// Where the runs come from that tell of this slowdown.
    fn pools(&self, slowdown: Slowdown) -> Vec<&Pool> {
        match slowdown {
            Slowdown::Multiplied(_) => vec![&self.unchanged],
            Slowdown::Planted(kind) => vec![&self.unchanged, &self.planted[kind]],
        }
    }

    fn rate(&self, pools: &[&Pool], share: impl Fn(&Play) -> Option<f64>) -> Option<Interval> {
        let shares: Vec<Option<f64>> = self.plays.iter().map(share).collect();
        rate(&shares, pools)
    }
}

impl Calm {
    /// 1 where this rule raised an alarm, else 0.
    fn false_alarm(&self, rule: usize) -> f64 {
        share(match rule.checked_sub(1) {
            None => self.statuses.contains(&Some(Status::Regressed)),
            Some(other_tool) => self.other_tools[other_tool],
        })
    }
}

impl Choice {
    fn draw(collection: &Collection, sides: SideRuns, rng: &mut fastrand::Rng) -> Self {
        let mut some = |of: &[Vec<Time>], runs: usize| {
            let mut order: Vec<usize> = (0..of.len()).collect();
            rng.shuffle(&mut order);
            order.truncate(runs);
            order
        };
        let planted = collection.planted.iter();
        Self {
            unchanged: some(&collection.unchanged, sides.total()),
            planted: planted
                .map(|kind| some(&kind.runs, sides.current))
                .collect(),
        }
    }
}

impl<'a> DrawnSuite<'a> {
    /// The suite of these unchanged runs: the baseline's, then the current ones.
    fn of(collection: &'a Collection, runs: &[usize], plan: &'a Plan) -> Self {
        let (old, new) = runs.split_at(plan.sides.baseline);
        let columns = |runs: &[usize]| {
            (0..collection.benches.len())
                .map(|bench| column(&collection.unchanged, runs, bench))
                .collect()
        };
        Self {
            collection,
            plan,
            old: columns(old),
            new: columns(new),
        }
    }

    /// Judges the suite as it is, and then with each of these benchmarks slowed down.
    fn play(&self, slowed: Vec<usize>, planted: &[Vec<usize>]) -> Play {
        let (measured, calm) = self.calm();
        let (mut found, mut found_by_other_tools) = (Vec::new(), Vec::new());
        for slowdown in self.plan.slowdowns {
            let times: Vec<Vec<Time>> = slowed
                .iter()
                .map(|bench| match slowdown {
                    Slowdown::Multiplied(percent) => slower(&self.new[*bench], *percent),
                    Slowdown::Planted(kind) => column(
                        &self.collection.planted[*kind].runs,
                        &planted[*kind],
                        *bench,
                    ),
                })
                .collect();
            let tried = || slowed.iter().copied().zip(&times);
            found.push(
                tried()
                    .map(|(bench, new)| self.finds(&measured, bench, new))
                    .collect(),
            );
            let by_tool = |other_tool: &OtherTool| {
                mean(tried().map(|(bench, new)| share((other_tool.alarm)(&self.old[bench], new))))
            };
            found_by_other_tools.push(self.plan.other_tools.iter().filter_map(by_tool).collect());
        }
        Play {
            calm,
            slowed,
            found,
            found_by_other_tools,
        }
    }

    /// What the rules say of the suite as it is, and this gate's figures behind it.
    fn calm(&self) -> (Vec<Option<TimedEvidence>>, Calm) {
        let measured: Vec<Option<TimedEvidence>> = (0..self.new.len())
            .map(|bench| self.measure(bench, &self.new[bench]))
            .collect();
        let judged: Vec<&TimedEvidence> = measured.iter().flatten().collect();
        let family = Family::of(&judged, self.plan.thresholds.gate.times.family_error);
        let mut statuses = judged.iter().enumerate().map(|(i, m)| family.status(i, m));
        let statuses = measured
            .iter()
            .map(|m| m.as_ref().and_then(|_| statuses.next()))
            .collect();
        let any = |other_tool: &OtherTool| {
            (self.old.iter().zip(&self.new)).any(|(old, new)| (other_tool.alarm)(old, new))
        };
        let other_tools = self.plan.other_tools.iter().map(any).collect();
        (
            measured,
            Calm {
                statuses,
                other_tools,
            },
        )
    }

    /// Whether this gate calls this benchmark slower with the times `new`, and all others
    /// as they were measured.
    fn finds(&self, measured: &[Option<TimedEvidence>], bench: usize, new: &[Time]) -> bool {
        let Some(slowed) = self.measure(bench, new) else {
            return false;
        };
        let others = measured.iter().enumerate().filter(|(i, _)| *i != bench);
        let mut judged: Vec<&TimedEvidence> = others.filter_map(|(_, m)| m.as_ref()).collect();
        judged.push(&slowed);
        let family = Family::of(&judged, self.plan.thresholds.gate.times.family_error);
        family.status(judged.len() - 1, &slowed) == Status::Regressed
    }

    /// The figures of this benchmark with the current times `new`, unless it is too short.
    fn measure(&self, bench: usize, new: &[Time]) -> Option<TimedEvidence> {
        let thresholds = self.plan.thresholds;
        let figures = |times: &[Time], of: fn(&Time) -> f64| times.iter().map(of).collect();
        let old = &self.old[bench];
        let evidence = Evidence {
            old: vec![figures(old, |t| t.median)],
            old_p10: vec![figures(old, |t| t.p10)],
            new: figures(new, |t| t.median),
            new_p10: figures(new, |t| t.p10),
            threshold_pct: self.collection.benches[bench].threshold_pct,
        };
        let (before, now) = (median(&evidence.old[0])?, median(&evidence.new)?);
        match thresholds.too_short(before, now) {
            Some(_) => None,
            None => Some(measure(&evidence, &thresholds.gate.times)),
        }
    }
}

/// The times of one benchmark in these runs.
fn column(runs: &[Vec<Time>], numbers: &[usize], bench: usize) -> Vec<Time> {
    numbers.iter().map(|run| runs[*run][bench]).collect()
}

/// The same times, all of them so much longer.
fn slower(times: &[Time], percent: f64) -> Vec<Time> {
    let factor = 1.0 + percent / 100.0;
    let slower = |t: &Time| Time {
        median: t.median * factor,
        p10: t.p10 * factor,
        mean: t.mean * factor,
        mean_error: t.mean_error * factor,
        interval: t.interval.map(|i| i.map(|ns| ns * factor)),
    };
    times.iter().map(slower).collect()
}

/// A share of one.
fn share(came: bool) -> f64 {
    f64::from(u8::from(came))
}

/// The mean; of nothing, none.
fn mean(shares: impl Iterator<Item = f64>) -> Option<f64> {
    let shares: Vec<f64> = shares.collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::selftest::other_tools;
    use crate::selftest::synthetic::{NoiseModel, collection};
    use probecost::gate::Gate;
    use probecost::schema::GatePolicy;

    const TEN_AND_FIVE: SideRuns = SideRuns {
        baseline: 10,
        current: 5,
    };

    fn plan<'a>(thresholds: &'a Thresholds, slowdowns: &'a [Slowdown], suites: usize) -> Plan<'a> {
        Plan {
            sides: TEN_AND_FIVE,
            suites,
            seed: 1,
            thresholds,
            other_tools: &[],
            slowdowns,
            slowed: 8,
        }
    }

    fn est(rate: Option<Interval>) -> f64 {
        rate.unwrap().est
    }

    #[test]
    fn the_gate_keeps_what_it_promises() {
        let collection = collection(8, 60, &[(10.0, 30), (20.0, 30)], NoiseModel::Gusts, 1);
        let gate = Gate::shipped();
        let thresholds = Thresholds::of(&gate, GatePolicy::Strict).unwrap();
        let slowdowns = [Slowdown::Planted(0), Slowdown::Planted(1)];
        let other_tools = other_tools::all(TEN_AND_FIVE);
        let plan = Plan {
            other_tools: &other_tools,
            ..plan(&thresholds, &slowdowns, 400)
        };
        let drawn = resample(&collection, &plan);
        assert!(est(drawn.false_alarms(0)) <= 0.01);
        let found = slowdowns.map(|s| est(drawn.found(s, |_| true)));
        assert!(found[0] >= 0.95 && found[1] >= 0.99, "{found:?}");
        // The other_tools' rules are there to be worse: where they were not, this would be moot.
        assert!((1..=other_tools.len()).any(|rule| est(drawn.false_alarms(rule)) > 0.1));
    }

    /// Of each rate the share of intervals, from collections of forty runs each, that hold
    /// what endlessly many runs would give; false alarms of all rules, then what this gate
    /// and its other_tools find of +5 and +10 %.
    fn coverage(noise: NoiseModel, collections: u64) -> Vec<f64> {
        let gate = Gate::shipped();
        let thresholds = Thresholds::of(&gate, GatePolicy::Strict).unwrap();
        let slowdowns = [5.0, 10.0].map(Slowdown::Multiplied);
        let other_tools = other_tools::all(TEN_AND_FIVE);
        let rates = |runs: usize, suites: usize, seed: u64| -> Vec<Interval> {
            let plan = Plan {
                other_tools: &other_tools,
                ..plan(&thresholds, &slowdowns, suites)
            };
            let drawn = resample(&collection(3, runs, &[], noise, seed), &plan);
            let alarms = (0..=other_tools.len()).map(|rule| drawn.false_alarms(rule));
            let found = slowdowns.iter().flat_map(|slowdown| {
                let ours = drawn.found(*slowdown, |_| true);
                let theirs = (0..other_tools.len())
                    .map(|other_tool| drawn.found_by_other_tool(*slowdown, other_tool));
                [ours].into_iter().chain(theirs).collect::<Vec<_>>()
            });
            alarms.chain(found).flatten().collect()
        };
        let truth = rates(4000, 2000, 1);
        let mut held = vec![0.0; truth.len()];
        for seed in 0..collections {
            for (held, (i, truth)) in held
                .iter_mut()
                .zip(rates(40, 200, 2 + seed).iter().zip(&truth))
            {
                *held += share(i.contains(truth.est)) / collections as f64;
            }
        }
        held
    }

    /// Near 0 and 1 intervals hold more often than they claim, because forty runs are all
    /// that there is; in between somewhat less often, where runs resemble their neighbours
    /// or one kind of run decides.
    #[test]
    fn intervals_hold_what_they_claim() {
        for noise in [NoiseModel::Gusts, NoiseModel::Phases] {
            let held = coverage(noise, 40);
            let mean = held.iter().sum::<f64>() / held.len() as f64;
            assert!(mean >= 0.93, "{mean}: {held:?}");
            assert!(held.iter().all(|h| *h >= 0.7), "{held:?}");
        }
    }

    #[test]
    fn another_seed_draws_other_suites() {
        let collection = collection(2, 40, &[], NoiseModel::Gusts, 1);
        let gate = Gate::shipped();
        let thresholds = Thresholds::of(&gate, GatePolicy::Strict).unwrap();
        let drawn = |seed| {
            let plan = Plan {
                seed,
                ..plan(&thresholds, &[], 50)
            };
            resample(&collection, &plan).unchanged.drawn
        };
        assert_eq!(drawn(1), drawn(1));
        let (one, two) = (drawn(1), drawn(2));
        assert!(one.iter().all(|suite| !two.contains(suite)));
    }

    /// What `check` decides about the same figures.
    #[test]
    fn a_suite_is_judged_as_check_judges_it() {
        let mut collection = collection(6, 15, &[], NoiseModel::Phases, 3);
        for run in &mut collection.unchanged[10..] {
            run[2] = slower(&run[2..3], 30.0)[0];
        }
        collection.unchanged.iter_mut().for_each(|run| {
            run[4] = slower(&run[4..5], -99.0)[0];
        });
        let gate = Gate::shipped();
        let thresholds = Thresholds::of(&gate, GatePolicy::Strict).unwrap();
        let plan = plan(&thresholds, &[], 1);
        let runs: Vec<usize> = (0..15).collect();
        let (_, calm) = DrawnSuite::of(&collection, &runs, &plan).calm();
        let figures = |bench: usize, runs: std::ops::Range<usize>| {
            let runs = collection.unchanged[runs].iter();
            runs.map(|run| (run[bench].median, run[bench].p10)).unzip()
        };
        let judged = [0, 1, 2, 3, 5];
        let evidence = judged.map(|bench| {
            let ((old, old_p10), (new, new_p10)) = (figures(bench, 0..10), figures(bench, 10..15));
            Evidence {
                old: vec![old],
                old_p10: vec![old_p10],
                new,
                new_p10,
                threshold_pct: 5.0,
            }
        });
        let evidence = evidence.map(|row| measure(&row, &gate.times));
        let decided = decide(&evidence, &gate.times, &gate.severity);
        for (bench, decision) in judged.iter().zip(&decided) {
            assert_eq!(calm.statuses[*bench], Some(decision.status), "{bench}");
        }
        assert_eq!(calm.statuses[2], Some(Status::Regressed));
        assert_eq!(calm.statuses[4], None, "ten nanoseconds are too short");
    }
}
