//! Detailed statistics: which processes, paths and cgroups most events come from.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};
use serde::Serialize;

use super::cgroups::Cgroups;
use super::hashing::Hashing;
use crate::agent::record::{Record, Target};

/// Keys of one kind; what comes when so many are known is only counted.
const MOST: usize = 65_536;

/// Events by process, path and cgroup.
#[derive(Debug, Clone)]
pub struct Detail {
    processes: Counts<(u32, [u8; 16])>,
    paths: Counts<Box<[u8]>>,
    cgroups: Counts<u64>,
}

/// Those that most events come from, most first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetailReport {
    /// Processes, as `NAME (PID)`.
    pub processes: Vec<DetailRow>,
    /// Paths that were opened or run.
    pub paths: Vec<DetailRow>,
    /// Cgroups, by path where there still is one, else by number.
    pub cgroups: Vec<DetailRow>,
    /// Events that found no room in one of the tables.
    pub unlisted: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetailRow {
    /// What it is.
    pub name: String,
    /// How many events came from it.
    pub events: u64,
}

impl Detail {
    /// Nothing counted yet.
    pub fn new(hashing: &Hashing) -> Self {
        Self {
            processes: Counts::new(hashing, MOST),
            paths: Counts::new(hashing, MOST),
            cgroups: Counts::new(hashing, MOST),
        }
    }

    /// Counts an event.
    pub fn add(&mut self, record: &Record) {
        self.processes
            .add(&(record.pid(), *record.raw_comm()), |&key| key);
        if let Target::Path(path) | Target::Program(path) = record.target {
            self.paths.add(path, |path| path.into());
        }
        self.cgroups.add(&record.cgroup(), |&id| id);
    }

    /// The first `most` of each kind.
    pub fn report(&self, most: usize, cgroups: &mut Cgroups) -> DetailReport {
        DetailReport {
            processes: self.processes.top(most, |(pid, name)| {
                let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
                format!("{} ({pid})", String::from_utf8_lossy(name))
            }),
            paths: self
                .paths
                .top(most, |path| String::from_utf8_lossy(path).into_owned()),
            cgroups: self.cgroups.top(most, |&id| {
                cgroups
                    .path(id)
                    .map_or_else(|| id.to_string(), |path| path.to_string())
            }),
            unlisted: self.processes.unlisted + self.paths.unlisted + self.cgroups.unlisted,
        }
    }
}

/// How often each key came.
#[derive(Debug, Clone)]
struct Counts<K> {
    counts: HashMap<K, u64, Hashing>,
    most: usize,
    unlisted: u64,
}

impl<K: Eq + Hash + Ord> Counts<K> {
    fn new(hashing: &Hashing, most: usize) -> Self {
        Self {
            counts: HashMap::with_hasher(hashing.clone()),
            most,
            unlisted: 0,
        }
    }

    /// Nothing is allocated for a key that is known.
    fn add<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q, own: impl FnOnce(&Q) -> K) {
        if let Some(count) = self.counts.get_mut(key) {
            *count += 1;
        } else if self.counts.len() < self.most {
            self.counts.insert(own(key), 1);
        } else {
            self.unlisted += 1;
        }
    }

    fn top(&self, most: usize, mut name: impl FnMut(&K) -> String) -> Vec<DetailRow> {
        let mut rows: Vec<(&K, u64)> = self.counts.iter().map(|(key, n)| (key, *n)).collect();
        rows.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        rows.truncate(most);
        let row = |(key, events)| DetailRow {
            name: name(key),
            events,
        };
        rows.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sample::Sample;

    #[test]
    fn the_most_frequent_come_first() {
        let mut detail = Detail::new(&Hashing::random());
        for (pid, path, cgroup, times) in [(1, "/a", 7, 3), (2, "/b", 7, 1), (2, "/a", 8, 1)] {
            let sample = Sample {
                pid,
                cgroup,
                path: path.into(),
                ..Sample::default()
            };
            for _ in 0..times {
                detail.add(&Record::decode(&sample.bytes()).unwrap());
            }
        }
        let report = detail.report(2, &mut Cgroups::new(None));
        let said = |rows: &[DetailRow]| -> Vec<(String, u64)> {
            rows.iter()
                .map(|row| (row.name.clone(), row.events))
                .collect()
        };
        let row = |name: &str, events| (name.to_owned(), events);
        assert_eq!(
            said(&report.processes),
            [row("bench (1)", 3), row("bench (2)", 2)]
        );
        assert_eq!(said(&report.paths), [row("/a", 4), row("/b", 1)]);
        assert_eq!(said(&report.cgroups), [row("7", 4), row("8", 1)]);
        assert_eq!(detail.report(1, &mut Cgroups::new(None)).paths.len(), 1);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut counts = Counts::new(&Hashing::random(), 2);
        for key in [1_u64, 2, 3, 1, 3] {
            counts.add(&key, |&key| key);
        }
        let events: u64 = counts.top(9, u64::to_string).iter().map(|r| r.events).sum();
        assert_eq!((events, counts.unlisted), (3, 2));
    }
}
