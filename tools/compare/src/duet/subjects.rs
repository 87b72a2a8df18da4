//! Which benchmarks both sides have, and which only one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use probecost::gate::nearest;
use probecost::schema::Status;
use regex::Regex;

use super::changing::{changing, whole};
use super::harness::Listing;
use super::listed::Listed;
use super::pair::Pair;
use super::sequential::Threshold;
use crate::failure::Failure;
use crate::listing;
use crate::thresholds::Thresholds;

/// A benchmark that both sides have.
#[derive(Clone)]
pub struct Subject {
    /// What its row is called.
    pub id: String,
    /// What its target calls it.
    pub listed: String,
    /// What its id matches in every process; most have one that stays.
    pub pattern: Regex,
    /// Both executables.
    pub pair: Rc<Pair>,
    /// What both listed.
    pub lists: Rc<[Listed; 2]>,
    /// Whether both take turns block by block; else one runs after the other.
    pub lockstep: bool,
    /// Whether its processes take whole seconds only.
    pub whole_seconds: bool,
    /// Whether its processes yield to the times that we ask for all the same.
    pub yields: bool,
    /// What each of its processes sets up.
    pub set_up: Duration,
    /// The smallest change that is called, in percent.
    pub threshold_pct: f64,
    /// A slowdown that head is to plant, in percent, where one is tried out.
    pub plant: Option<u32>,
    /// What a reader should know of it.
    pub note: Option<String>,
}

impl Subject {
    /// The smallest change that is called.
    pub fn threshold(&self) -> Threshold {
        Threshold::of(self.threshold_pct)
    }

    /// Matches it by what stays of its id, where second lists show that it changes from
    /// process to process; whether that is anything new.
    pub fn follow(&mut self, lists: &[Listed; 2]) -> bool {
        let changing = changing(lists);
        let Some(changes) = changing.get(self.listed.as_str()) else {
            return false;
        };
        match whole(&changes.pattern) {
            Some(pattern) if pattern.as_str() != self.pattern.as_str() => {
                self.pattern = pattern;
                self.note = Some(changes.note());
                true
            }
            _ => false,
        }
    }
}

/// What there is to compare.
#[derive(Default)]
pub struct Subjects {
    pub all: Vec<Subject>,
    pub gaps: Vec<Gap>,
    /// What a reader should know of the rest, a sentence each.
    pub notes: Vec<String>,
}

/// A benchmark that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub id: String,
    pub status: Status,
    pub reason: String,
}

