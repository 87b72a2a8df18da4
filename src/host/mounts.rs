//! Where the kernel's file systems are mounted: not everywhere where one expects.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::files::Files;
use super::obstacle::Obstacle;

/// Where the cgroup v2 hierarchy is mounted.
pub fn cgroup2_mount() -> Result<PathBuf, Obstacle> {
    CGROUP2.find(&Files::of_this_machine())
}

/// Where tracefs is mounted.
pub fn tracefs_mount() -> Result<PathBuf, Obstacle> {
    TRACEFS.find(&Files::of_this_machine())
}

/// The type of the file system that `path` lies on.
pub fn file_system(path: &Path) -> Result<String, Obstacle> {
    let obstacle = |cause: String| {
        let why = format!("{}: {cause}", path.display());
        Obstacle::new(why, "name a file that is there, on a machine with /proc")
    };
    let real = fs::canonicalize(path).map_err(|error| obstacle(error.to_string()))?;
    let mountinfo = Files::of_this_machine()
        .text("proc/self/mountinfo")
        .map_err(|error| obstacle(error.to_string()))?;
    kind_at(&mountinfo, &real)
        .map(str::to_owned)
        .ok_or_else(|| obstacle("lies below no mount that /proc/self/mountinfo lists".into()))
}

/// The type of the mount that is deepest above `path`; of several there, the last.
fn kind_at<'a>(mountinfo: &'a str, path: &Path) -> Option<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, rest) = line.split_once(" - ")?;
            let point = unescape(mount.split(' ').nth(4)?);
            let depth = point.components().count();
            path.starts_with(point)
                .then_some((depth, rest.split(' ').next()?))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, kind)| kind)
}

/// A file system of the kernel's own.
pub(super) struct FileSystem {
    kind: &'static str,
    /// The command that mounts it.
    mount: &'static str,
    /// The option of the kernel that it comes with.
    option: &'static str,
}

pub(super) const CGROUP2: FileSystem = FileSystem {
    kind: "cgroup2",
    mount: "mkdir -p /run/cgroup2 && mount -t cgroup2 cgroup2 /run/cgroup2",
    option: "CONFIG_CGROUPS",
};

pub(super) const TRACEFS: FileSystem = FileSystem {
    kind: "tracefs",
    mount: "mount -t tracefs tracefs /sys/kernel/tracing",
    option: "CONFIG_FTRACE",
};

pub(super) const SECURITYFS: FileSystem = FileSystem {
    kind: "securityfs",
    mount: "mount -t securityfs securityfs /sys/kernel/security",
    option: "CONFIG_SECURITYFS",
};

impl FileSystem {
    /// Where it is mounted.
    pub(super) fn find(&self, files: &Files) -> Result<PathBuf, Obstacle> {
        let Self {
            kind,
            mount,
            option,
        } = self;
        let mountinfo = files.text("proc/self/mountinfo").map_err(|cause| {
            Obstacle::new(
                format!("cannot read /proc/self/mountinfo: {cause}"),
                "mount -t proc proc /proc",
            )
        })?;
        if let Some(point) = mount_point(&mountinfo, kind) {
            return Ok(point);
        }
        let known = files.text("proc/filesystems").unwrap_or_default();
        Err(if known.split_whitespace().any(|name| name == *kind) {
            Obstacle::new(
                format!("{kind} is not mounted"),
                format!("as root: {mount}"),
            )
        } else {
            Obstacle::new(
                format!("the kernel has no {kind}"),
                format!("boot a kernel built with {option}=y"),
            )
        })
    }
}

/// Where a file system of this kind is mounted: the whole of it if it is so anywhere,
/// else a part of it.
fn mount_point(mountinfo: &str, kind: &str) -> Option<PathBuf> {
    let mounts: Vec<(&str, &str)> = mountinfo
        .lines()
        .filter_map(|line| {
            // proc_pid_mountinfo(5): id, parent, device, root, mount point, …, "-", type
            let (place, file_system) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3);
            let (root, point) = (place.next()?, place.next()?);
            (file_system.split(' ').next() == Some(kind)).then_some((root, point))
        })
        .collect();
    let whole = mounts.iter().find(|(root, _)| *root == "/");
    let (_, point) = whole.or(mounts.first())?;
    Some(unescape(point))
}

/// A path of mountinfo, in which white space and backslashes are octal: `\040`.
pub(crate) fn unescape(path: &str) -> PathBuf {
    let mut rest = path.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        let octal = (*first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::super::files::fixture::tree;
    use super::*;

    const HYBRID: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    const PURE: &str = "\
30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate
34 23 0:12 / /sys/kernel/tracing rw,relatime - tracefs tracefs rw
";

    #[test]
    fn finds_cgroup2_wherever_it_sits() {
        let found = |mountinfo| mount_point(mountinfo, "cgroup2");
        assert_eq!(found(HYBRID), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(found(PURE), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount_point(HYBRID, "tracefs"), None);
    }

    #[test]
    fn the_deepest_and_latest_mount_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                      2 1 0:2 / /etc rw - tmpfs tmpfs rw\n\
                      3 1 0:3 / /etc rw shared:4 - overlay overlay rw\n\
                      4 1 0:4 / /etc\\040cetera rw - xfs /dev/b rw\n";
        let kind = |path: &str| kind_at(mounts, Path::new(path));
        assert_eq!(kind("/etc/hosts"), Some("overlay"));
        assert_eq!(kind("/etc cetera/x"), Some("xfs"));
        assert_eq!(kind("/home/x"), Some("ext4"));
        assert_eq!(kind_at("", Path::new("/home/x")), None);
    }

    #[test]
    fn prefers_the_whole_hierarchy_to_a_part() {
        let part = "1 0 0:1 /box /inner rw - cgroup2 none rw\n";
        let whole = "2 0 0:1 / /outer rw - cgroup2 none rw\n";
        let found = mount_point(&format!("{part}{whole}"), "cgroup2");
        assert_eq!(found, Some("/outer".into()));
        assert_eq!(mount_point(part, "cgroup2"), Some("/inner".into()));
    }

    #[test]
    fn broken_lines_are_passed_over() {
        let lines = "\n - cgroup2\n1 2 3 / - cgroup2 x rw\nno dash at all\n";
        assert_eq!(mount_point(lines, "cgroup2"), None);
    }

    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(unescape(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        assert_eq!(unescape(r"/a\9z\04"), PathBuf::from(r"/a\9z\04"));
    }

    #[test]
    fn what_is_not_mounted_comes_with_the_command_that_mounts_it() {
        let root = tree(&[
            ("proc/self/mountinfo", HYBRID),
            ("proc/filesystems", "nodev\tproc\nnodev\ttracefs\n\text4\n"),
        ]);
        let files = Files::under(root.path());
        let obstacle = TRACEFS.find(&files).unwrap_err();
        assert!(obstacle.remedy.contains("mount -t tracefs"), "{obstacle}");
        let obstacle = SECURITYFS.find(&files).unwrap_err();
        assert!(
            obstacle.remedy.contains("CONFIG_SECURITYFS=y"),
            "{obstacle}"
        );
    }

    #[test]
    fn without_proc_nothing_is_found_and_it_says_so() {
        let root = tree(&[]);
        let obstacle = CGROUP2.find(&Files::under(root.path())).unwrap_err();
        assert!(obstacle.why.contains("mountinfo"), "{obstacle}");
    }
}
