//! `cargo compare duet`: head against base on one machine, interleaved.
//!
//! build both alike → lay out alike → list → screen all → fresh rounds for what is open,
//! each in a layout of its own → settle together → verdict.

mod announcement;
mod args;
mod benchmark;
mod build;
mod changing;
mod checkouts;
mod criterion;
mod harness;
mod interrupt;
mod layout;
mod link;
mod listed;
mod measure;
mod names;
mod own;
mod pair;
mod process;
mod profile;
mod report;
mod round;
pub(crate) mod sequential;
mod sides;
mod stand_in;
mod strays;
mod subjects;
mod tree;
mod turns;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use probecost::gate::Gate;
use probecost::host::Host;
use probecost::schema::turns::WARM_UP;
use probecost::schema::{GatePolicy, Portion, Shard, Verdict};
use regex::Regex;

use crate::baselines;
use crate::failure::Failure;
use crate::repository;
use crate::shard;
use crate::thresholds::Thresholds;
pub use args::DuetArgs;
pub use build::Selection;
pub use interrupt::Interrupt;
pub(crate) use report::{decided, settled};
pub use stand_in::stand_in;

use build::BuildDir;
use harness::SamplingConfig;
use measure::DuetBench;
use process::{Cpu, Patience};
use round::Rounds;
use sides::Sides;
use subjects::Subjects;

/// A process's share of a round: blocks of about fifteen milliseconds, and few of them, since
/// more processes tell more than more blocks.
const SAMPLING: SamplingConfig = SamplingConfig {
    warm_up: WARM_UP.as_secs_f64(),
    measurement: 0.15,
    samples: 10,
};

/// What is asked of a comparison.
#[derive(Debug, Clone)]
pub struct DuetRequest {
    /// Only what matches.
    pub only: Option<Regex>,
    /// The most fresh rounds of a benchmark; else what gate.toml says.
    pub rounds: Option<usize>,
    /// The longest that measuring may take.
    pub time: Option<Duration>,
    /// The longest that one process may take.
    pub timeout: Duration,
    /// How strictly to judge.
    pub policy: GatePolicy,
    /// Where the random order of the rounds starts.
    pub seed: u64,
    /// Only this part of the benchmarks.
    pub shard: Option<Shard>,
    /// Where profiles of what became slower are left.
    pub profile: Option<PathBuf>,
}

/// What is compared.
#[derive(Debug, Clone)]
pub enum What {
    /// Revisions, which are built first.
    Revisions {
        /// What is compared with.
        base: String,
        /// Else the commit that the work tree stands on.
        head: Option<String>,
        /// What is built of them.
        selection: Selection,
    },
    /// Executables as they are.
    Executables {
        /// What is compared with.
        base: PathBuf,
        /// What is judged.
        head: PathBuf,
    },
}

/// What is changed of head, to see whether that is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variation {
    /// Nothing.
    None,
    /// One benchmark is so many percent slower, told by `PROBECOST_PLANT_PCT`.
    Planted {
        /// The benchmark.
        id: String,
        /// In percent of its time.
        percent: u32,
    },
    /// Its functions lie elsewhere.
    OtherLayout,
}

/// Both sides, ready to be measured as often as one likes.
pub struct Stage {
    sides: Sides,
    gate: Gate,
    host: Host,
    cpu: Cpu,
    /// What building took, in seconds.
    built: f64,
}

/// Builds, measures and decides.
///
/// # Errors
/// A revision does not build, or an executable cannot be used.
pub fn duet(what: &What, request: &DuetRequest, interrupt: &Interrupt) -> Result<Verdict, Failure> {
    Stage::set(what, interrupt)?.compare(request, &Variation::None, interrupt)
}

impl Stage {
    /// Builds both sides, and leaves a CPU to them.
    ///
    /// # Errors
    /// A revision does not build, or an executable does not exist.
    pub fn set(what: &What, interrupt: &Interrupt) -> Result<Self, Failure> {
        let started = Instant::now();
        let gate = baselines::gate(None)?;
        let host = Host::read().map_err(|e| Failure::new(e.to_string()))?;
        let sides = sides(what, interrupt)?;
        let cpu =
            Cpu::leave().map_err(|e| Failure::new(format!("cannot leave a CPU alone: {e}")))?;
        Ok(Self {
            sides,
            gate,
            host,
            cpu,
            built: started.elapsed().as_secs_f64(),
        })
    }

