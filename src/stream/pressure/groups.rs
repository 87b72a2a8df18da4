//! Two groups of processes with too little memory between them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::host::mounts::unescape;
use crate::host::{self, Obstacle};

/// What our groups are called, before the id of the process that made them.
const PREFIX: &str = "probecost-pressure-";
/// How long groups may take to be empty.
const PATIENCE: Duration = Duration::from_secs(5);

/// A group that holds two others, and their memory together to a limit. Removed when
/// dropped; where its owner was killed, by the next that is made.
#[derive(Debug)]
pub(super) struct Groups {
    /// In the hierarchy that accounts for stalls.
    both: PathBuf,
    /// In the hierarchy that limits memory, where that is another.
    memory: Option<PathBuf>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    High,
    Low,
}

impl Rank {
    fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

impl Groups {
    /// Fresh groups with `bytes` between them.
    pub(super) fn new(bytes: u64) -> Result<Self, Obstacle> {
        let unified = host::cgroup2_mount()?;
        let name = format!("{PREFIX}{}", std::process::id());
        sweep(&unified);
        let both = unified.join(&name);
        let mut groups = Self { both, memory: None };
        let controllers = fs::read_to_string(unified.join("cgroup.controllers"));
        let in_v2 = controllers.is_ok_and(|all| all.split_whitespace().any(|c| c == "memory"));
        let limit = if in_v2 {
            write(&unified.join("cgroup.subtree_control"), "+memory")?;
            make(&groups.both)?;
            write(&groups.both.join("cgroup.subtree_control"), "+memory")?;
            groups.both.join("memory.max")
        } else {
            let memory = memory_v1()?;
            sweep(&memory);
            let own = memory.join(&name);
            make(&own)?;
            groups.memory = Some(own.clone());
            make(&groups.both)?;
            own.join("memory.limit_in_bytes")
        };
        for rank in [Rank::High, Rank::Low] {
            make(&groups.of(rank))?;
        }
        write(&limit, &bytes.to_string())?;
        Ok(groups)
    }

    /// The version of the hierarchy that limits the memory.
    pub(super) fn version(&self) -> u32 {
        if self.memory.is_some() { 1 } else { 2 }
    }

    /// The account of stalls of both, or of one.
    pub(super) fn account(&self, rank: Option<Rank>) -> PathBuf {
        let group = rank.map_or(self.both.clone(), |rank| self.of(rank));
        group.join("memory.pressure")
    }

    /// What freezes a group, where the kernel can.
    pub(super) fn freezer(&self, rank: Rank) -> Option<PathBuf> {
        let file = self.of(rank).join("cgroup.freeze");
        file.exists().then_some(file)
    }

    /// What takes memory of a group back, where the kernel can.
    pub(super) fn reclaimer(&self, rank: Rank) -> Option<PathBuf> {
        let file = self.of(rank).join("memory.reclaim");
        file.exists().then_some(file)
    }

    /// Whether a group is frozen.
    pub(super) fn frozen(&self, rank: Rank) -> bool {
        let file = self.freezer(rank);
        file.is_some_and(|file| fs::read_to_string(file).is_ok_and(|text| text.trim() == "1"))
    }

    /// Puts a process into a group.
    pub(super) fn join(&self, rank: Rank, process: u32) -> Result<(), Obstacle> {
        let homes = [Some(self.of(rank)), self.memory.clone()];
        for home in homes.into_iter().flatten() {
            write(&home.join("cgroup.procs"), &process.to_string())?;
        }
        Ok(())
    }

    fn of(&self, rank: Rank) -> PathBuf {
        self.both.join(rank.name())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        patiently(|| remove(&self.both) && self.memory.as_deref().is_none_or(remove));
    }
}

/// Tries again until it is done, or groups have had their time to be empty.
fn patiently(done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Removes the groups of processes that are no more.
fn sweep(hierarchy: &Path) {
    for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_string_lossy();
        if let Some(owner) = owner.strip_prefix(PREFIX)
            && !Path::new("/proc").join(owner).exists()
        {
            // Those whom its end killed may be about to end.
            patiently(|| remove(&entry.path()));
        }
    }
}

/// Removes a group and those in it; whether it is gone.
fn remove(group: &Path) -> bool {
    for rank in [Rank::High, Rank::Low] {
        let _ = fs::remove_dir(group.join(rank.name()));
    }
    match fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Where the first hierarchy limits memory.
fn memory_v1() -> Result<PathBuf, Obstacle> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    v1_mount(&mounts, "memory").ok_or_else(|| {
        Obstacle::new(
            "no cgroup hierarchy limits memory here",
            "boot with cgroup_enable=memory",
        )
    })
}

fn v1_mount(mountinfo: &str, controller: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let is_v1 = right.next() == Some("cgroup");
        let has = right.nth(1)?.split(',').any(|option| option == controller);
        (is_v1 && has).then(|| left.split(' ').nth(4).map(unescape))?
    })
}

fn make(group: &Path) -> Result<(), Obstacle> {
    fs::create_dir(group).map_err(|error| refused(group, &error))
}

fn write(file: &Path, text: &str) -> Result<(), Obstacle> {
    fs::write(file, text).map_err(|error| refused(file, &error))
}

fn refused(path: &Path, error: &io::Error) -> Obstacle {
    Obstacle::new(
        format!("no group of processes: {}: {error}", path.display()),
        "run this as root, where cgroups can be written",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hierarchy_is_found_by_its_controller() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      33 24 0:29 / /sys/fs/my\\040groups rw - cgroup cgroup rw,freezer\n";
        assert_eq!(
            v1_mount(mounts, "freezer"),
            Some("/sys/fs/my groups".into())
        );
        let found = v1_mount(mounts, "memory");
        assert_eq!(found, Some("/sys/fs/cgroup/memory".into()));
        assert_eq!(v1_mount(mounts, "pids"), None);
        assert_eq!(v1_mount("", "memory"), None);
    }
}
