//! Which benchmarks both sides have, and which only one.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use probecost::gate::nearest;
use probecost::schema::Status;
use regex::Regex;
use tempfile::TempDir;

use super::build::{BuildDir, Built};
use super::harness::{self, Executable, Listing};
use super::process::RunError;
use super::round::{Rounds, Subject};
use crate::failure::Failure;
use crate::thresholds::Thresholds;

/// The executables of both sides, by bench target.
pub struct Sides {
    base: Executables,
    head: Executables,
    /// Base, built a second time.
    null: Option<Executables>,
    names: [Name; 2],
    /// Their links lie here.
    _links: TempDir,
    /// They were built here.
    _directory: Option<BuildDir>,
}

type Executables = BTreeMap<String, Executable>;

/// What a side is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As it was asked for.
    pub asked: String,
    /// The commit, where it is one.
    pub commit: Option<String>,
}

/// What there is to compare.
pub struct Pairs {
    pub subjects: Vec<Subject>,
    pub gaps: Vec<Gap>,
}

/// A benchmark that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub id: String,
    pub status: Status,
    pub reason: String,
}

/// What one side has: by id, the target whose benchmark it is; by target, why it has none.
#[derive(Default)]
struct Catalogue {
    ids: BTreeMap<String, (String, Executable, bool)>,
    errors: BTreeMap<String, String>,
}

impl Sides {
    /// Two executables as they are, run here.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn given(base: &Path, head: &Path) -> Result<Self, Failure> {
        let here = env::current_dir().map_err(|e| Failure::new(format!("this directory: {e}")))?;
        let one = |path: &Path| {
            let executable = Executable {
                path: path.to_owned(),
                directory: here.clone(),
            };
            BTreeMap::from([("bench".to_owned(), executable)])
        };
        let name = |path: &Path| Name {
            asked: path.display().to_string(),
            commit: None,
        };
        let links = links()?;
        Ok(Self {
            base: link(one(base), links.path(), "base")?,
            head: link(one(head), links.path(), "head")?,
            null: None,
            names: [name(base), name(head)],
            _links: links,
            _directory: None,
        })
    }

    /// Two revisions that were built in `directory`, and base a second time.
    ///
    /// # Errors
    /// An executable cannot be linked.
    pub fn built(
        directory: BuildDir,
        (base, old): (&str, Built),
        (head, new): (&str, Built),
        null: Option<Built>,
    ) -> Result<Self, Failure> {
        let name = |asked: &str, commit: String| Name {
            asked: asked.to_owned(),
            commit: Some(commit),
        };
        let links = links()?;
        let null = match null {
            Some(null) => Some(link(null.benches, links.path(), "null")?),
            None => None,
        };
        Ok(Self {
            base: link(old.benches, links.path(), "base")?,
            head: link(new.benches, links.path(), "head")?,
            null,
            names: [name(base, old.commit), name(head, new.commit)],
            _links: links,
            _directory: Some(directory),
        })
    }

    /// What base and head are called.
    pub fn names(&self) -> &[Name; 2] {
        &self.names
    }

    /// Lists both sides and pairs what they have in common.
    ///
    /// # Errors
    /// Neither side has a benchmark that matches, or somebody asked us to stop.
    pub fn pairs(
        &self,
        only: Option<&Regex>,
        rounds: &Rounds,
        thresholds: &Thresholds,
    ) -> Result<Pairs, Failure> {
        let (base, head) = (list(&self.base, rounds)?, list(&self.head, rounds)?);
        let nothing = nothing(&base, &head);
        let pairs = pair(base, head, only, thresholds);
        match pairs.subjects.is_empty() && pairs.gaps.is_empty() {
            true => Err(nothing),
            false => Ok(pairs),
        }
    }

    /// Pairs of base with its second build, where there is one.
    ///
    /// # Errors
    /// Somebody asked us to stop.
    pub fn control(
        &self,
        only: Option<&Regex>,
        rounds: &Rounds,
        thresholds: &Thresholds,
    ) -> Result<Option<Pairs>, Failure> {
        let Some(null) = &self.null else {
            return Ok(None);
        };
        let pairs = pair(
            list(&self.base, rounds)?,
            list(null, rounds)?,
            only,
            thresholds,
        );
        Ok(Some(pairs))
    }
}

