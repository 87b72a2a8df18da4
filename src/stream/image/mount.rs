//! Mounts that nobody else sees, and that end with this process at the latest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::host::Obstacle;
use crate::host::mounts::unescape;

/// Something mounted; it is unmounted when this is dropped.
#[derive(Debug)]
pub struct Mounted(PathBuf);

/// How an image in a file becomes a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// The file itself is mounted (Linux 6.12).
    File,
    /// By way of a loop device.
    Loop,
}

/// Gives this thread, and all that it starts from now on, a table of mounts of its own:
/// when the last of them has ended, by whatever signal, what is mounted in it is gone.
pub fn own_namespace() -> Result<(), Obstacle> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .map_err(|error| {
            Obstacle::new(
                format!("no mount namespace of one's own: {error}"),
                "run this as root",
            )
        })
}

impl Mounted {
    /// The EROFS image in `file`, read only, at `at`.
    pub fn erofs(file: &Path, backing: Backing, at: &Path) -> Result<Self, Obstacle> {
        let none = None::<&str>;
        match backing {
            Backing::File => mount(Some(file), at, Some("erofs"), MsFlags::MS_RDONLY, none)
                .map_err(|error| unmountable(file, &error.to_string()))?,
            // The program finds a free loop device and has it freed with the mount.
            Backing::Loop => {
                let mut command = Command::new("mount");
                command
                    .args(["-t", "erofs", "-o", "ro,loop"])
                    .args([file, at]);
                let done = command
                    .output()
                    .map_err(|error| unmountable(file, &format!("mount: {error}")))?;
                if !done.status.success() {
                    let why = String::from_utf8_lossy(&done.stderr);
                    let why = why.lines().next().unwrap_or("mount says nothing");
                    return Err(unmountable(file, why));
                }
            }
        }
        Ok(Self(at.to_owned()))
    }

    /// An overlay at `at` of what is named in `options`.
    #[cfg(feature = "composefs")]
    pub fn overlay(options: &str, at: &Path) -> Result<Self, Obstacle> {
        let read_only = MsFlags::MS_RDONLY;
        mount(
            Some("overlay"),
            at,
            Some("overlay"),
            read_only,
            Some(options),
        )
        .map_err(|error| {
            Obstacle::new(
                format!("no overlay on {}: {error}", at.display()),
                "see `dmesg | tail`; layers of data alone need Linux 6.5",
            )
        })?;
        Ok(Self(at.to_owned()))
    }

    /// The directory `tree` once more at `at`.
    pub fn bound(tree: &Path, at: &Path) -> Result<Self, Obstacle> {
        let none = None::<&str>;
        mount(Some(tree), at, none, MsFlags::MS_BIND, none)
            .map_err(|error| unmountable(tree, &error.to_string()))?;
        Ok(Self(at.to_owned()))
    }

    /// Where it is.
    #[cfg(feature = "composefs")]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where a file in it is still open, it goes when that is closed.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn unmountable(what: &Path, why: &str) -> Obstacle {
    Obstacle::new(
        format!("{} cannot be mounted: {why}", what.display()),
        "see `dmesg | tail` for what the kernel holds against it",
    )
}

/// Writes out what is to be written, and has the kernel forget the rest.
pub(super) fn drop_caches() -> Result<(), Obstacle> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").map_err(|error| {
        Obstacle::new(
            format!("the page cache cannot be dropped: {error}"),
            "run this as root, or leave --cold out",
        )
    })
}

/// Mounts of this process below `root`.
pub(super) fn mounted_below(root: &Path) -> io::Result<usize> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(points_below(&mountinfo, root))
}

fn points_below(mountinfo: &str, root: &Path) -> usize {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .filter(|point| unescape(point).starts_with(root))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_path_with_a_space_are_seen() {
        let mountinfo = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                         2 1 7:0 / /var/my\\040dir/pulled rw - erofs /dev/loop0 ro\n\
                         3 1 7:1 / /var/my\\040directory rw - erofs /dev/loop1 ro\n";
        for (root, below) in [("/var/my dir", 1), ("/var", 2), ("/var/my", 0), ("/", 3)] {
            assert_eq!(points_below(mountinfo, Path::new(root)), below, "{root}");
        }
    }
}
