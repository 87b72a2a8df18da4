//! `compare duet`: head against base on one machine, interleaved.
//!
//! build → list → screen all → fresh rounds for what is open → settle together → verdict.

mod args;
mod build;
mod harness;
mod interrupt;
mod process;
mod report;
mod round;
mod sequential;
mod subjects;
mod turns;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use probecost::gate::{Duet as Numbers, Gate};
use probecost::host::Host;
use probecost::schema::{Policy, Verdict};
use probecost::stats::median;
use regex::Regex;

use crate::baselines;
use crate::failure::Failure;
use crate::repository;
use crate::thresholds::Thresholds;
pub use args::DuetArgs;
pub use interrupt::Interrupt;

use build::{BuildDir, Side};
use harness::SamplingConfig;
use process::{Cpu, Patience, RunError};
use round::{Round, Rounds, Subject, orders};
use sequential::{Look, Rule, Screened, Settled, Threshold, screen};
use subjects::{Gap, Pairs, Sides};

/// A process's share of a round where one side runs after the other.
const SAMPLING: SamplingConfig = SamplingConfig {
    warm_up: 0.05,
    measurement: 0.15,
    samples: 15,
};

/// The same where both take turns: blocks of about ten milliseconds, since waiting for the
/// other counts as well, and few of them, since more processes tell more than more blocks.
const LOCKSTEP_SAMPLING: SamplingConfig = SamplingConfig {
    warm_up: 0.02,
    measurement: 0.25,
    samples: 10,
};

/// What is asked.
#[derive(Clone)]
pub struct Question {
    /// What is compared.
    pub what: What,
    /// Only what matches.
    pub only: Option<Regex>,
    /// The most fresh rounds of a benchmark; else what gate.toml says.
    pub rounds: Option<usize>,
    /// The longest that one process may take.
    pub timeout: Duration,
    /// How strictly to judge.
    pub policy: Policy,
    /// Where the random order of the rounds starts.
    pub seed: u64,
}

/// What is compared.
#[derive(Clone)]
pub enum What {
    /// Revisions, which are built first.
    Revisions {
        /// What is compared with.
        base: String,
        /// Else the commit that the work tree stands on.
        head: Option<String>,
        /// The bench targets; all where there is none.
        benches: Vec<String>,
        /// Whether to hold base against a second build of base as well.
        control: bool,
    },
    /// Executables as they are.
    Executables {
        /// What is compared with.
        base: PathBuf,
        /// What is judged.
        head: PathBuf,
    },
    /// An executable with itself, to see how often one errs.
    Itself {
        /// The executable.
        executable: PathBuf,
        /// What it is to plant in one of its benchmarks.
        plant: Option<Plant>,
    },
}

/// A slowdown that a bench plants in itself, told by `PROBECOST_PLANT_PCT`.
#[derive(Debug, Clone)]
pub struct Plant {
    /// The benchmark.
    pub id: String,
    /// In percent of its time.
    pub percent: u32,
}

/// A benchmark's rounds, as far as they came.
struct BenchmarkRun {
    subject: Subject,
    screen: Vec<Round>,
    fresh: Vec<Round>,
    end: End,
    seconds: f64,
}

/// What became of a benchmark.
#[derive(Debug, Clone, PartialEq)]
enum End {
    /// The screen left it open, and there are no fresh rounds yet.
    Open,
    /// It was cleared by the screen.
    Cleared,
    /// It was judged on its fresh rounds.
    Settled(Settled),
    /// It is too short to raise an alarm.
    Short,
    /// A process gave nothing.
    Broken(String),
    /// Somebody stopped us before there was an answer.
    Interrupted,
}

/// All benchmarks of one comparison.
struct Suite {
    runs: Vec<BenchmarkRun>,
    gaps: Vec<Gap>,
}

/// Builds, measures and decides.
///
/// # Errors
/// A revision does not build, or an executable cannot be used.
pub fn duet(question: &Question, interrupt: &Interrupt) -> Result<Verdict, Failure> {
    let started = Instant::now();
    let gate = baselines::gate_beside(&Path::new(baselines::DIRECTORY).join("any.json"))?;
    let host = Host::read().map_err(|e| Failure::new(e.to_string()))?;
    let sides = sides(&question.what, interrupt)?;
    let built = started.elapsed().as_secs_f64();
    let cpu = Cpu::leave().map_err(|e| Failure::new(format!("cannot leave a CPU alone: {e}")))?;
    let bench = Bench {
        rounds: Rounds {
            sampling: SAMPLING,
            lockstep_sampling: LOCKSTEP_SAMPLING,
            cpu: &cpu,
            patience: Patience {
                limit: question.timeout,
                interrupt,
            },
        },
        gate: &gate,
        most: question.rounds.unwrap_or(gate.duet.rounds),
        seed: question.seed,
    };
    let thresholds = Thresholds::of(&gate, question.policy)?;
    let mut pairs = sides.pairs(question.only.as_ref(), &bench.rounds, &thresholds)?;
    if let What::Itself {
        plant: Some(plant), ..
    } = &question.what
    {
        for subject in pairs.subjects.iter_mut().filter(|s| s.id == plant.id) {
            subject.plant = Some(plant.percent);
        }
    }
    let suite = bench.measure(pairs, "");
    let control = sides
        .control(question.only.as_ref(), &bench.rounds, &thresholds)?
        .map(|pairs| bench.measure(pairs, "control: "));
    let times = report::Times {
        built,
        total: started.elapsed().as_secs_f64(),
    };
    Ok(report::verdict(&report::Found {
        suite: &suite,
        control: control.as_ref(),
        names: sides.names(),
        host,
        gate: &gate,
        policy: question.policy,
        seed: question.seed,
        times,
    }))
}

