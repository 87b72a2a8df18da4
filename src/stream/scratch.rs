//! A directory of one's own that does not outlive its owner for long.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What such directories are called, before the part that chance chooses.
const PREFIX: &str = ".probecost-";
/// The file in it that its owner holds locked for as long as it lives.
const LOCK: &str = "lock";

/// A directory that is removed when it is dropped, and where its owner was killed,
/// by the next that is made beside it.
#[derive(Debug)]
pub struct Scratch {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// A fresh directory in `parent`, from which those of dead owners are removed.
    pub fn new(parent: &Path) -> io::Result<Self> {
        for dead in dead(parent)? {
            fs::remove_dir_all(dead)?;
        }
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = File::create(directory.path().join(LOCK))?;
        lock.lock()?;
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
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !ours || !entry.file_type()?.is_dir() {
            continue;
        }
        // One without a lock is being made at this moment.
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
}
