//! Benchmarks whose ids change from process to process, found again on the other side.

use std::collections::BTreeMap;

use regex::Regex;

use super::listed::{Listed, without};
use crate::listing;

/// How an id that changes is found in every process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changing {
    /// What it matches.
    pub pattern: String,
    /// What stays of it, with `…` for the rest: the same on every machine.
    pub name: String,
    /// What it was told by.
    pub told_by: &'static str,
}

impl Changing {
    /// What a reader should know of it.
    pub fn note(&self) -> String {
        let told_by = self.told_by;
        format!("its id changes from process to process: matched by {told_by}")
    }
}

/// The ids of base that change from process to process and that head has as well: those that
/// only digits tell apart, and then, where both sides have as many left, those that stand at
/// one place among them.
pub fn changing(sides: &[Listed; 2]) -> BTreeMap<&str, Changing> {
    let volatile = sides.each_ref().map(Listed::volatile);
    // A clock may tick between the first lists of both sides alone.
    let new = without(sides[1].ids(), sides[0].ids());
    let of_head = sides[1].ids().iter().map(String::as_str);
    let of_head = of_head.filter(|id| volatile[1].contains(id) || new.contains(id));
    let base = volatile[0].iter().map(|id| (*id, by_digits(id)));
    let head: Vec<Changing> = of_head.map(by_digits).collect();
    let mut found: BTreeMap<&str, Changing> = base
        .filter(|(_, changing)| head.contains(changing) && alone(sides, &changing.pattern))
        .collect();
    let by_place = by_place(sides, &volatile, &found);
    found.extend(by_place);
    found
}

/// Those that nothing else tells, by their place among such.
fn by_place<'a>(
    sides: &'a [Listed; 2],
    volatile: &[Vec<&'a str>; 2],
    found: &BTreeMap<&str, Changing>,
) -> BTreeMap<&'a str, Changing> {
    let told: Vec<Regex> = found
        .values()
        .filter_map(|one| whole(&one.pattern))
        .collect();
    let rest = |ids: &[&'a str]| -> Vec<&'a str> {
        let is_told = |id: &str| told.iter().any(|pattern| pattern.is_match(id));
        ids.iter().copied().filter(|id| !is_told(id)).collect()
    };
    let [base, head] = volatile.each_ref().map(|ids| rest(ids));
    let [base_again, head_again] = sides.each_ref().map(|side| rest(&side.fresh()));
    let all = [&base, &base_again, &head, &head_again];
    if all.iter().any(|ids| ids.len() != base.len()) {
        return BTreeMap::new();
    }
    let at = |place: usize| {
        let changing = by_words(&all.map(|ids| ids[place]));
        alone(sides, &changing.pattern).then_some((base[place], changing))
    };
    (0..base.len()).filter_map(at).collect()
}

/// Whether a pattern matches one id in every list: one that matches others as well cannot be
/// asked for.
fn alone(sides: &[Listed; 2], pattern: &str) -> bool {
    let Some(matches) = whole(pattern) else {
        return false;
    };
    let one = |list: &[String]| list.iter().filter(|id| matches.is_match(id)).count() == 1;
    sides.iter().flat_map(Listed::lists).all(one)
}

