//! `compare selftest`: how often the gate errs, on one's own runs.

mod format;
mod live;
mod other_tools;
mod rate;
mod report;
mod resample;
mod sides;
mod study;
#[cfg(test)]
mod synthetic;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use probecost::schema::GatePolicy;
use probecost::stats::median;
use regex::Regex;

use crate::baselines;
use crate::duet::{Selection, What};
use crate::failure::Failure;
use crate::input::{self, Reading, Run, Time};
use crate::report::json;
use crate::thresholds::{Thresholds, policy};

pub use format::SelftestFormat;
use live::LiveTest;
use report::Aside;
use resample::{Bench, Collection, Kind};
use sides::SideRuns;

/// What to type for more runs.
const MORE_RUNS: &str = "cargo compare run --times 40 --out DIR -- cargo bench";

/// `cargo compare selftest`
#[derive(Debug, Args)]
pub struct SelftestArgs {
    /// Runs of an unchanged program, 7 at least, 40 or more better
    #[arg(long = "run", value_name = "DIR", num_args = 1.., required_unless_present = "duet", conflicts_with = "selection")]
    pub runs: Vec<PathBuf>,
    /// Instead: how often `duet` errs, live, by this bench executable, or HEAD of this
    /// project, against itself, as it is and with PROBECOST_PLANT_PCT=5 in one of its
    /// benchmarks; of a project also what its layout does
    #[arg(long, value_name = "EXE", num_args = 0..=1, conflicts_with_all = ["runs", "planted", "baseline"])]
    pub duet: Option<Option<PathBuf>>,
    /// What is built of the project.
    #[command(flatten)]
    pub selection: Selection,
    /// With --duet: suites of either kind
    #[arg(long, value_name = "N", default_value_t = 20, requires = "duet", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// With --duet: only benchmarks that match
    #[arg(long, value_name = "REGEX", requires = "duet")]
    pub only: Option<Regex>,
    /// Runs with a slowdown of PERCENT planted in every benchmark
    #[arg(long, value_name = "PERCENT=DIR", num_args = 1..)]
    pub planted: Vec<Planted>,
    /// The baseline that `check` is given: the gate.toml beside it counts
    /// [default: baselines/gate.toml, else the shipped one]
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// How strictly to judge
    #[arg(long, value_parser = policy(), default_value = "strict")]
    pub policy: GatePolicy,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    pub format: SelftestFormat,
    /// Where the resampling starts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs with a planted slowdown: `10=DIR`.
#[derive(Debug, Clone)]
pub struct Planted {
    /// Its size in percent.
    pub percent: f64,
    /// Where the runs lie.
    pub place: PathBuf,
}

impl Planted {
    /// The runs.
    ///
    /// # Errors
    /// They cannot be read, or are fewer than `needed`.
    fn load(&self, needed: usize) -> Result<Vec<Run>, Failure> {
        let runs = input::load_all(std::slice::from_ref(&self.place))?;
        match runs.len() {
            seen if seen < needed => {
                let cause = format!("{seen} runs; a resampled suite takes {needed}");
                Err(Failure::at(&self.place, cause)
                    .remedy("tools/collect DIR COMMAND makes runs of every kind"))
            }
            _ => Ok(runs),
        }
    }
}

impl std::str::FromStr for Planted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (percent, place) = text.split_once('=').ok_or("write it as PERCENT=DIR")?;
        match percent.parse::<f64>() {
            Ok(percent) if percent.is_finite() => Ok(Self {
                percent,
                place: place.into(),
            }),
            _ => Err(format!("{percent} is no number")),
        }
    }
}

/// What another tool calls of two builds.
#[derive(Debug)]
pub struct OtherVerdict {
    /// The tool, and its setting.
    pub tool: &'static str,
    /// The benchmarks that it calls slower.
    pub slower: Vec<String>,
    /// The benchmarks that it calls faster.
    pub faster: Vec<String>,
}

/// What other tools make of the runs of two builds.
///
/// # Errors
/// The runs cannot be read.
pub fn others(base: &Path, head: &Path) -> Result<Vec<OtherVerdict>, Failure> {
    let base = input::load_all(&[base.to_owned()])?;
    let head = input::load_all(&[head.to_owned()])?;
    let ids: BTreeSet<&String> = base.iter().flat_map(|run| run.readings.keys()).collect();
    let times = |runs: &[Run], id: &str| -> Vec<Time> {
        runs.iter().filter_map(|run| run.time(id)).collect()
    };
    let sides = SideRuns {
        baseline: base.len(),
        current: head.len(),
    };
    let called = |tool: &other_tools::OtherTool, old: &[Run], new: &[Run]| {
        let slower = |id: &&&String| (tool.alarm)(&times(old, id), &times(new, id));
        ids.iter().filter(slower).map(|id| (*id).clone()).collect()
    };
    let verdicts = other_tools::all(sides).into_iter();
    Ok(verdicts
        .map(|tool| OtherVerdict {
            tool: tool.name,
            slower: called(&tool, &base, &head),
            faster: called(&tool, &head, &base),
        })
        .collect())
}

