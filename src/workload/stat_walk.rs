//! Walk a tree and stat each file in it, as `find`, `du` and build tools do.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, statat};
use rustix::io::Errno;
use tempfile::TempDir;

use super::{Calls, Workload, no_fixture};
use crate::host::Obstacle;

const DIRECTORIES: u64 = 20;
const FILES_EACH: u64 = 20;

/// Walks a tree of 20 directories with 20 files each.
pub struct StatWalk {
    root: CString,
    entries: Vec<MaybeUninit<u8>>,
    names: Vec<MaybeUninit<u8>>,
    tree: TempDir,
}

impl StatWalk {
    /// What one walk opens: the directories, and that in which they lie.
    pub const OPENS: u64 = 1 + DIRECTORIES;

    /// Makes the tree.
    pub fn new() -> Result<Self, Obstacle> {
        let tree = TempDir::with_prefix("probecost-walk-").map_err(no_fixture)?;
        for directory in 0..DIRECTORIES {
            let directory = tree.path().join(format!("directory-{directory:02}"));
            std::fs::create_dir(&directory).map_err(no_fixture)?;
            for file in 0..FILES_EACH {
                std::fs::write(directory.join(format!("file-{file:02}")), b"x")
                    .map_err(no_fixture)?;
            }
        }
        Ok(Self {
            root: CString::new(tree.path().as_os_str().as_bytes()).map_err(no_fixture)?,
            entries: vec![MaybeUninit::uninit(); 4096],
            names: vec![MaybeUninit::uninit(); 4096],
            tree,
        })
    }
}

impl Workload for StatWalk {
    /// Gives the number of regular files found.
    fn operate(&mut self) -> Result<u64, Errno> {
        let root = directory(CWD, &self.root)?;
        let mut found = 0;
        let mut entries = RawDir::new(&root, &mut self.entries);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if is_dot(entry.file_name()) {
                continue;
            }
            found += files_in(&directory(&root, entry.file_name())?, &mut self.names)?;
        }
        Ok(found)
    }

    fn expected(&self) -> u64 {
        DIRECTORIES * FILES_EACH
    }

    fn place(&self) -> Option<&Path> {
        Some(self.tree.path())
    }

    fn calls(&self) -> Calls {
        Calls {
            opens: Self::OPENS,
            connects: 0,
        }
    }
}

fn directory(at: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    openat(
        at,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn files_in(directory: &OwnedFd, buffer: &mut [MaybeUninit<u8>]) -> Result<u64, Errno> {
    let mut found = 0;
    let mut entries = RawDir::new(directory, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if is_dot(entry.file_name()) {
            continue;
        }
        let stat = statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        found += u64::from(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    }
    Ok(found)
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}
