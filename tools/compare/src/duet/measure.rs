//! Rounds of all benchmarks: a screen, then fresh ones for what it leaves open, as long as
//! there is time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use probecost::gate::Gate;
use probecost::stats::median;

use super::announcement::{announcement, correction};
use super::benchmark::{BenchmarkRun, DuetSuite, End, ratios};
use super::layout::Order;
use super::listed;
use super::pair::Pair;
use super::process::RunError;
use super::round::{Round, Rounds, orders};
use super::sequential::{FEWEST, Look, Rule, SHORT_SCREEN, Screened, Settled, Threshold, screen};
use super::subjects::{Subject, Subjects};

/// The share of the time that the screen may take, where time is short.
const SCREEN_SHARE: f64 = 0.6;

/// The most benchmarks that share a process: each bears what those before it leave behind.
const LARGEST_BATCH: usize = 64;

/// The rounds after which a slower benchmark is mostly settled.
const USUAL_ROUNDS: usize = 16;

/// Measures suites.
pub struct DuetBench<'a> {
    pub rounds: Rounds<'a>,
    pub gate: &'a Gate,
    /// The most fresh rounds of a benchmark.
    pub most: usize,
    /// The longest that it may take.
    pub time: Option<Duration>,
    /// Whether each side has a layout of its own, to see what that does.
    pub apart: bool,
    /// How many benchmarks the suite has that these are a part of.
    pub suite: Option<usize>,
    pub seed: u64,
}

/// What is under way.
struct Progress {
    rng: fastrand::Rng,
    started: Instant,
    /// What was announced that it takes.
    estimate: Duration,
    time: Option<Duration>,
    /// The targets whose benchmarks cannot share a process.
    apart: BTreeSet<*const Pair>,
    bar: ProgressBar,
}

impl Progress {
    /// When time is up.
    fn deadline(&self) -> Option<Instant> {
        self.started.checked_add(self.time?)
    }

    fn left(&self) -> Option<Duration> {
        Some(self.time?.saturating_sub(self.started.elapsed()))
    }

    fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

impl DuetBench<'_> {
    /// A screen of all, then fresh rounds of what it could not clear.
    pub fn measure(&self, subjects: Subjects) -> DuetSuite {
        let estimate = self.estimate(&subjects.all);
        eprintln!("{}", announcement(&subjects.all, estimate, self.time));
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let rounds = self.gate.duet.screen_rounds + self.most;
        let mut runs: Vec<BenchmarkRun> = (subjects.all.into_iter())
            .map(|subject| BenchmarkRun::new(subject, orders(&mut rng, rounds)))
            .collect();
        let mut progress = Progress {
            rng,
            started: Instant::now(),
            estimate,
            time: self.time,
            apart: BTreeSet::new(),
            bar: bar(runs.len() * self.gate.duet.screen_rounds),
        };
        self.screen(&mut runs, &mut progress);
        self.settle(&mut runs, &mut progress);
        progress.bar.finish_and_clear();
        DuetSuite {
            runs,
            gaps: subjects.gaps,
        }
    }

    /// What measuring will take if the screen clears nearly all, no iteration is long, and no
    /// bench has times of its own: what only measuring shows.
    pub fn estimate(&self, subjects: &[Subject]) -> Duration {
        let rounds = self.gate.duet.screen_rounds as u32;
        let once = |subject: &Subject| {
            let planned = self.planned_time(subject);
            planned + subject.set_up / batch_size(subject, planned) as u32
        };
        2 * rounds * subjects.iter().map(once).sum::<Duration>() + self.link_time(subjects)
    }