fn links() -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("duet-")
        .tempdir()
        .map_err(|e| Failure::at(&env::temp_dir(), e).remedy("df -h; TMPDIR=DIR moves it"))
}

/// Calls executables by links whose paths are as long on either side: what a process finds
/// on its stack moves its addresses, and those move its times.
fn link(executables: Executables, links: &Path, side: &str) -> Result<Executables, Failure> {
    executables
        .into_iter()
        .map(|(target, executable)| {
            let place = links.join(side).join(&target);
            let path = harness::alias(&executable.path, &place)
                .map_err(|e| Failure::at(&executable.path, e))?;
            Ok((target, Executable { path, ..executable }))
        })
        .collect()
}

fn list(executables: &Executables, rounds: &Rounds) -> Result<Catalogue, Failure> {
    let mut catalogue = Catalogue::default();
    for (target, executable) in executables {
        match executable.list(rounds.cpu, &rounds.patience) {
            Ok(Listing { ids, turns }) => {
                for id in ids {
                    let entry = (target.clone(), executable.clone(), turns);
                    catalogue.ids.entry(id).or_insert(entry);
                }
            }
            Err(RunError::Interrupted) => {
                return Err(Failure::new("interrupted before anything was measured"));
            }
            Err(RunError::Failed(words)) => {
                catalogue.errors.insert(target.clone(), words);
            }
        }
    }
    Ok(catalogue)
}

fn pair(base: Catalogue, head: Catalogue, only: Option<&Regex>, thresholds: &Thresholds) -> Pairs {
    let wanted = |id: &str| only.is_none_or(|only| only.is_match(id));
    let mut pairs = Pairs {
        subjects: Vec::new(),
        gaps: Vec::new(),
    };
    for (id, (target, old, old_turns)) in base.ids.iter().filter(|(id, _)| wanted(id)) {
        if let Some(why) = thresholds.out_of_focus(id) {
            pairs.gaps.push(Gap {
                id: id.clone(),
                status: Status::Filtered,
                reason: why.to_owned(),
            });
            continue;
        }
        match head.ids.get(id) {
            Some((_, new, new_turns)) => pairs.subjects.push(Subject {
                id: id.clone(),
                base: old.clone(),
                head: new.clone(),
                lockstep: *old_turns && *new_turns,
                threshold_pct: match thresholds.gate.benchmark.get(id) {
                    Some(own) => own.change_pct,
                    None => thresholds.gate.duet.change_pct,
                },
                plant: None,
            }),
            None => pairs.gaps.push(Gap {
                id: id.clone(),
                status: Status::Missing,
                reason: match head.errors.get(target) {
                    Some(why) => format!("head's {target} does not list its benchmarks: it {why}"),
                    None => gone(id, &base, &head),
                },
            }),
        }
    }
    for id in head
        .ids
        .keys()
        .filter(|id| wanted(id) && !base.ids.contains_key(*id))
    {
        pairs.gaps.push(Gap {
            id: id.clone(),
            status: Status::New,
            reason: "base has no such benchmark".to_owned(),
        });
    }
    // A target that lists nothing on either side is no Criterion harness: of no concern.
    for (target, why) in &base.errors {
        if head.ids.values().any(|(of, _, _)| of == target) {
            pairs.gaps.push(Gap {
                id: target.clone(),
                status: Status::Broken,
                reason: format!("base's {target} does not list its benchmarks: it {why}"),
            });
        }
    }
    pairs
}

/// Why there is nothing to compare.
fn nothing(base: &Catalogue, head: &Catalogue) -> Failure {
    if !(base.ids.is_empty() && head.ids.is_empty()) {
        return Failure::new("--only: no benchmark matches").remedy("leave it out to see all");
    }
    let why = base.errors.iter().next().map_or(
        "both end well, and name none".to_owned(),
        |(target, why)| format!("{target} {why}"),
    );
    Failure::new(format!(
        "neither side lists benchmarks as Criterion does: {why}"
    ))
    .remedy("EXE --bench --list shows what there is; --bench NAME takes one bench target")
}