    /// Whether the sides share a layout, so that another one can be tried.
    pub fn has_layouts(&self) -> bool {
        self.sides.has_layouts()
    }

    /// What all shards of one comparison have in common.
    fn plan(&self, request: &DuetRequest) -> BTreeMap<String, String> {
        let mut plan = shard::plan("duet", request.policy, &self.gate);
        let rounds = request.rounds.unwrap_or(self.gate.duet.rounds);
        plan.insert("rounds".to_owned(), rounds.to_string());
        for (side, name) in ["base", "head"].into_iter().zip(self.sides.names()) {
            plan.insert(side.to_owned(), name.identity());
        }
        plan
    }

    /// Measures and decides.
    ///
    /// # Errors
    /// Neither side lists a benchmark, or somebody asked us to stop before one was listed.
    pub fn compare(
        &self,
        request: &DuetRequest,
        variation: &Variation,
        interrupt: &Interrupt,
    ) -> Result<Verdict, Failure> {
        let started = Instant::now();
        let mut bench = DuetBench {
            rounds: Rounds {
                sampling: SAMPLING,
                cpu: &self.cpu,
                patience: Patience {
                    limit: request.timeout,
                    interrupt,
                },
            },
            gate: &self.gate,
            most: request.rounds.unwrap_or(self.gate.duet.rounds),
            time: request.time,
            apart: *variation == Variation::OtherLayout,
            seed: request.seed,
            suite: None,
        };
        let thresholds = Thresholds::of(&self.gate, request.policy)?;
        let mut subjects = self.sides.subjects(
            request.only.as_ref(),
            // Shards share out names that are the same on every machine.
            request.shard.is_some(),
            &thresholds,
            &self.cpu,
            &bench.rounds.patience,
        )?;
        let part = match request.shard {
            None => None,
            Some(shard) => Some(part(shard, &mut subjects, &self.gate)?),
        };
        bench.suite = part.as_ref().map(|portion| portion.suite.len());
        if let Variation::Planted { id, percent } = variation {
            for subject in subjects.all.iter_mut().filter(|s| s.id == *id) {
                subject.plant = Some(*percent);
            }
        }
        let notes = [self.sides.notes(), std::mem::take(&mut subjects.notes)].concat();
        let suite = bench.measure(subjects);
        if let (Some(shard), true) = (request.shard, interrupt.came()) {
            // Half a shard would pass for all of it, and another try gets the same rows.
            return Err(Failure::new(format!("shard {shard} was interrupted"))
                .remedy(format!("--shard {shard} again")));
        }
        let mut verdict = report::verdict(&report::Found {
            suite: &suite,
            names: self.sides.names(),
            notes,
            host: self.host.clone(),
            gate: &self.gate,
            policy: request.policy,
            part: part.map(|portion| (portion, self.plan(request))),
            seed: request.seed,
            built: self.built,
            measured: started.elapsed().as_secs_f64(),
        });
        if let Some(place) = &request.profile {
            let said = profile::profiles(&verdict.rows, &suite.runs, place, interrupt);
            verdict.notes.extend(said);
        }
        Ok(verdict)
    }
}

/// Leaves of the benchmarks those that are this shard's.
fn part(shard: Shard, subjects: &mut Subjects, gate: &Gate) -> Result<Portion, Failure> {
    let ids = subjects.all.iter().map(|subject| subject.id.as_str());
    let gaps = subjects.gaps.iter().map(|gap| gap.id.as_str());
    let portion = shard::portion(shard, ids.chain(gaps), gate)?;
    subjects.all.retain(|subject| portion.has(&subject.id));
    subjects.gaps.retain(|gap| portion.has(&gap.id));
    Ok(portion)
}

/// The executables of both sides.
fn sides(what: &What, interrupt: &Interrupt) -> Result<Sides, Failure> {
    match what {
        What::Executables { base, head } => Sides::given(base, head),
        What::Revisions {
            base,
            head,
            selection,
        } => {
            let head = match head {
                Some(head) => head.clone(),
                None => clean_head()?,
            };
            let directory = BuildDir::enter()?;
            let built = directory.build(base, &head, selection, interrupt)?;
            Sides::built(directory, [base, &head], built, interrupt)
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
