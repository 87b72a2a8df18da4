//! A directory for each run, so that no run writes over another.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde::Serialize;

use crate::file;
use crate::host::{Host, Obstacle};

/// The link beside the directories of runs, to the last one that measured something.
const LATEST: &str = "latest";

/// The directory of one run, named by the time of its start in UTC, with `host.json`,
/// the machine, in it.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    /// Whether `latest` is a link to it.
    is_latest: AtomicBool,
}

impl Results {
    /// Makes it below `out`.
    ///
    /// # Errors
    /// Nothing can be written there, something stands where the link `latest` is to be, or
    /// this machine cannot be described.
    pub fn create(out: &Path) -> Result<Self, Obstacle> {
        file::make_directory(out)?;
        let host =
            Host::read().map_err(|e| Obstacle::new(e.to_string(), "mount /proc and /sys"))?;
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
        let link = out.join(LATEST);
        if fs::symlink_metadata(&link).is_ok_and(|found| !found.is_symlink()) {
            let in_the_way = ErrorKind::AlreadyExists.into();
            return Err(file::unwritable(&link, &in_the_way));
        }
        let path = fresh(out, &time)?;
        file::write_json(&path.join("host.json"), &host)?;
        Ok(Self {
            path,
            is_latest: AtomicBool::new(false),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a document of this name, whole, and turns the link `latest` to the run.
    pub fn write_json(&self, name: &str, document: &impl Serialize) -> Result<(), Obstacle> {
        file::write_json(&self.path.join(name), document)?;
        self.turn_latest()
    }

    /// Writes a file of this name, whole.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Obstacle> {
        file::replace(&self.path.join(name), bytes)
    }

    /// Turns the link `latest` to it, in one step: there is never a moment without one.
    pub fn turn_latest(&self) -> Result<(), Obstacle> {
        let ends = self.path.parent().zip(self.path.file_name());
        let Some((out, name)) = ends.filter(|_| !self.is_latest.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        let link = out.join(LATEST);
        let turn = || {
            let aside = tempfile::Builder::new().make_in(out, |path| symlink(name, path))?;
            aside.into_temp_path().persist(&link)?;
            Ok(())
        };
        turn().map_err(|error: std::io::Error| file::unwritable(&link, &error))?;
        self.is_latest.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Where they are, as a line for people.
impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "In {}", self.path.display())
    }
}

/// A directory of this name that was not there before; with a number where it was.
fn fresh(out: &Path, time: &str) -> Result<PathBuf, Obstacle> {
    let mut name = time.to_owned();
    for number in 2.. {
        let path = out.join(&name);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                name = format!("{time}-{number}");
            }
            Err(error) => return Err(file::unwritable(&path, &error)),
        }
    }
    unreachable!("there is always another number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_writes_over_another_and_the_link_goes_to_the_last() {
        let out = tempfile::tempdir().unwrap();
        let one = Results::create(out.path()).unwrap();
        one.write_json("a", &1).unwrap();
        let latest = out.path().join(LATEST);
        let two = Results::create(out.path()).unwrap();
        assert_ne!(one.path(), two.path());
        // Nothing was measured yet.
        assert!(latest.join("a").exists());
        two.write_json("b", &2).unwrap();
        assert_eq!(
            fs::canonicalize(&latest).unwrap(),
            fs::canonicalize(two.path()).unwrap()
        );
        assert!(!latest.join("a").exists());
        let host: Host =
            serde_json::from_slice(&fs::read(latest.join("host.json")).unwrap()).unwrap();
        assert!(host.cores > 0);
    }

    #[test]
    fn a_directory_that_stands_in_the_way_of_the_link_is_named() {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join(LATEST)).unwrap();
        let obstacle = Results::create(out.path()).unwrap_err();
        assert!(obstacle.why.contains("latest"), "{obstacle}");
    }
}
