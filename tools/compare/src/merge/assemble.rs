//! Shards put together: all of one suite, none of them twice, and what is missing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use probecost::schema::{Portion, Shard, ShardPart, cut_name, fingerprint};

use super::document::Sharded;
use crate::failure::Failure;

/// How many rows are named where there may be many.
const NAMED: usize = 20;

/// Shards of one suite, in their order.
pub struct Assembled<T> {
    /// Those that are there; at least one.
    pub shards: Vec<Sharded<T>>,
    /// Those that are not.
    pub lost: Vec<Shard>,
    /// The rows of the suite that none of them has.
    pub missing: Vec<String>,
}

impl<T> Assembled<T> {
    /// Why a missing row is missing.
    pub fn why_missing(&self) -> String {
        match self.lost.as_slice() {
            [] => "no shard has measured it".to_owned(),
            [one] => format!("shard {one} left nothing"),
            several => format!("shards {} left nothing", list(several)),
        }
    }
}

/// Puts shards together.
///
/// # Errors
/// One is of another suite than the others, or one or a row of theirs is there twice.
pub fn assemble<T>(mut shards: Vec<Sharded<T>>) -> Result<Assembled<T>, Failure> {
    shards.sort_by_key(|shard| shard.part.portion.shard);
    let identities: Vec<u64> = shards.iter().map(|s| identity(&s.part)).collect();
    let count = |one: &u64| identities.iter().filter(|other| *other == one).count();
    // What most of them say is right; of equally many the first.
    let usual = (0..shards.len())
        .rev()
        .max_by_key(|i| count(&identities[*i]));
    let usual = usual.ok_or_else(|| Failure::new("no shards"))?;
    if let Some(foreign) = (0..shards.len()).find(|i| identities[*i] != identities[usual]) {
        return Err(foreigner(&shards[foreign], &shards[usual]));
    }
    for pair in shards.windows(2) {
        let [one, other] = [&pair[0], &pair[1]];
        if one.part.portion.shard == other.part.portion.shard {
            let why = format!(
                "shard {} once more, as in {}: both have {}",
                other.part.portion.shard,
                one.path.display(),
                list(&other.names),
            );
            return Err(Failure::at(&other.path, why).remedy("rm the one that is not wanted"));
        }
    }
    let mut owners: BTreeMap<&str, &Sharded<T>> = BTreeMap::new();
    for shard in &shards {
        for name in &shard.names {
            match owners.insert(name, shard) {
                Some(other) if other.part.portion.shard != shard.part.portion.shard => {
                    let why = format!("{name} is in {} as well", other.path.display());
                    return Err(Failure::at(&shard.path, why)
                        .remedy("let all shards measure anew, with the same program"));
                }
                _ => {}
            }
        }
    }
    let portion = shards.first().map(|s| &s.part.portion);
    let suite = portion.iter().flat_map(|p| &p.suite);
    let cut: BTreeSet<String> = owners.keys().filter_map(|name| cut_name(name)).collect();
    let measured =
        |name: &&String| owners.contains_key(name.as_str()) || cut.contains(name.as_str());
    let missing = suite.filter(|name| !measured(name)).cloned().collect();
    let there = |shard: &Shard| shards.iter().any(|s| s.part.portion.shard == *shard);
    let all = portion.into_iter().flat_map(|p| p.shard.all());
    let lost = all.filter(|shard| !there(shard)).collect();
    Ok(Assembled {
        shards,
        lost,
        missing,
    })
}

/// A digest of what a shard has in common with the others of its suite: the plan, how many
/// they are, and all rows.
fn identity(part: &ShardPart) -> u64 {
    let Portion { shard, suite, .. } = &part.portion;
    fingerprint(format!("{:?}{}{suite:?}", part.plan, shard.of()).as_bytes())
}

/// How a shard differs from one of the suite.
fn foreigner<T>(foreign: &Sharded<T>, of_suite: &Sharded<T>) -> Failure {
    let [theirs, ours] = [foreign, of_suite].map(|s| &s.part);
    let keys = theirs.plan.keys().chain(ours.plan.keys());
    let mut differing = keys.filter(|key| theirs.plan.get(*key) != ours.plan.get(*key));
    let value = |part: &ShardPart, key: &str| match part.plan.get(key) {
        Some(value) => value.clone(),
        None => "none".to_owned(),
    };
    let why = match differing.next() {
        Some(key) => format!(
            "its {key} is {}, that one's {}",
            value(theirs, key),
            value(ours, key)
        ),
        None if theirs.portion.shard.of() != ours.portion.shard.of() => {
            format!("that one is {}", ours.portion.shard)
        }
        None => {
            let odd = theirs
                .portion
                .suite
                .symmetric_difference(&ours.portion.suite);
            format!("only one of both knows {}", list(&odd.collect::<Vec<_>>()))
        }
    };
    let why = format!(
        "shard {} of another suite than {}: {why}; it has {}",
        theirs.portion.shard,
        of_suite.path.display(),
        list(&foreign.names)
    );
    Failure::at(&foreign.path, why).remedy("rm it, and measure that shard anew")
}

/// Names, up to so many, and how many more.
pub fn list<T: ToString>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(T::to_string).collect();
    match names.len().checked_sub(NAMED) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}
