//! The events and rules that all of these benches work on: a machine with a few
//! busy processes and a policy of a thousand rules.

use probecost::agent::record::{FileId, Record};
use probecost::pipeline::{Batch, Cgroups, Hashing, Pattern, Policy, Processes, Sample};

use crate::turns;

/// How many rules the policy holds unless a bench says otherwise.
pub const RULES: usize = 1000;
/// How many records the scenario has; a power of two.
pub const RECORDS: usize = 1024;

const PROCESSES: usize = 16;
const CGROUPS: u64 = 4;
const DIRECTORIES: [&str; 8] = [
    "/etc",
    "/etc/ssl/certs",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/share/zoneinfo/Europe",
    "/var/log",
    "/home/user/.config",
    "/proc/self",
    "/srv/app/releases/current",
];

/// The hash of what is measured: seeded anew in each run, but where turns are taken the
/// same on both sides, for tables of other seeds have other collisions.
pub fn hashing() -> Hashing {
    if turns::are_taken() {
        Hashing::fixed()
    } else {
        Hashing::random()
    }
}

/// So many rules: half of them paths, a quarter directories, an eighth files, an
/// eighth trusted cgroups. Half of the scenario's events match.
pub fn rules(count: usize) -> impl Iterator<Item = Pattern> {
    let watched = DIRECTORIES[..4]
        .iter()
        .map(|directory| Pattern::Below(bytes(directory)));
    let others = (0..).map(|i: usize| match i % 8 {
        0..4 => Pattern::Path(bytes(&format!("/opt/service-{i}/etc/service.conf"))),
        4..6 => Pattern::Below(bytes(&format!("/var/lib/service-{i}"))),
        6 => Pattern::File(FileId::new(i as u64, 1)),
        _ => Pattern::TrustedCgroup(1_000_000 + i as u64),
    });
    watched.chain(others).take(count)
}

/// The policy of so many rules, hashed the same in every run.
pub fn policy(count: usize) -> Policy {
    let mut policy = Policy::new(Hashing::fixed());
    rules(count).for_each(|rule| policy.add(rule));
    policy
}

/// Records of opens as the ring hands them out, one behind the other.
pub fn records() -> Batch {
    let mut batch = Batch::default();
    for i in 0..RECORDS {
        batch.push(&sample(i).bytes());
    }
    batch
}

/// One of the records, before it was written.
pub fn sample(i: usize) -> Sample {
    let process = i * 7 % PROCESSES;
    let directory = DIRECTORIES[i % DIRECTORIES.len()];
    Sample {
        pid: 1000 + process as u32,
        cpu: (i % 2) as u16,
        time_ns: 1_000_000_000 + i as u64 * 1000,
        cgroup: process as u64 % CGROUPS,
        path: format!("{directory}/file-{}", i / 8 % 8).into(),
        ..Sample::default()
    }
}

/// The processes of the scenario, all of them known.
pub fn processes(records: &Batch) -> Processes {
    let mut processes = Processes::new(RECORDS, Cgroups::new(None), Hashing::fixed());
    for record in records
        .iter()
        .filter_map(|bytes| Record::decode(bytes).ok())
    {
        processes.of(&record);
    }
    processes
}

fn bytes(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}