/// Resamples suites from the runs and counts what each rule says of them.
///
/// # Errors
/// Runs or a gate.toml that cannot be used, or too few runs.
pub fn selftest(args: &SelftestArgs) -> Result<String, Failure> {
    if let Some(executable) = &args.duet {
        let what = match executable {
            Some(built) if args.selection == Selection::default() => What::Executables {
                base: built.clone(),
                head: built.clone(),
            },
            Some(built) => {
                let failure = Failure::at(built, "is built already");
                return Err(failure.remedy("leave it out, or what says how to build"));
            }
            None => What::Revisions {
                base: "HEAD".to_owned(),
                head: None,
                selection: args.selection.clone(),
            },
        };
        return live::live(&LiveTest {
            what,
            times: args.times as usize,
            only: args.only.clone(),
            seed: args.seed,
            format: args.format,
        });
    }
    let beside = match &args.baseline {
        Some(path) => {
            fs::metadata(path).map_err(|e| {
                Failure::at(path, e).remedy("--baseline with the file that `check` is given")
            })?;
            path.clone()
        }
        None => Path::new(baselines::DIRECTORY).join("gate.toml"),
    };
    let gate = baselines::gate(Some(&beside))?;
    let thresholds = Thresholds::of(&gate, args.policy)?;

    let mut unchanged = input::load_all(&args.runs)?;
    unchanged.sort_by_key(|run| run.record.as_ref().map(|r| r.started));
    let sides = SideRuns::fitting(unchanged.len()).ok_or_else(|| {
        Failure::new(format!(
            "{} unchanged runs; a resampled suite takes {} at least, and 40 tell more",
            unchanged.len(),
            SideRuns::LEAST.total()
        ))
        .remedy(MORE_RUNS)
    })?;
    let planted: Vec<Vec<Run>> = args
        .planted
        .iter()
        .map(|planted| planted.load(sides.current))
        .collect::<Result<_, _>>()?;
    input::one_host(unchanged.iter().chain(planted.iter().flatten()))?;
    input::one_commit(&unchanged)?;

    let (benches, aside) = benches(&unchanged, &thresholds);
    if benches.is_empty() {
        let why = aside.first().map(|a| format!(": {}: {}", a.id, a.reason));
        let why = why.unwrap_or_default();
        let failure = Failure::new(format!("these runs hold no time that is judged{why}"));
        return Err(failure.remedy(MORE_RUNS));
    }
    let kind = |(planted, runs): (&Planted, &Vec<Run>)| {
        Ok(Kind {
            percent: planted.percent,
            runs: times(runs, &benches)?,
        })
    };
    let kinds = args.planted.iter().zip(&planted).map(kind);
    let collection = Collection {
        unchanged: times(&unchanged, &benches)?,
        planted: kinds.collect::<Result<_, Failure>>()?,
        benches,
    };
    let file = beside.with_file_name("gate.toml");
    let file = file.exists().then(|| file.display().to_string());
    let report = study::study(&collection, aside, sides, &thresholds, file, args.seed);
    match args.format {
        SelftestFormat::Text => Ok(text::render(&report)),
        SelftestFormat::Json => json(&report),
    }
}

/// The benchmarks that are judged, and the others with the reason why not.
fn benches(runs: &[Run], thresholds: &Thresholds) -> (Vec<Bench>, Vec<Aside>) {
    let (mut benches, mut aside) = (Vec::new(), Vec::new());
    let counted = |reading: &Reading| matches!(reading, Reading::Count(..));
    let ids: BTreeSet<&String> = runs
        .iter()
        .flat_map(|run| run.readings.iter().filter(|(_, r)| !counted(r)))
        .map(|(id, _)| id)
        .collect();
    for id in ids {
        let medians: Vec<f64> = runs
            .iter()
            .filter_map(|r| Some(r.time(id)?.median))
            .collect();
        let reason = match median(&medians) {
            Some(ns) if medians.len() == runs.len() => {
                let focus = thresholds.out_of_focus(id).map(str::to_owned);
                focus.or_else(|| thresholds.too_short(ns, ns))
            }
            _ => Some(format!(
                "only {} of {} runs tell its time",
                medians.len(),
                runs.len()
            )),
        };
        match reason {
            Some(reason) => aside.push(Aside {
                id: id.clone(),
                reason,
            }),
            None => benches.push(Bench {
                id: id.clone(),
                threshold_pct: thresholds.threshold_pct(id),
            }),
        }
    }
    (benches, aside)
}

/// Times by run, then by benchmark.
fn times(runs: &[Run], benches: &[Bench]) -> Result<Vec<Vec<Time>>, Failure> {
    let of = |run: &Run, id: &str| {
        let none = || Failure::at(&run.place, format!("has no time of `{id}`"));
        run.time(id).ok_or_else(none)
    };
    runs.iter()
        .map(|run| benches.iter().map(|bench| of(run, &bench.id)).collect())
        .collect()
}