/// A benchmark that head has no more, and what it may be called now.
fn gone(id: &str, base: &Catalogue, head: &Catalogue) -> String {
    let new = head.ids.keys().filter(|id| !base.ids.contains_key(*id));
    match nearest(id, new.map(String::as_str)) {
        Some(name) => format!("head has no such benchmark; is it `{name}` now?"),
        None => "head has no such benchmark".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probecost::gate::Gate;
    use probecost::schema::Policy;

    /// With everything as it is shipped.
    fn pair(base: Catalogue, head: Catalogue, only: Option<&Regex>) -> Pairs {
        pair_with(&Gate::shipped(), base, head, only)
    }

    fn pair_with(gate: &Gate, base: Catalogue, head: Catalogue, only: Option<&Regex>) -> Pairs {
        super::pair(
            base,
            head,
            only,
            &Thresholds::of(gate, Policy::Strict).unwrap(),
        )
    }

    fn catalogue(ids: &[&str], turns: bool) -> Catalogue {
        let executable = Executable {
            path: "/x".into(),
            directory: "/".into(),
        };
        let entry = |id: &&str| {
            (
                (*id).to_owned(),
                ("t".to_owned(), executable.clone(), turns),
            )
        };
        Catalogue {
            ids: ids.iter().map(entry).collect(),
            errors: BTreeMap::new(),
        }
    }

    #[test]
    fn what_one_side_lacks_is_a_row() {
        let pairs = pair(
            catalogue(&["a/same", "a/sort_old"], true),
            catalogue(&["a/same", "a/sort_new"], true),
            None,
        );
        assert_eq!(pairs.subjects.len(), 1);
        assert!(pairs.subjects[0].lockstep);
        let [gone, new] = &pairs.gaps[..] else {
            panic!()
        };
        assert_eq!((gone.status, new.status), (Status::Missing, Status::New));
        assert!(
            gone.reason.contains("is it `a/sort_new` now?"),
            "{}",
            gone.reason
        );
    }

    #[test]
    fn turns_take_two() {
        let pairs = pair(catalogue(&["a"], true), catalogue(&["a"], false), None);
        assert!(!pairs.subjects[0].lockstep);
    }

    #[test]
    fn a_side_that_does_not_list_is_named() {
        let mut silent = catalogue(&[], false);
        silent
            .errors
            .insert("t".into(), "ended with signal: 6".into());
        let pairs = pair(catalogue(&["a"], false), silent, None);
        assert_eq!(pairs.gaps[0].status, Status::Missing);
        assert!(
            pairs.gaps[0].reason.contains("signal: 6"),
            "{}",
            pairs.gaps[0].reason
        );
        let mut silent = catalogue(&[], false);
        silent.errors.insert("t".into(), "ended".into());
        let pairs = pair(silent, catalogue(&["a"], false), None);
        assert_eq!(
            (pairs.gaps[0].status, pairs.gaps[1].status),
            (Status::New, Status::Broken)
        );
    }

    #[test]
    fn only_what_is_asked_for() {
        let both = || catalogue(&["a/x", "b/x"], false);
        let pairs = pair(both(), both(), Some(&Regex::new("^b").unwrap()));
        assert_eq!(pairs.subjects.len(), 1);
        assert!(pairs.gaps.is_empty());
    }

    #[test]
    fn thresholds_and_the_focus_of_the_gate_count() {
        let mut gate = Gate::shipped();
        gate.focus.patterns = vec!["^a/".into()];
        let mut own = gate.policy.strict;
        own.change_pct = 8.0;
        gate.benchmark.insert("a/x".into(), own);
        let both = || catalogue(&["a/x", "a/y", "b/x"], false);
        let pairs = pair_with(&gate, both(), both(), None);
        let called: Vec<(&str, f64)> = (pairs.subjects.iter())
            .map(|s| (s.id.as_str(), s.threshold_pct))
            .collect();
        assert_eq!(called, [("a/x", 8.0), ("a/y", gate.duet.change_pct)]);
        assert_eq!(pairs.gaps[0].status, Status::Filtered);
    }
}
