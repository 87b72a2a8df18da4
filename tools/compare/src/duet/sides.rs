//! The executables of both sides, target by target.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use probecost::schema::{Status, fingerprint};
use regex::Regex;
use tempfile::TempDir;

use super::build::{BuildDir, Built, Target};
use super::harness::Executable;
use super::interrupt::Interrupt;
use super::listed::{self, Listed};
use super::pair::Pair;
use super::process::{Cpu, Patience, RunError};
use super::subjects::{Gap, Subjects, nothing, pair, together};
use crate::bench_place::BenchPlace;
use crate::failure::Failure;
use crate::thresholds::Thresholds;

/// What there is on both sides.
pub struct Sides {
    pairs: BTreeMap<String, Rc<Pair>>,
    /// Targets that only one side has.
    lone: Vec<Lone>,
    names: [Name; 2],
    notes: Vec<String>,
    /// The executables lie here, where they were given.
    _place: Option<TempDir>,
    /// They were built here, and lie here.
    _directory: Option<BuildDir>,
}

/// A target that only one side has.
struct Lone {
    /// What is said of the whole of it.
    gap: Gap,
    /// The executable of the side that has it, where it was built.
    executable: Option<Executable>,
}

impl Lone {
    /// What is said of those of its benchmarks that match, or why they are not known.
    ///
    /// # Errors
    /// Somebody asked us to stop.
    fn matching(
        &self,
        only: &Regex,
        cpu: &Cpu,
        patience: &Patience,
    ) -> Result<Result<Vec<Gap>, String>, RunError> {
        let listing = match &self.executable {
            None => return Ok(Ok(vec![self.gap.clone()])),
            Some(executable) => executable.list(cpu, patience),
        };
        let Gap { id, status, reason } = &self.gap;
        match listing {
            Ok(listing) => {
                let ids = listing.map_or_else(Vec::new, |l| l.ids).into_iter();
                let gap = |benchmark: String| Gap {
                    id: benchmark,
                    status: *status,
                    reason: format!("{id}: {reason}"),
                };
                Ok(Ok(ids.filter(|id| only.is_match(id)).map(gap).collect()))
            }
            Err(RunError::Failed(why) | RunError::Nothing(why)) => Ok(Err(format!(
                "{id}: {reason}, and it does not list its benchmarks: it {why}."
            ))),
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
        }
    }
}

/// What a side is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As it was asked for.
    pub asked: String,
    /// The commit, where it is one.
    pub commit: Option<String>,
}

impl Name {
    /// The commit, or a digest of what lies there: what is the same on every machine that
    /// compares the same.
    pub fn identity(&self) -> String {
        match (&self.commit, fs::read(&self.asked)) {
            (Some(commit), _) => commit.clone(),
            (None, Ok(bytes)) => format!("{:016x}", fingerprint(&bytes)),
            (None, Err(_)) => self.asked.clone(),
        }
    }
}

