//! What is known of the processes that events come from.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::cgroups::Cgroups;
use super::hashing::Hashing;
use crate::agent::record::Record;

/// A process, as its last event showed it.
#[derive(Debug, Clone)]
pub struct Process {
    raw_command: [u8; 16],
    cgroup_id: u64,
    /// The command name; bytes that are no text are replaced.
    pub command: Box<str>,
    /// The path of its cgroup; none where it cannot be told.
    pub cgroup: Option<Arc<str>>,
}

/// The processes by number. What stays the same is found out once for each
/// process, not once for each event.
#[derive(Debug, Clone)]
pub struct Processes {
    table: HashMap<u32, Process, Hashing>,
    cgroups: Cgroups,
    most: usize,
}

impl Processes {
    /// Room for `most` processes. When one more comes, all are forgotten and
    /// learnt anew: nobody says when a process ends.
    pub fn new(most: usize, cgroups: Cgroups, hashing: Hashing) -> Self {
        Self {
            table: HashMap::with_hasher(hashing),
            cgroups,
            most: most.max(1),
        }
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The process with this number, if an event came from it.
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.table.get(&pid)
    }

    /// The process that this event came from.
    pub fn of(&mut self, record: &Record) -> &Process {
        if self.table.len() >= self.most && !self.table.contains_key(&record.pid()) {
            self.table.clear();
        }
        match self.table.entry(record.pid()) {
            Entry::Occupied(entry) => {
                let process = entry.into_mut();
                // It has started another program, or moved.
                if process.raw_command != *record.raw_comm() || process.cgroup_id != record.cgroup()
                {
                    *process = Process::seen_in(record, &mut self.cgroups);
                }
                process
            }
            Entry::Vacant(entry) => entry.insert(Process::seen_in(record, &mut self.cgroups)),
        }
    }
}

impl Process {
    fn seen_in(record: &Record, cgroups: &mut Cgroups) -> Self {
        Self {
            raw_command: *record.raw_comm(),
            cgroup_id: record.cgroup(),
            command: String::from_utf8_lossy(record.comm()).into(),
            cgroup: cgroups.path(record.cgroup()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sample::Sample;

    fn learn(processes: &mut Processes, sample: &Sample) -> Process {
        let bytes = sample.bytes();
        processes.of(&Record::decode(&bytes).unwrap()).clone()
    }

    fn processes(most: usize) -> Processes {
        Processes::new(most, Cgroups::new(None), Hashing::random())
    }

    #[test]
    fn another_program_in_the_same_process_is_noticed() {
        let mut processes = processes(10);
        let before = Sample::default();
        let after = Sample {
            comm: *b"sh\xff\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ..before.clone()
        };
        assert_eq!(&*learn(&mut processes, &before).command, "bench");
        assert_eq!(&*learn(&mut processes, &after).command, "sh\u{fffd}");
        assert_eq!(processes.len(), 1);
    }

    #[test]
    fn a_move_to_another_cgroup_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let id = |name: &str| {
            use std::os::unix::fs::MetadataExt;
            let path = root.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::metadata(path).unwrap().ino()
        };
        let (one, two) = (id("one"), id("two"));
        let cgroups = Cgroups::new(Some(root.path().into()));
        let mut processes = Processes::new(10, cgroups, Hashing::random());
        let mut at = |cgroup| {
            let sample = Sample {
                cgroup,
                ..Sample::default()
            };
            learn(&mut processes, &sample).cgroup
        };
        assert_eq!(at(one).as_deref(), Some("/one"));
        assert_eq!(at(two).as_deref(), Some("/two"));
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut processes = processes(3);
        for pid in [1, 2, 3, 3, 2, 1] {
            let sample = Sample {
                pid,
                ..Sample::default()
            };
            learn(&mut processes, &sample);
        }
        assert_eq!(processes.len(), 3);
        let fourth = Sample {
            pid: 4,
            ..Sample::default()
        };
        learn(&mut processes, &fourth);
        assert_eq!(processes.len(), 1);
        assert!(processes.get(4).is_some() && processes.get(1).is_none());
    }
}
