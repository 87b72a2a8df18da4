//! Parts of a suite that several machines share, and what each part leaves so that all of
//! them can be judged together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::Change;

/// The environment variable by which a bench learns which part of its suite is measured.
/// What has no name to ask for is the first part's.
pub const SHARD_VARIABLE: &str = "PROBECOST_SHARD";

/// Number `index` of `of` parts, from 1; written `2/4`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Shard {
    index: NonZeroU32,
    of: NonZeroU32,
}

impl Shard {
    /// Which one, from 1.
    pub fn index(self) -> u32 {
        self.index.get()
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of.get()
    }

    /// All parts, of which this is one.
    pub fn all(self) -> impl Iterator<Item = Self> {
        let numbers = (1..=self.of()).filter_map(NonZeroU32::new);
        numbers.map(move |index| Self { index, ..self })
    }

    /// The part of `names` that is this shard's. Names for which `together` says the same
    /// stay together. Who gets what depends on nothing but the names, so that whoever
    /// tries again gets the same, and no part is larger than another by more than one.
    pub fn part<'a>(
        self,
        names: impl IntoIterator<Item = &'a str>,
        together: impl Fn(&'a str) -> &'a str,
    ) -> Portion {
        let suite: BTreeSet<&str> = names.into_iter().collect();
        let mut groups: Vec<(u64, &str)> = suite
            .iter()
            .map(|name| together(name))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|group| (fingerprint(group.as_bytes()), group))
            .collect();
        groups.sort_unstable();
        let dealt = groups.iter().skip(self.index() as usize - 1);
        let mine: BTreeSet<&str> = dealt
            .step_by(self.of() as usize)
            .map(|(_, group)| *group)
            .collect();
        let own = suite.iter().filter(|name| mine.contains(together(name)));
        Portion {
            shard: self,
            own: own.map(|name| (*name).to_owned()).collect(),
            suite: suite.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| {
            let shard = Self {
                index: index.parse().ok()?,
                of: of.parse().ok()?,
            };
            (shard.index <= shard.of).then_some(shard)
        });
        numbers.ok_or_else(|| format!("`{text}` is no part such as 2/4, from 1/4 to 4/4"))
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A number for some bytes that is the same on every machine and in every release (FNV-1a,
/// 64 bits, mixed once more since short names differ in their low bits alone).
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (sum ^ (sum >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// Which rows a shard has, of which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Portion {
    /// Which part it is.
    pub shard: Shard,
    /// The names of its rows.
    pub own: BTreeSet<String>,
    /// The names of all rows of the suite.
    pub suite: BTreeSet<String>,
}

impl Portion {
    /// Whether this shard answers for a row. What nobody listed is the first one's, so that
    /// somebody does.
    pub fn has(&self, name: &str) -> bool {
        let among = |names: &BTreeSet<String>| {
            names.contains(name) || cut_name(name).is_some_and(|cut| names.contains(&cut))
        };
        among(&self.own) || (self.shard.index() == 1 && !among(&self.suite))
    }
}

/// What Criterion lists of an id that is too long for a list: 100 bytes and three points.
pub fn cut_name(name: &str) -> Option<String> {
    const MOST: usize = 100;
    let end = (0..=MOST).rev().find(|end| name.is_char_boundary(*end))?;
    (name.len() > MOST).then(|| format!("{}...", &name[..end]))
}

/// What a shard leaves beside its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShardPart {
    /// Which rows it has.
    #[serde(flatten)]
    pub portion: Portion,
    /// What all shards of one suite have in common, by what it is.
    pub plan: BTreeMap<String, String>,
    /// By name, what the rows are decided from that are decided together.
    #[serde(default)]
    pub evidence: BTreeMap<String, RowEvidence>,
}

/// What a row is decided from; no time of any machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowEvidence {
    /// Of runs against a baseline.
    Runs(TimedEvidence),
    /// Of rounds of head and base.
    Rounds(RoundsEvidence),
}

/// The figures of a row on logarithms, so that twice as slow and twice as fast are
/// equally far; not yet held against the other rows of its suite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimedEvidence {
    /// How far both sides lie apart, and the error of it.
    pub change: Option<Change>,
    /// The chance of such a change if nothing changed; 1 where that cannot be known.
    pub p_value: f64,
    /// Change of the medians.
    pub est: f64,
    /// Change of the quickest run's quickest tenth.
    pub quick: f64,
    /// A change beyond this is called.
    pub threshold: f64,
    /// The smallest change that could be seen.
    pub floor: Option<f64>,
    /// Current runs.
    pub runs: usize,
}