impl Sides {
    /// Two executables as they are, run here.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn given(base: &Path, head: &Path) -> Result<Self, Failure> {
        let here = env::current_dir().map_err(|e| Failure::new(format!("this directory: {e}")))?;
        let executable = |path: &Path| match path.is_file() {
            true => Ok(Executable {
                path: path.to_owned(),
                place: BenchPlace::directory(&here),
            }),
            false => Err(Failure::at(path, "No such file")),
        };
        let name = |path: &Path| Name {
            asked: path.display().to_string(),
            commit: None,
        };
        let place = place()?;
        let made = [&executable(base)?, &executable(head)?];
        let pair = Pair::new(made, &place.path().join("00")).map_err(|e| Failure::at(base, e))?;
        Ok(Self {
            pairs: BTreeMap::from([("bench".to_owned(), Rc::new(pair))]),
            lone: Vec::new(),
            names: [name(base), name(head)],
            notes: Vec::new(),
            _place: Some(place),
            _directory: None,
        })
    }

    /// Two revisions that were built in `directory`.
    ///
    /// # Errors
    /// There is no room for their executables, or somebody asked us to stop.
    pub fn built(
        directory: BuildDir,
        asked: [&str; 2],
        built: Built,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let place = directory.pairs();
        let [base, head] = built.benches;
        let gap = |side: usize, id: String, why: String| Gap {
            id,
            status: [Status::New, Status::Missing][side],
            reason: format!("{} {why}", ["base", "head"][side]),
        };
        let none = || "has no such bench target".to_owned();
        let lacking = |side: usize, target: &Target, other: &Executable| {
            let why = match built.unbuilt[side].get(target) {
                Some(features) => format!(
                    "has it only with the features {} (--features)",
                    features.join(", ")
                ),
                None => none(),
            };
            Lone {
                gap: gap(side, target.to_string(), why),
                executable: Some(other.clone()),
            }
        };
        let mut lone: Vec<Lone> = Vec::new();
        for (side, others) in [&head, &base].into_iter().enumerate() {
            let names = built.lacking[side].iter();
            lone.extend(names.map(|name| {
                let mut others = others.iter();
                let other = others.find(|(target, _)| target.name == *name);
                Lone {
                    gap: gap(side, name.clone(), none()),
                    executable: other.map(|(_, executable)| executable.clone()),
                }
            }));
        }
        let named = |target: &Target| built.lacking.iter().flatten().any(|n| *n == target.name);
        let mut pairs = BTreeMap::new();
        for (i, (target, old)) in base.iter().enumerate() {
            if interrupt.came() {
                return Err(Failure::new("interrupted while laying out"));
            }
            match head.get(target) {
                Some(new) => {
                    let place = place.join(format!("{i:02}"));
                    let pair = Pair::new([old, new], &place);
                    let pair = pair.map_err(|e| Failure::at(&place, e).remedy("df -h"))?;
                    pairs.insert(target.to_string(), Rc::new(pair));
                }
                None if named(target) => {}
                None => lone.push(lacking(1, target, old)),
            }
        }
        let new = head.iter();
        let new = new.filter(|(target, _)| !base.contains_key(target) && !named(target));
        lone.extend(new.map(|(target, executable)| lacking(0, target, executable)));
        let mut names = asked
            .into_iter()
            .zip(built.commits)
            .map(|(asked, commit)| Name {
                asked: asked.to_owned(),
                commit: Some(commit),
            });
        let (Some(base), Some(head)) = (names.next(), names.next()) else {
            return Err(Failure::new("a side has no name"));
        };
        drop(names);
        Ok(Self {
            pairs,
            lone,
            names: [base, head],
            notes: built.notes,
            _place: None,
            _directory: Some(directory),
        })
    }

    /// What base and head are called.
    pub fn names(&self) -> &[Name; 2] {
        &self.names
    }

    /// Whether any of them share a layout.
    pub fn has_layouts(&self) -> bool {
        self.pairs.values().any(|pair| pair.shared().is_ok())
    }

    /// What a reader should know of how they were built, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        let mut shares: Vec<f64> = Vec::new();
        for (target, pair) in &self.pairs {
            match pair.shared() {
                Ok(share) => shares.push(100.0 * share),
                Err(_) if self._directory.is_none() => {}
                Err(why) => notes.push(format!("{target}: {why}.")),
            }
        }
        let least = shares.iter().copied().reduce(f64::min);
        notes.extend(least.map(|least| {
            format!(
                "One layout for both sides: {least:.0} % of base's code lies at the same addresses in \
                 head, and each fresh round was linked in another order."
            )
        }));
        notes
    }

    /// Lists both sides, `twice` where every id that changes must be known from the beginning,
    /// and pairs what they have in common.
    ///
    /// # Errors
    /// Neither side has a benchmark that matches, or somebody asked us to stop.
    pub fn subjects(
        &self,
        only: Option<&Regex>,
        twice: bool,
        thresholds: &Thresholds,
        cpu: &Cpu,
        patience: &Patience,
    ) -> Result<Subjects, Failure> {
        let interrupted = |_| Failure::new("interrupted before anything was measured");
        let mut targets = Vec::new();
        let mut silent = Vec::new();
        for (target, executables) in &self.pairs {
            let lists = listed::both(executables, twice, cpu, patience).map_err(interrupted)?;
            let lists = lists.filter(|sides| !sides.iter().all(Listed::is_empty));
            let Some(lists) = lists else {
                silent.push(format!("`{target}`"));
                continue;
            };
            let found = pair(target, executables, &Rc::new(lists), only, thresholds);
            targets.push((target.as_str(), found));
        }
        let some = !targets.is_empty() || !self.lone.is_empty();
        let mut found = together(targets);
        for lone in &self.lone {
            let Some(only) = only else {
                found.gaps.push(lone.gap.clone());
                continue;
            };
            match lone.matching(only, cpu, patience).map_err(interrupted)? {
                Ok(gaps) => found.gaps.extend(gaps),
                Err(note) => found.notes.push(note),
            }
        }
        if !silent.is_empty() {
            let silent = silent.join(", ");
            found.notes.push(format!(
                "Without benchmarks of Criterion's on either side, and so not compared: {silent}."
            ));
        }
        match found.all.is_empty() && found.gaps.is_empty() {
            true => Err(nothing(only, some, &found.notes)),
            false => Ok(found),
        }
    }
}

fn place() -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("duet-")
        .tempdir()
        .map_err(|e| Failure::at(&env::temp_dir(), e).remedy("df -h; TMPDIR=DIR moves it"))
}