/// The executables of both sides.
fn sides(what: &What, interrupt: &Interrupt) -> Result<Sides, Failure> {
    match what {
        What::Executables { base, head } => Sides::given(base, head),
        What::Itself { executable, .. } => Sides::given(executable, executable),
        What::Revisions {
            base,
            head,
            benches,
            control,
        } => {
            let head = match head {
                Some(head) => head.clone(),
                None => clean_head()?,
            };
            let directory = BuildDir::enter()?;
            let built = |side, revision: &str| directory.build(side, revision, benches, interrupt);
            let (old, new) = (built(Side::Base, base)?, built(Side::Head, &head)?);
            let null = match control {
                true => Some(built(Side::Null, base)?),
                false => None,
            };
            Sides::built(directory, (base, old), (&head, new), null)
        }
    }
}

/// HEAD, where the work tree is what HEAD says.
fn clean_head() -> Result<String, Failure> {
    let head = repository::head(Path::new("."))?.ok_or_else(|| {
        Failure::new("no git repository with a commit around this directory")
            .remedy("--bin-base EXE --bin-head EXE compares executables")
    })?;
    match head.changed.first() {
        None => Ok("HEAD".to_owned()),
        Some(first) => Err(Failure::new(format!(
            "the work tree differs from HEAD in {first}{}: only commits are compared",
            match head.changed.len() {
                1 => String::new(),
                several => format!(" and {} more", several - 1),
            }
        ))
        .remedy("git commit, or --head HEAD to leave the changes out")),
    }
}

/// Measures suites.
struct Bench<'a> {
    rounds: Rounds<'a>,
    gate: &'a Gate,
    most: usize,
    seed: u64,
}

impl Bench<'_> {
    /// A screen of all, then fresh rounds of what it could not clear.
    fn measure(&self, pairs: Pairs, label: &str) -> Suite {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let numbers = &self.gate.duet;
        let bar = bar(pairs.subjects.len(), label);
        let mut runs: Vec<BenchmarkRun> = Vec::with_capacity(pairs.subjects.len());
        for subject in pairs.subjects {
            bar.set_message(subject.id.clone());
            runs.push(self.screen(subject, numbers, &mut rng));
            bar.inc(1);
        }
        let open: Vec<usize> = (0..runs.len())
            .filter(|i| runs[*i].end == End::Open)
            .collect();
        bar.inc_length(open.len() as u64);
        let rule = Rule::new(numbers, open.len(), self.most);
        for i in &open {
            bar.set_message(format!("{}, fresh rounds", runs[*i].subject.id));
            self.settle(&mut runs[*i], &rule, &mut rng);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let whole: Vec<usize> = open
            .into_iter()
            .filter(|i| runs[*i].end == End::Open)
            .collect();
        let ratios: Vec<(Vec<f64>, Threshold)> = whole
            .iter()
            .map(|i| (ratios(&runs[*i].fresh), runs[*i].subject.threshold()))
            .collect();
        for (i, settled) in whole.into_iter().zip(rule.settle(&ratios)) {
            runs[i].end = End::Settled(settled);
        }
        Suite {
            runs,
            gaps: pairs.gaps,
        }
    }

    /// The rounds of the screen.
    fn screen(&self, subject: Subject, numbers: &Numbers, rng: &mut fastrand::Rng) -> BenchmarkRun {
        let started = Instant::now();
        let mut run = BenchmarkRun {
            subject,
            screen: Vec::new(),
            fresh: Vec::new(),
            end: End::Open,
            seconds: 0.0,
        };
        for first in orders(rng, numbers.screen_rounds) {
            match self.rounds.one(&run.subject, first) {
                Ok(round) => run.screen.push(round),
                Err(error) => {
                    run.end = error.into();
                    break;
                }
            }
        }
        if run.screen.len() == numbers.screen_rounds {
            if screen(&ratios(&run.screen), run.subject.threshold()) == Screened::Cleared {
                run.end = End::Cleared;
            }
            let times: Vec<f64> = run
                .screen
                .iter()
                .map(|r| r.base_ns.min(r.head_ns))
                .collect();
            if median(&times).is_some_and(|ns| ns < self.gate.times.shortest_ns) {
                run.end = End::Short;
            }
        }
        run.seconds = started.elapsed().as_secs_f64();
        run
    }

    /// Fresh rounds until a look settles it, or there are enough.
    fn settle(&self, run: &mut BenchmarkRun, rule: &Rule, rng: &mut fastrand::Rng) {
        let started = Instant::now();
        for first in orders(rng, self.most) {
            match self.rounds.one(&run.subject, first) {
                Ok(round) => run.fresh.push(round),
                Err(error) => {
                    run.end = error.into();
                    break;
                }
            }
            let so_far = run.fresh.len();
            if rule.looks_after(so_far)
                && rule.look(&ratios(&run.fresh), run.subject.threshold()) != Look::Open
            {
                break;
            }
        }
        run.seconds += started.elapsed().as_secs_f64();
    }
}

impl From<RunError> for End {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Interrupted => End::Interrupted,
            RunError::Failed(words) => End::Broken(words),
        }
    }
}

fn ratios(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|r| r.ratio).collect()
}

fn bar(benchmarks: usize, label: &str) -> ProgressBar {
    let bar = ProgressBar::new(benchmarks as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}, {prefix}{msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(label.to_owned());
    bar
}
