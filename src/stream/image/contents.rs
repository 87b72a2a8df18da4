//! What a tree of files holds, down to the last bit of every file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

/// Everything below a directory, by its path there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents(BTreeMap<PathBuf, Entry>);

/// One file of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    /// Extended attributes that anyone may set.
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Regular {
        bytes: u64,
        sha256: [u8; 32],
        links: u64,
    },
    Directory,
    Link(PathBuf),
    /// A device, a pipe or a socket.
    Special {
        device: u64,
    },
}

impl Contents {
    /// What lies below `root`; every byte of it is read.
    pub fn of(root: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        for found in WalkDir::new(root).min_depth(1) {
            let found = found?;
            let path = found
                .path()
                .strip_prefix(root)
                .expect("it was found below its root");
            entries.insert(path.to_owned(), Entry::of(found.path())?);
        }
        Ok(Self(entries))
    }

    /// Regular files, those of several names once for each.
    pub fn files(&self) -> usize {
        self.regular().count()
    }

    /// Bytes in them.
    pub fn bytes(&self) -> u64 {
        self.regular().map(|(_, bytes)| bytes).sum()
    }

    /// The largest regular file.
    pub fn largest(&self) -> Option<&Path> {
        self.largest_below("")
    }

    /// The largest regular file below a directory.
    pub(super) fn largest_below(&self, place: &str) -> Option<&Path> {
        let below = self.regular().filter(|(path, _)| path.starts_with(place));
        let largest = below.max_by_key(|(_, bytes)| *bytes);
        largest.map(|(path, _)| path)
    }

    fn regular(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.0.iter().filter_map(|(path, entry)| match entry.kind {
            Kind::Regular { bytes, .. } => Some((path.as_path(), bytes)),
            _ => None,
        })
    }

    /// Paths at which `other` holds something else, or nothing, or which it alone has.
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let here = self.0.iter();
        let wrong = here.filter(|(path, entry)| other.0.get(*path) != Some(entry));
        let added = other.0.keys().filter(|path| !self.0.contains_key(*path));
        wrong.map(|(path, _)| path).chain(added).cloned().collect()
    }
}

impl Entry {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::symlink_metadata(path)?;
        let kind = about.file_type();
        let special = kind.is_block_device() || kind.is_char_device();
        let kind = if kind.is_file() {
            Kind::Regular {
                bytes: about.len(),
                sha256: sha256(path)?,
                links: about.nlink(),
            }
        } else if kind.is_dir() {
            Kind::Directory
        } else if kind.is_symlink() {
            Kind::Link(fs::read_link(path)?)
        } else {
            Kind::Special {
                device: if special { about.rdev() } else { 0 },
            }
        };
        Ok(Self {
            kind,
            mode: about.mode(),
            owner: (about.uid(), about.gid()),
            attributes: attributes(path)?,
        })
    }
}

/// The extended attributes of the `user` namespace.
pub(super) fn attributes(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = names[..length].split(|byte| *byte == 0);
    let mut attributes = BTreeMap::new();
    for name in names.filter(|name| name.starts_with(b"user.")) {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value)?;
        value.truncate(length);
        attributes.insert(name.to_owned(), value);
    }
    Ok(attributes)
}

fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A change of a tree.
    type FileEdit = fn(&Path) -> io::Result<()>;

    #[test]
    fn each_kind_of_difference_is_found_and_named() {
        let changes: [(&str, FileEdit); 7] = [
            ("file", |root| fs::write(root.join("file"), "other words")),
            ("file", |root| {
                fs::set_permissions(root.join("file"), PermissionsExt::from_mode(0o600))
            }),
            ("link", |root| {
                fs::remove_file(root.join("link"))?;
                std::os::unix::fs::symlink("elsewhere", root.join("link"))
            }),
            ("directory", |root| fs::remove_dir(root.join("directory"))),
            ("more", |root| fs::write(root.join("more"), "")),
            ("file", |root| {
                let none = rustix::fs::XattrFlags::empty();
                Ok(rustix::fs::setxattr(
                    root.join("file"),
                    "user.seen",
                    b"x",
                    none,
                )?)
            }),
            ("link", |root| fs::remove_file(root.join("link"))),
        ];
        for (path, change) in changes {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join("file"), "some words!").unwrap();
            fs::create_dir(root.path().join("directory")).unwrap();
            std::os::unix::fs::symlink("file", root.path().join("link")).unwrap();
            let before = Contents::of(root.path()).unwrap();
            assert_eq!(before.differences(&before), Vec::<PathBuf>::new());
            change(root.path()).unwrap();
            let after = Contents::of(root.path()).unwrap();
            assert_eq!(before.differences(&after), [Path::new(path)], "{path}");
        }
    }

    #[test]
    fn a_hard_link_that_became_a_copy_is_a_difference() {
        let root = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| root.path().join(name));
        fs::write(&one, "same").unwrap();
        fs::hard_link(&one, &two).unwrap();
        let linked = Contents::of(root.path()).unwrap();
        assert_eq!((linked.files(), linked.bytes()), (2, 8));
        fs::remove_file(&two).unwrap();
        fs::copy(&one, &two).unwrap();
        let copied = Contents::of(root.path()).unwrap();
        assert_eq!(linked.differences(&copied).len(), 2);
    }
}