/// What the whole of an id has to match.
pub fn whole(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

/// An id by all but its digits.
fn by_digits(id: &str) -> Changing {
    let beginning = listing::beginning(id);
    let (mut pattern, mut name) = (String::new(), String::new());
    let mut digits = false;
    for letter in beginning.unwrap_or(id).chars() {
        match (letter.is_ascii_digit(), digits) {
            (true, false) => {
                pattern.push_str("[0-9]+");
                name.push('…');
            }
            (true, true) => {}
            (false, _) => {
                pattern.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
                name.push(letter);
            }
        }
        digits = letter.is_ascii_digit();
    }
    if beginning.is_some() {
        pattern.push_str(".+");
        name.push('…');
    }
    Changing {
        pattern,
        name,
        told_by: "all but its digits",
    }
}

/// Several ids of one benchmark by the words that all begin and end with.
fn by_words(ids: &[&str]) -> Changing {
    let begin = common(ids, |id| id.chars().collect());
    let mut end = common(ids, |id| id.chars().rev().collect());
    let shortest = ids.iter().map(|id| id.chars().count()).min().unwrap_or(0);
    end.truncate(shortest.saturating_sub(begin.len() + 1));
    let end: String = end.iter().rev().collect();
    let begin: String = begin.into_iter().collect();
    Changing {
        pattern: format!("{}.+{}", regex::escape(&begin), regex::escape(&end)),
        name: format!("{begin}…{end}"),
        told_by: "its place in the list",
    }
}

/// The whole words that all of `ids` have in common at their beginning.
fn common(ids: &[&str], letters: impl Fn(&str) -> Vec<char>) -> Vec<char> {
    let all: Vec<Vec<char>> = ids.iter().map(|id| letters(id)).collect();
    let Some(first) = all.first() else {
        return Vec::new();
    };
    let same = |i: &usize| all.iter().all(|other| other.get(*i) == first.get(*i));
    let same = (0..first.len()).take_while(same).count();
    // Part of a word may be alike by chance.
    let words = first[..same]
        .iter()
        .rposition(|letter| !letter.is_alphanumeric());
    first[..words.map_or(0, |last| last + 1)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::harness::Listing;
    use super::*;

    fn side(first: &[&str], again: &[&str]) -> Listed {
        let listing = |ids: &[&str]| Listing {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            turns: false,
            whole_seconds: false,
            yields: false,
            set_up: Default::default(),
        };
        Listed {
            first: Ok(listing(first)),
            again: Some(listing(again)),
        }
    }

    #[test]
    fn ids_without_digits_of_their_own_are_told_by_their_place() {
        let base = side(
            &["a", "read //tmp/.tmpX9fQa/x", "hash/0fa3bc", "at 12:01"],
            &["a", "read //tmp/.tmpPq3Zk/x", "hash/9e00d1", "at 12:02"],
        );
        let head = side(
            &["a", "read //tmp/.tmpaaBBc/x", "hash/beef01", "at 12:03"],
            &["a", "read //tmp/.tmpL0mNo/x", "hash/77ac4e", "at 12:04"],
        );
        let sides = [base, head];
        let found = changing(&sides);
        let by = |id| (found[id].told_by, found[id].pattern.as_str());
        assert_eq!(found.len(), 3);
        assert_eq!(by("at 12:01"), ("all but its digits", "at [0-9]+:[0-9]+"));
        let (told_by, pattern) = by("read //tmp/.tmpX9fQa/x");
        assert_eq!(told_by, "its place in the list");
        assert!(whole(pattern).unwrap().is_match("read //tmp/.tmpZZZZZ/x"));
        assert!(whole(by("hash/0fa3bc").1).unwrap().is_match("hash/000000"));
        let names = found.values().map(|changing| changing.name.as_str());
        assert_eq!(
            Vec::from_iter(names),
            ["at …:…", "hash/…", "read //tmp/.…/x"]
        );
    }

    #[test]
    fn a_clock_that_ticks_between_the_first_lists_alone_is_seen() {
        let base = side(&["a", "at 12:01"], &["a", "at 12:02"]);
        let head = side(&["a", "at 12:02"], &["a", "at 12:02"]);
        let sides = [base, head];
        assert_eq!(changing(&sides)["at 12:01"].pattern, "at [0-9]+:[0-9]+");
    }

    #[test]
    fn an_id_that_the_list_cuts_may_change_as_well() {
        let id = |time: &str| format!("at {time}/{}", "x".repeat(120));
        let cut = |time: &str| format!("{}...", &id(time)[..100]);
        let once = |times: [&str; 2]| side(&[&cut(times[0])], &[&cut(times[1])]);
        let sides = [once(["12:01", "12:02"]), once(["12:03", "12:04"])];
        let found = changing(&sides);
        let pattern = whole(&found[cut("12:01").as_str()].pattern).unwrap();
        assert!(pattern.is_match(&id("23:59")));
    }

    /// One that stays looks like one that changes: either could get the other's numbers.
    #[test]
    fn an_id_that_another_is_like_but_for_its_digits_is_left() {
        let both = side(&["alloc/64", "alloc/4711"], &["alloc/64", "alloc/4712"]);
        assert!(changing(&[both.clone(), both]).is_empty());
    }

    #[test]
    fn what_cannot_be_told_is_left() {
        // Two that match each other.
        let twice = |ids: [&str; 4]| side(&ids[..2], &ids[2..]);
        let base = twice(["t/ab", "t/cd", "t/ef", "t/gh"]);
        let head = twice(["t/ij", "t/kl", "t/mn", "t/op"]);
        assert!(changing(&[base.clone(), head]).is_empty());
        // One more on one side.
        let head = side(&["t/ij"], &["t/mn"]);
        assert!(changing(&[base, head]).is_empty());
    }
}