/// Which of a target's benchmarks are compared, and how.
pub fn pair(
    name: &str,
    executables: &Rc<Pair>,
    lists: &Rc<[Listed; 2]>,
    only: Option<&Regex>,
    thresholds: &Thresholds,
) -> Subjects {
    let [base, head] = &**lists;
    let mut found = Subjects::default();
    let wanted = |id: &str| only.is_none_or(|only| only.is_match(id));
    let gap = |id: &str, status: Status, reason: String| Gap {
        id: id.to_owned(),
        status,
        reason,
    };
    let matches = |side: &Listed| side.ids().iter().any(|id| wanted(id));
    let mut unlisted = |reason: String, matches: bool| match only.is_some() && !matches {
        true => found.notes.push(format!("{reason}.")),
        false => found.gaps.push(gap(name, Status::Broken, reason)),
    };
    match (&base.first, &head.first) {
        (Err(why), Err(_)) => {
            let reason = format!("{name} does not list its benchmarks on either side: it {why}");
            unlisted(reason, false);
            return found;
        }
        (Err(why), Ok(_)) => {
            let reason = format!("base's {name} does not list its benchmarks: it {why}");
            unlisted(reason, matches(head));
        }
        // No row of base would say so.
        (Ok(_), Err(why)) if !matches(base) => {
            let reason = format!("head's {name} does not list its benchmarks: it {why}");
            unlisted(reason, false);
        }
        _ => {}
    }
    let changing = changing(lists);
    let all =
        |of: fn(&Listing) -> bool| [base, head].iter().all(|s| s.first.as_ref().is_ok_and(of));
    let listings = || {
        [base, head]
            .into_iter()
            .filter_map(|side| side.first.as_ref().ok())
    };
    let set_up = listings().map(|l| l.set_up).max().unwrap_or_default();
    for id in base.ids().iter().filter(|id| wanted(id)) {
        if let Some(why) = thresholds.out_of_focus(id) {
            found.gaps.push(gap(id, Status::Filtered, why.to_owned()));
            continue;
        }
        let changes = changing.get(id.as_str());
        if !head.ids().contains(id) && changes.is_none() {
            let reason = match &head.first {
                Err(why) => format!("head's {name} does not list its benchmarks: it {why}"),
                Ok(_) => gone(id, base.ids(), head.ids()),
            };
            found.gaps.push(gap(id, Status::Missing, reason));
            continue;
        }
        if let Some(why) = twin(id, lists) {
            found.gaps.push(gap(id, Status::Broken, why));
            continue;
        }
        let pattern = changes.map_or_else(|| listing::pattern(id), |c| c.pattern.clone());
        let Some(pattern) = whole(&pattern) else {
            continue;
        };
        let own = changes.map_or(id, |changes| &changes.name);
        found.all.push(Subject {
            id: own.clone(),
            listed: id.clone(),
            pattern,
            pair: Rc::clone(executables),
            lists: Rc::clone(lists),
            lockstep: all(|l| l.turns),
            // Both sides are asked for the same.
            whole_seconds: listings().any(|l| l.whole_seconds),
            yields: all(|l| l.yields),
            set_up,
            threshold_pct: match thresholds.gate.benchmark.get(own) {
                Some(own) => own.change_pct,
                None => thresholds.gate.duet.change_pct,
            },
            plant: None,
            note: match changes {
                Some(changes) => Some(changes.note()),
                None => listing::beginning(id)
                    .map(|_| "its id is longer: Criterion lists no more of it".to_owned()),
            },
        });
    }
    let known: Vec<&Regex> = found.all.iter().map(|s| &s.pattern).collect();
    let new: Vec<Gap> = (head.ids().iter())
        .filter(|id| wanted(id) && !base.ids().contains(id))
        .filter(|id| !known.iter().any(|pattern| pattern.is_match(id)))
        .map(|id| gap(id, Status::New, "base has no such benchmark".to_owned()))
        .collect();
    found.gaps.extend(new);
    found
}

/// What several targets have. Where more than one has an id, each says whose it is.
pub fn together(targets: Vec<(&str, Subjects)>) -> Subjects {
    let mut owners: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (target, found) in &targets {
        let ids = found.all.iter().map(|subject| &subject.id);
        for id in ids.chain(found.gaps.iter().map(|gap| &gap.id)) {
            owners.entry(id.clone()).or_default().insert(target);
        }
    }
    let name = |target: &str, id: &mut String| {
        if owners.get(id).is_some_and(|all| all.len() > 1) {
            *id = format!("{target}: {id}");
        }
    };
    let mut all = Subjects::default();
    for (target, mut found) in targets {
        let ids = found.all.iter_mut().map(|subject| &mut subject.id);
        ids.chain(found.gaps.iter_mut().map(|gap| &mut gap.id))
            .for_each(|id| name(target, id));
        all.all.extend(found.all);
        all.gaps.extend(found.gaps);
        all.notes.extend(found.notes);
    }
    all
}

/// Why there is nothing to compare, with what is to be known of those that do not list.
pub fn nothing(only: Option<&Regex>, listed: bool, notes: &[String]) -> Failure {
    match only {
        Some(only) if listed => {
            let words = [
                &[format!("--only {only}: no benchmark matches.")][..],
                notes,
            ]
            .concat();
            let words = words.join(" ");
            Failure::new(words.trim_end_matches('.')).remedy("leave it out to see all")
        }
        _ => Failure::new(
            "neither side lists benchmarks as Criterion does: all end well, and name none",
        )
        .remedy("EXE --bench --list shows what there is; --bench NAME takes one bench target"),
    }
}

/// Why a benchmark cannot be asked for alone: the list cuts another one's id to the same.
fn twin(id: &str, sides: &[Listed; 2]) -> Option<String> {
    let beginning = listing::beginning(id)?;
    let same = |other: &&String| listing::beginning(other) == Some(beginning);
    let twice = |side: &Listed| side.ids().iter().filter(same).count() > 1;
    sides.iter().any(twice).then(|| {
        format!(
            "several ids begin with these {} bytes, and Criterion lists no more of them: shorter \
             names tell them apart",
            beginning.len()
        )
    })
}

