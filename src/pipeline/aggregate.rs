//! How often each process did what to which target.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;

use super::hashing::Hashing;
use crate::agent::record::Record;

/// The events of one process on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateRow {
    kind: u8,
    /// The process.
    pub pid: u32,
    /// The path, or the socket address in the kernel's own form.
    pub target: Box<[u8]>,
    /// How many there were.
    pub events: u64,
    /// The time of the first to come, in nanoseconds of CLOCK_MONOTONIC.
    pub first_ns: u64,
    /// The time of the last to come.
    pub last_ns: u64,
}

/// Events added up by process and target, in a table of bounded size.
#[derive(Debug, Clone)]
pub struct Aggregate {
    rows: HashTable<AggregateRow>,
    hashing: Hashing,
    most: usize,
    unlisted: u64,
}

impl Aggregate {
    /// At most `most` rows; what needs one more is counted as
    /// [`unlisted`](Self::unlisted).
    pub fn new(most: usize, hashing: Hashing) -> Self {
        Self {
            rows: HashTable::new(),
            hashing,
            most,
            unlisted: 0,
        }
    }

    /// The same, with room for `rows` from the start.
    pub fn with_capacity(rows: usize, most: usize, hashing: Hashing) -> Self {
        Self {
            rows: HashTable::with_capacity(rows),
            ..Self::new(most, hashing)
        }
    }

    /// Adds one event.
    pub fn add(&mut self, record: &Record) {
        let time = record.time_ns();
        self.count(record.kind(), record.pid(), record.target_bytes(), |row| {
            row.events += 1;
            row.last_ns = time;
            row.first_ns = row.first_ns.min(time);
        });
    }

    /// Adds the rows of another table.
    pub fn merge(&mut self, other: &Self) {
        self.unlisted += other.unlisted;
        for theirs in &other.rows {
            let added = self.count(theirs.kind, theirs.pid, &theirs.target, |row| {
                row.events += theirs.events;
                row.first_ns = row.first_ns.min(theirs.first_ns);
                row.last_ns = row.last_ns.max(theirs.last_ns);
            });
            if !added {
                // One of them is counted already.
                self.unlisted += theirs.events - 1;
            }
        }
    }

    /// Changes the row of this process and target, made if there is room.
    fn count(
        &mut self,
        kind: u8,
        pid: u32,
        target: &[u8],
        change: impl FnOnce(&mut AggregateRow),
    ) -> bool {
        let hash = hash(&self.hashing, kind, pid, target);
        if let Some(row) = self.rows.find_mut(hash, |row| {
            row.pid == pid && *row.target == *target && row.kind == kind
        }) {
            change(row);
            return true;
        }
        if self.rows.len() >= self.most {
            self.unlisted += 1;
            return false;
        }
        let mut row = AggregateRow {
            kind,
            pid,
            target: target.into(),
            events: 0,
            first_ns: u64::MAX,
            last_ns: 0,
        };
        change(&mut row);
        let hashing = &self.hashing;
        self.rows.insert_unique(hash, row, |row| {
            self::hash(hashing, row.kind, row.pid, &row.target)
        });
        true
    }

    /// The rows, in no order.
    pub fn rows(&self) -> impl Iterator<Item = &AggregateRow> {
        self.rows.iter()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many events found no room.
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// Forgets all rows and keeps their room.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.unlisted = 0;
    }
}

fn hash(hashing: &Hashing, kind: u8, pid: u32, target: &[u8]) -> u64 {
    let mut hasher = hashing.build_hasher();
    (u64::from(pid) << 8 | u64::from(kind)).hash(&mut hasher);
    hasher.write(target);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sample::Sample;

    fn add(aggregate: &mut Aggregate, pid: u32, path: &str, time_ns: u64) {
        let sample = Sample {
            pid,
            path: path.into(),
            time_ns,
            ..Sample::default()
        };
        aggregate.add(&Record::decode(&sample.bytes()).unwrap());
    }

    fn listed(aggregate: &Aggregate) -> Vec<(u32, String, u64, u64, u64)> {
        let mut rows: Vec<_> = aggregate
            .rows()
            .map(|row| {
                let target = String::from_utf8_lossy(&row.target).into();
                (row.pid, target, row.events, row.first_ns, row.last_ns)
            })
            .collect();
        rows.sort();
        rows
    }

    #[test]
    fn one_row_for_each_process_and_path() {
        let mut aggregate = Aggregate::new(10, Hashing::random());
        add(&mut aggregate, 1, "/a", 5);
        add(&mut aggregate, 1, "/b", 6);
        add(&mut aggregate, 2, "/a", 7);
        add(&mut aggregate, 1, "/a", 9);
        assert_eq!(
            listed(&aggregate),
            [
                (1, "/a".into(), 2, 5, 9),
                (1, "/b".into(), 1, 6, 6),
                (2, "/a".into(), 1, 7, 7)
            ]
        );
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut aggregate = Aggregate::with_capacity(2, 2, Hashing::random());
        for path in ["/a", "/b", "/c", "/a", "/d"] {
            add(&mut aggregate, 1, path, 1);
        }
        assert_eq!((aggregate.len(), aggregate.unlisted()), (2, 2));
        let events: u64 = aggregate.rows().map(|row| row.events).sum();
        assert_eq!(events + aggregate.unlisted(), 5);
    }

    #[test]
    fn merged_tables_hold_every_event_once() {
        let (mut one, mut two) = (
            Aggregate::new(3, Hashing::random()),
            Aggregate::new(9, Hashing::random()),
        );
        for (i, path) in ["/a", "/b", "/a"].iter().enumerate() {
            add(&mut one, 1, path, i as u64);
        }
        for path in ["/a", "/c", "/d", "/d", "/d"] {
            add(&mut two, 1, path, 50);
        }
        one.merge(&two);
        let events: u64 = one.rows().map(|row| row.events).sum();
        assert_eq!(events + one.unlisted(), 8);
        let a = one.rows().find(|row| *row.target == *b"/a").unwrap();
        assert_eq!((a.events, a.first_ns, a.last_ns), (3, 0, 50));
    }
}