    /// What the layouts of a screen take beyond the first.
    fn link_time<'s>(&self, subjects: impl IntoIterator<Item = &'s Subject>) -> Duration {
        let pairs: BTreeMap<_, Duration> = (subjects.into_iter())
            .map(|s| (Rc::as_ptr(&s.pair), s.pair.link_time()))
            .collect();
        let more = self.gate.duet.screen_rounds.saturating_sub(1) / 2;
        more as u32 * pairs.values().sum::<Duration>()
    }

    /// What a process is asked to spend on a benchmark.
    fn planned_time(&self, subject: &Subject) -> Duration {
        let sampling = self.rounds.sampling;
        match subject.whole_seconds && !subject.yields {
            true => sampling.whole_seconds().time(),
            false => sampling.time(),
        }
    }

    /// What a process spends on a benchmark, as far as that was seen: one iteration may be long,
    /// and a bench may keep times of its own.
    fn benchmark_time(&self, run: &BenchmarkRun) -> Duration {
        self.planned_time(&run.subject).max(run.measuring)
    }

    /// The rounds of the screen, one of each benchmark after the other.
    fn screen(&self, runs: &mut [BenchmarkRun], progress: &mut Progress) {
        let rounds = self.gate.duet.screen_rounds;
        for k in 0..rounds {
            let open = open(runs);
            // Each two rounds, of which either side begins one.
            let order = match k / 2 {
                0 => Order::Name,
                several => self.order(several),
            };
            progress
                .bar
                .set_message(format!("screen {} of {rounds}", k + 1));
            self.round(runs, &open, order, progress, |run| &mut run.screen);
            if k == 0 && rounds > 1 {
                let links = self.link_time(runs.iter().map(|run| &run.subject));
                let first = progress.started.elapsed();
                let said = correction(progress.estimate, first, first * rounds as u32 + links);
                said.iter()
                    .for_each(|said| progress.bar.suspend(|| eprintln!("{said}")));
            }
            let enough = |time: Duration| {
                let next = progress
                    .started
                    .elapsed()
                    .mul_f64((k + 2) as f64 / (k + 1) as f64);
                k + 1 >= SHORT_SCREEN && next > time.mul_f64(SCREEN_SHARE)
            };
            if progress.time.is_some_and(enough) {
                break;
            }
        }
        for run in runs.iter_mut().filter(|run| run.end == End::Open) {
            let times: Vec<f64> = (run.screen.iter())
                .filter(|r| r.is_time)
                .map(|r| r.base.max(r.head))
                .collect();
            run.end = if self.interrupted() {
                End::Interrupted
            } else if run.screen.len() < SHORT_SCREEN.min(rounds) {
                End::NoTime
            } else if median(&times).is_some_and(|ns| ns < self.gate.times.shortest_ns) {
                End::Short
            } else if screen(&ratios(&run.screen), run.subject.threshold()) == Screened::Cleared {
                End::Cleared
            } else {
                End::Open
            };
        }
    }

    /// Fresh rounds until looks settle what is open, or there are enough. Where time is
    /// short, what looks slowest comes first.
    fn settle(&self, runs: &mut [BenchmarkRun], progress: &mut Progress) {
        let mut waiting = open(runs);
        waiting.sort_by(|a, b| {
            let [a, b] = [*a, *b].map(|i| runs[i].looks_slower_by());
            b.total_cmp(&a)
        });
        let all = waiting.clone();
        // A look must be as sure as if the others of the suite were here.
        let rows = self.suite.unwrap_or(all.len());
        let rule = Rule::new(&self.gate.duet, rows, self.most);
        progress
            .bar
            .inc_length((all.len() * USUAL_ROUNDS.min(self.most)) as u64);
        let mut unsettled = Vec::new();
        while !waiting.is_empty() && !progress.is_over() && !self.interrupted() {
            let rest = waiting.split_off(self.affordable(&waiting, runs, progress));
            let mut active = std::mem::replace(&mut waiting, rest);
            for k in 0..self.most {
                let order = self.order(100 + k);
                progress
                    .bar
                    .set_message(format!("{} open, fresh round {}", active.len(), k + 1));
                self.round(runs, &active, order, progress, |run| &mut run.fresh);
                active.retain(|i| {
                    let run = &runs[*i];
                    let rounds = run.fresh.len();
                    let look = || rule.look(&ratios(&run.fresh), run.subject.threshold());
                    run.end == End::Open && !(rule.looks_after(rounds) && look() != Look::Open)
                });
                if active.is_empty() || progress.is_over() || self.interrupted() {
                    break;
                }
            }
            unsettled.extend(active);
        }
        // What a look has settled already stays so.
        for i in waiting.into_iter().chain(unsettled) {
            let run = &mut runs[i];
            if run.end != End::Open {
                continue;
            }
            run.end = match run.fresh.len() {
                rounds if rounds < self.most && self.interrupted() => End::Interrupted,
                rounds if rounds < FEWEST.min(self.most) => End::NoTime,
                _ => End::Open,
            };
        }
        let whole: Vec<usize> = (all.into_iter())
            .filter(|i| runs[*i].end == End::Open)
            .collect();
        let rounds: Vec<(Vec<f64>, Threshold)> = (whole.iter())
            .map(|i| (ratios(&runs[*i].fresh), runs[*i].subject.threshold()))
            .collect();
        for ((i, settled), (ratios, threshold)) in
            whole.into_iter().zip(rule.settle(&rounds)).zip(&rounds)
        {
            // Where rounds were still to come, only a look can say that nothing has changed.
            let open = ratios.len() < self.most && rule.look(ratios, *threshold) != Look::Unchanged;
            runs[i].end = match settled {
                Settled::Unchanged if open => End::NoTime,
                settled => End::Settled(settled),
            };
        }
    }

    fn order(&self, number: usize) -> Order {
        Order::Random(self.seed.wrapping_mul(1000).wrapping_add(number as u64))
    }

    fn orders_of_sides(&self, order: Order) -> [Order; 2] {
        match self.apart {
            true => [Order::Name, self.order(0)],
            false => [order; 2],
        }
    }

    /// How many of those that wait, at least one, there is time enough to settle.
    fn affordable(&self, waiting: &[usize], runs: &[BenchmarkRun], progress: &Progress) -> usize {
        let Some(left) = progress.left() else {
            return waiting.len();
        };
        let mut seconds = left.as_secs_f64();
        let fits = waiting.iter().take_while(|i| {
            seconds -= runs[**i].round_seconds() * USUAL_ROUNDS.min(self.most) as f64;
            seconds >= 0.0
        });
        fits.count().max(1)
    }

    /// One round of each of `which`.
    fn round(
        &self,
        runs: &mut [BenchmarkRun],
        which: &[usize],
        order: Order,
        progress: &mut Progress,
        rounds: impl Fn(&mut BenchmarkRun) -> &mut Vec<Round>,
    ) {
        for mut batch in self.batches(runs, which, progress) {
            if progress.is_over() || self.interrupted() {
                break;
            }
            if let Some(left) = progress.left() {
                batch.truncate(self.fitting(&batch, runs, left));
            }
            let started = Instant::now();
            let pair = Rc::clone(&runs[batch[0]].subject.pair);
            let orders = self.orders_of_sides(order);
            let mut results = match pair.executables(orders) {
                Err(e) => vec![Err(e); batch.len()],
                Ok(executables) => {
                    let of = |i: &usize| (&runs[*i].subject, runs[*i].begins());
                    let tasks: Vec<_> = batch.iter().map(of).collect();
                    let started = Instant::now();
                    let made = (self.rounds).batch(executables, &tasks, progress.deadline());
                    let each = started.elapsed() / 2;
                    if made.together {
                        let set_up = runs[batch[0]].subject.set_up;
                        for i in &batch {
                            runs[*i].measuring = each.saturating_sub(set_up) / batch.len() as u32;
                        }
                    } else if made.rounds.iter().all(Result::is_ok) {
                        // Were it for one that gives nothing, the others could without it.
                        progress.apart.insert(Rc::as_ptr(&pair));
                    }
                    made.rounds
                }
            };
            for (i, result) in batch.iter().zip(&mut results) {
                if let Err(RunError::Nothing(_)) = result {
                    let followed = self.followed(&mut runs[*i], orders);
                    *result = followed.unwrap_or_else(|| result.clone());
                }
            }
            let seconds = started.elapsed().as_secs_f64() / batch.len() as f64;
            for (i, result) in batch.into_iter().zip(results) {
                runs[i].seconds += seconds;
                match result {
                    Ok(round) => rounds(&mut runs[i]).push(round),
                    Err(RunError::Interrupted) => {}
                    // Whatever was cut short may well fail.
                    Err(_) if self.interrupted() => {}
                    Err(RunError::Failed(words) | RunError::Nothing(words)) => {
                        runs[i].end = End::Broken(words)
                    }
                }
                progress.bar.inc(1);
            }
        }
    }

    /// A round of a benchmark that did not answer to its id, where what both sides list by
    /// now shows that the id changes from process to process.
    fn followed(
        &self,
        run: &mut BenchmarkRun,
        orders: [Order; 2],
    ) -> Option<Result<Round, RunError>> {
        let Rounds { cpu, patience, .. } = &self.rounds;
        let pair = Rc::clone(&run.subject.pair);
        let lists = listed::again(&run.subject.lists, &pair, cpu, patience);
        match lists.map(|lists| run.subject.follow(&lists)) {
            Err(e) => Some(Err(e)),
            Ok(false) => None,
            Ok(true) => Some(
                pair.executables(orders)
                    .and_then(|both| self.rounds.one(both, &run.subject, run.begins())),
            ),
        }
    }

    fn interrupted(&self) -> bool {
        self.rounds.patience.interrupt.came()
    }

    /// Who shares a process with whom: as many of a target as its set-up warrants, and in
    /// each round others, since each bears what those before it leave behind.
    fn batches(
        &self,
        runs: &[BenchmarkRun],
        which: &[usize],
        progress: &mut Progress,
    ) -> Vec<Vec<usize>> {
        let pair = |i: usize| Rc::as_ptr(&runs[i].subject.pair);
        let mut times: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
        for i in which {
            let time = self.benchmark_time(&runs[*i]);
            times.entry(pair(*i)).or_default().push(time);
        }
        let size = |i: usize| {
            let times = &times[&pair(i)];
            let mean = times.iter().sum::<Duration>() / times.len() as u32;
            match progress.apart.contains(&pair(i)) {
                true => 1,
                false => batch_size(&runs[i].subject, mean),
            }
        };
        let mut targets: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut batches = Vec::new();
        for i in which {
            match size(*i) {
                1 => batches.push(vec![*i]),
                _ => targets.entry(pair(*i)).or_default().push(*i),
            }
        }
        for mut members in targets.into_values() {
            let size = size(members[0]);
            progress.rng.shuffle(&mut members);
            // The last one is no smaller than the others by more than one.
            let size = members.len().div_ceil(members.len().div_ceil(size));
            for batch in members.chunks(size) {
                let mut batch = batch.to_vec();
                batch.sort_unstable();
                batches.push(batch);
            }
        }
        batches
    }

    /// How many of a batch, at least one, there is time enough for.
    fn fitting(&self, batch: &[usize], runs: &[BenchmarkRun], left: Duration) -> usize {
        let mut left = left.saturating_sub(2 * runs[batch[0]].subject.set_up);
        let fits = batch.iter().take_while(|i| {
            let rest = left.checked_sub(2 * self.benchmark_time(&runs[**i]));
            left = rest.unwrap_or_default();
            rest.is_some()
        });
        fits.count().max(1)
    }
}

/// How many share a process that spends `time` on each, so that what it sets up is no more than
/// half of what it measures.
fn batch_size(subject: &Subject, time: Duration) -> usize {
    if subject.lockstep || subject.plant.is_some() {
        return 1;
    }
    let wanted = 2.0 * subject.set_up.as_secs_f64() / time.as_secs_f64();
    (wanted.ceil() as usize).clamp(1, LARGEST_BATCH)
}

fn open(runs: &[BenchmarkRun]) -> Vec<usize> {
    (0..runs.len())
        .filter(|i| runs[*i].end == End::Open)
        .collect()
}

fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent} %, {eta} left, {msg}") {
        bar.set_style(style);
    }
    bar
}
