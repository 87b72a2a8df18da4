//! A directory of one's own that does not outlive its owner for long.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::file::{make_directory, unwritable};
use crate::host::Obstacle;

/// What such directories are called, before the part that chance chooses.
const PREFIX: &str = ".probecost-";
/// The file in it that its owner holds locked for as long as it lives.
const LOCK: &str = "lock";
/// What it is called until it is locked: nobody takes its owner for dead.
const UNLOCKED: &str = "unlocked";

/// A directory that is removed when it is dropped, and where its owner was killed,
/// by the next that is made beside it.
#[derive(Debug)]
pub struct Scratch {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// A fresh directory in `parent`, which is made, and from which those of dead owners are
    /// removed.
    ///
    /// # Errors
    /// `parent` cannot be made, or not be written into.
    pub fn new(parent: &Path) -> Result<Self, Obstacle> {
        make_directory(parent)?;
        Self::beside_the_living(parent).map_err(|error| unwritable(parent, &error))
    }

    fn beside_the_living(parent: &Path) -> io::Result<Self> {
        for dead in dead(parent)? {
            // Another may be removing it as well; what cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(dead);
        }
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let unlocked = directory.path().join(UNLOCKED);
        let lock = File::create(&unlocked)?;
        lock.lock()?;
        fs::rename(unlocked, directory.path().join(LOCK))?;
        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Directories of owners that are no more: nobody holds their locks.
fn dead(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let mut dead = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // One without a lock is being made at this moment, or has just been removed.
        if let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            dead.push(entry.path());
        }
    }
    Ok(dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_removes_what_the_dead_left_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(".probecost-killed");
        fs::create_dir_all(left.join("tree/deep")).unwrap();
        File::create(left.join(LOCK)).unwrap();
        fs::create_dir(parent.path().join("theirs")).unwrap();
        let alive = Scratch::new(parent.path()).unwrap();
        assert!(!left.exists());
        let another = Scratch::new(parent.path()).unwrap();
        assert!(alive.path().exists() && another.path().exists());
        assert!(parent.path().join("theirs").exists());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }
    #[test]
    fn a_place_that_cannot_be_had_is_named() {
        let obstacle = Scratch::new(Path::new("/proc/nowhere")).unwrap_err();
        assert!(obstacle.why.contains("/proc/nowhere"), "{obstacle}");
        assert!(obstacle.remedy.contains("df -h"), "{obstacle}");
    }

    #[test]
    fn those_that_start_together_leave_each_other_alone() {
        let parent = tempfile::tempdir().unwrap();
        for k in 0..50 {
            let left = parent.path().join(format!(".probecost-killed-{k}"));
            fs::create_dir_all(left.join("tree/deep")).unwrap();
            File::create(left.join(LOCK)).unwrap();
        }
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let scratch = Scratch::new(parent.path()).unwrap();
                        assert!(scratch.path().join(LOCK).exists());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