/// A benchmark that head has no more, and what it may be called now.
fn gone(id: &str, base: &[String], head: &[String]) -> String {
    let new = head.iter().filter(|id| !base.contains(id));
    match nearest(id, new.map(String::as_str)) {
        Some(name) => format!("head has no such benchmark; is it `{name}` now?"),
        None => "head has no such benchmark".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::Executable;
    use super::*;
    use crate::bench_place::BenchPlace;
    use probecost::gate::Gate;
    use probecost::schema::GatePolicy;

    fn listing(ids: &[&str], turns: bool) -> Listing {
        Listing {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            turns,
            whole_seconds: false,
            yields: false,
            set_up: Duration::ZERO,
        }
    }

    fn listed(ids: &[&str]) -> Listed {
        Listed {
            first: Ok(listing(ids, true)),
            again: None,
        }
    }

    fn pair_with(gate: &Gate, base: &Listed, head: &Listed, only: Option<&str>) -> Subjects {
        let place = tempfile::tempdir().unwrap();
        let executable = Executable {
            path: "/bin/true".into(),
            place: BenchPlace::directory("/".as_ref()),
        };
        let both = Rc::new(Pair::new([&executable, &executable], place.path()).unwrap());
        let thresholds = Thresholds::of(gate, GatePolicy::Strict).unwrap();
        let only = only.map(|only| Regex::new(only).unwrap());
        let lists = Rc::new([base.clone(), head.clone()]);
        super::pair("t", &both, &lists, only.as_ref(), &thresholds)
    }

    fn pair(base: &Listed, head: &Listed) -> Subjects {
        pair_with(&Gate::shipped(), base, head, None)
    }

    #[test]
    fn what_one_side_lacks_is_a_row() {
        let found = pair(
            &listed(&["a/same", "a/sort_old"]),
            &listed(&["a/same", "a/sort_new"]),
        );
        assert_eq!(found.all.len(), 1);
        assert!(found.all[0].lockstep);
        let [gone, new] = &found.gaps[..] else {
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
        let mut head = listed(&["a"]);
        head.first = Ok(listing(&["a"], false));
        assert!(!pair(&listed(&["a"]), &head).all[0].lockstep);
    }

    #[test]
    fn the_side_that_takes_longer_counts() {
        let mut head = listing(&["a"], false);
        head.whole_seconds = true;
        head.set_up = Duration::from_secs(4);
        let head = Listed {
            first: Ok(head),
            again: None,
        };
        for sides in [[&listed(&["a"]), &head], [&head, &listed(&["a"])]] {
            let subject = &pair(sides[0], sides[1]).all[0];
            assert!(subject.whole_seconds && !subject.yields);
            assert_eq!(subject.set_up, Duration::from_secs(4));
        }
    }

    #[test]
    fn a_side_that_does_not_list_is_named() {
        let silent = || Listed {
            first: Err("ended with signal: 6".to_owned()),
            again: None,
        };
        let found = pair(&listed(&["a"]), &silent());
        assert_eq!(found.gaps[0].status, Status::Missing);
        assert!(found.gaps[0].reason.contains("signal: 6"));
        let found = pair_with(&Gate::shipped(), &listed(&["a"]), &silent(), Some("^b"));
        assert!(found.gaps.is_empty());
        assert!(found.notes[0].contains("head's t does not list"));
        let found = pair(&listed(&[]), &silent());
        assert_eq!(found.gaps[0].status, Status::Broken);
        assert!(found.gaps[0].reason.contains("head's t does not list"));
        let found = pair(&silent(), &listed(&["a"]));
        let statuses = [found.gaps[0].status, found.gaps[1].status];
        assert_eq!(statuses, [Status::Broken, Status::New]);
        assert_eq!(pair(&silent(), &silent()).gaps[0].status, Status::Broken);
    }

    #[test]
    fn what_is_not_asked_for_is_no_row_though_it_does_not_list() {
        let silent = || Listed {
            first: Err("ended with signal: 6".to_owned()),
            again: None,
        };
        let only =
            |base: &Listed, head: &Listed| pair_with(&Gate::shipped(), base, head, Some("^b"));
        for found in [
            only(&silent(), &silent()),
            only(&silent(), &listed(&["a"])),
            only(&listed(&["a"]), &silent()),
        ] {
            assert!(found.all.is_empty() && found.gaps.is_empty());
            let found = together(vec![("t", found)]);
            assert!(
                found.notes[0].contains("it ended with signal: 6."),
                "{:?}",
                found.notes
            );
        }
        let found = only(&silent(), &listed(&["b"]));
        assert_eq!(found.gaps[0].status, Status::Broken);
    }

    #[test]
    fn an_id_that_changes_from_process_to_process_is_matched_by_what_stays() {
        let side = |first: &[&str], again: &[&str]| Listed {
            first: Ok(listing(first, false)),
            again: Some(listing(again, false)),
        };
        let base = side(&["a/10", "at 12:01:07"], &["a/10", "at 12:01:09"]);
        let head = side(&["a/20", "at 12:01:08"], &["a/20", "at 12:01:11"]);
        let found = pair(&base, &head);
        let [subject] = &found.all[..] else { panic!() };
        assert!(subject.pattern.is_match("at 7:59:59"));
        assert!(subject.note.is_some());
        assert_eq!(subject.id, "at …:…:…");
        // An id that stays is another benchmark, however like it looks.
        let gaps: Vec<&str> = found.gaps.iter().map(|g| g.id.as_str()).collect();
        assert_eq!(gaps, ["a/10", "a/20"]);
    }

    #[test]
    fn an_id_that_is_seen_to_change_later_is_followed() {
        let once = listed(&["a", "at 12:01:07"]);
        let mut found = pair(&once, &once);
        let [stays, changes] = &mut found.all[..] else {
            panic!()
        };
        let later = Listed {
            again: Some(listing(&["a", "at 12:01:08"], true)),
            ..once
        };
        let lists = [later.clone(), later];
        assert!(changes.follow(&lists) && changes.pattern.is_match("at 12:01:09"));
        assert!(changes.note.is_some());
        assert!(!changes.follow(&lists) && !stays.follow(&lists));
    }

    #[test]
    fn ids_that_the_list_cuts_to_one_cannot_be_told_apart() {
        let cut = format!("{}...", "a".repeat(100));
        let numbered = format!("{cut} #2");
        let once = listed(&[&cut]);
        let found = pair(&once, &once);
        assert!(found.all[0].pattern.is_match(&"a".repeat(120)));
        assert!(found.gaps.is_empty());
        let twice = listed(&[&cut, &numbered]);
        let found = pair(&twice, &twice);
        assert!(found.all.is_empty());
        let broken = |gap: &Gap| gap.status == Status::Broken && gap.reason.contains("100 bytes");
        assert!(found.gaps.len() == 2 && found.gaps.iter().all(broken));
    }

    #[test]
    fn an_id_of_several_targets_says_whose_it_is() {
        let [one, other] = [&["a", "b", "gone"][..], &["a", "c"]].map(listed);
        let found = together(vec![
            ("x", pair(&one, &listed(&["a", "b"]))),
            ("y", pair(&other, &other)),
            ("z", pair(&listed(&["gone"]), &listed(&[]))),
        ]);
        let ids: Vec<&str> = found.all.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, ["x: a", "b", "y: a", "c"]);
        assert_eq!(found.all[0].listed, "a");
        let gaps: Vec<&str> = found.gaps.iter().map(|g| g.id.as_str()).collect();
        assert_eq!(gaps, ["x: gone", "z: gone"]);
    }

    #[test]
    fn only_what_is_asked_for() {
        let both = listed(&["a/x", "b/x"]);
        let found = pair_with(&Gate::shipped(), &both, &both, Some("^b"));
        assert_eq!(found.all.len(), 1);
        assert!(found.gaps.is_empty());
    }

    #[test]
    fn thresholds_and_the_focus_of_the_gate_count() {
        let mut gate = Gate::shipped();
        gate.focus.patterns = vec!["^a/".into()];
        let mut own = gate.policy.strict;
        own.change_pct = 8.0;
        gate.benchmark.insert("a/x".into(), own);
        let both = listed(&["a/x", "a/y", "b/x"]);
        let found = pair_with(&gate, &both, &both, None);
        let called: Vec<(&str, f64)> = (found.all.iter())
            .map(|s| (s.id.as_str(), s.threshold_pct))
            .collect();
        assert_eq!(called, [("a/x", 8.0), ("a/y", gate.duet.change_pct)]);
        assert_eq!(found.gaps[0].status, Status::Filtered);
    }

    #[test]
    fn a_pattern_matches_one_id_as_a_whole() {
        let both = listed(&["a+b"]);
        let found = pair(&both, &both);
        assert!(found.all[0].pattern.is_match("a+b"));
        assert!(!found.all[0].pattern.is_match("a+b/c"));
    }
}