/// The fresh rounds of a benchmark that its shard judged on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoundsEvidence {
    /// Of each round, the logarithm of head's time over base's.
    pub ratios: Vec<f64>,
    /// The smallest change that is called, in percent.
    pub threshold_pct: f64,
}

/// A shard that went into a merged document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MergedShard {
    /// Which part it was.
    pub shard: Shard,
    /// The class of the machine that measured it.
    pub host: Option<String>,
    /// When, RFC 3339, UTC.
    pub date: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(of: u32) -> Vec<Shard> {
        let first: Shard = format!("1/{of}").parse().unwrap();
        first.all().collect()
    }

    #[test]
    fn a_part_is_written_as_it_is_read_and_no_other_is() {
        let shard: Shard = "2/4".parse().unwrap();
        assert_eq!((shard.index(), shard.of()), (2, 4));
        assert_eq!(serde_json::to_string(&shard).unwrap(), "\"2/4\"");
        for wrong in ["0/4", "5/4", "1/0", "1", "a/b", "1/2/3", "-1/4", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_name_is_in_one_part_and_none_is_larger_by_more_than_one() {
        let names: Vec<String> = (0..1003).map(|n| format!("group/{n}")).collect();
        for of in [1, 2, 7, 50, 1003] {
            let parts: Vec<Portion> = shards(of)
                .into_iter()
                .map(|shard| shard.part(names.iter().map(String::as_str), |name| name))
                .collect();
            let sizes = parts.iter().map(|part| part.own.len());
            assert!(sizes.clone().max().unwrap() - sizes.clone().min().unwrap() <= 1);
            assert_eq!(sizes.sum::<usize>(), names.len());
            let all: BTreeSet<&String> = parts.iter().flat_map(|part| &part.own).collect();
            assert_eq!(all.len(), names.len());
        }
    }

    #[test]
    fn who_tries_again_gets_the_same_in_whatever_order_names_come() {
        let names = ["c", "a", "b", "a", "d"];
        let turned: Vec<&str> = names.iter().rev().copied().collect();
        for shard in shards(3) {
            assert_eq!(
                shard.part(names, |name| name),
                shard.part(turned.iter().copied(), |name| name)
            );
        }
        // Other releases and other machines must agree.
        assert_eq!(fingerprint(b""), 0xecba_3df2_c338_3c52);
    }

    #[test]
    fn what_belongs_together_stays_together() {
        let names: Vec<String> = (0..40)
            .flat_map(|n| ["off", "hook", "event"].map(|arm| format!("w{n}/{arm}")))
            .collect();
        let workload = |name: &str| name.split_once('/').unwrap().0.to_owned();
        for shard in shards(7) {
            let part = shard.part(names.iter().map(String::as_str), |name| {
                name.split_once('/').unwrap().0
            });
            let whole: BTreeSet<String> = part.own.iter().map(|name| workload(name)).collect();
            assert_eq!(part.own.len(), 3 * whole.len());
        }
    }

    #[test]
    fn what_nobody_listed_is_the_first_ones() {
        let [first, second] = shards(2)[..] else {
            panic!()
        };
        let names = ["a", "b", "c"];
        let [first, second] = [first, second].map(|shard| shard.part(names, |name| name));
        assert!(first.has("d") && !second.has("d"));
        for name in names {
            assert!(first.has(name) != second.has(name));
        }
    }

    #[test]
    fn a_name_that_the_list_cut_is_the_shards_that_it_was_dealt_to() {
        let long = "é".repeat(60);
        let listed = cut_name(&long).unwrap();
        assert_eq!(listed, format!("{}...", "é".repeat(50)));
        assert_eq!(cut_name(&long[..100]), None);
        let parts: Vec<Portion> = (shards(2).into_iter())
            .map(|shard| shard.part(["a", &listed], |name| name))
            .collect();
        assert!(parts[0].has(&long) != parts[1].has(&long));
        let owner = parts.iter().find(|part| part.own.contains(&listed));
        assert!(owner.unwrap().has(&long));
    }
}
