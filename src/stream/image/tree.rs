//! The tree that an image is made of: real files, random data, and what trips programs up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use walkdir::WalkDir;

/// The part of the bytes that is taken from real files; the rest is random.
const REAL: f64 = 0.5;
/// The directory of the random files, of which no two are alike.
pub(super) const RANDOM_FILES: &str = "random";
/// Random files are from the one to the other in size, evenly by their logarithm.
const RANDOM: [f64; 2] = [4e3, 8e6];

/// Makes a tree of about `bytes` in `into`: one half files of `from`, in the order of
/// their names, one half random by `seed`.
pub(super) fn make(into: &Path, from: &Path, bytes: u64, seed: u64) -> io::Result<()> {
    fs::create_dir_all(into)?;
    let real = copy(from, &into.join("real"), (bytes as f64 * REAL) as u64)?;
    random(&into.join(RANDOM_FILES), bytes.saturating_sub(real), seed)?;
    oddities(&into.join("odd"))
}

/// Copies regular files until `bytes` are reached; gives how many it copied.
fn copy(from: &Path, into: &Path, bytes: u64) -> io::Result<u64> {
    fs::create_dir_all(into)?;
    let mut copied = 0;
    for found in WalkDir::new(from).sort_by_file_name() {
        // What cannot be read is not for this tree.
        let Ok(found) = found else { continue };
        let Ok(about) = found.metadata() else {
            continue;
        };
        if !about.is_file() || copied + about.len() > bytes {
            continue;
        }
        let path = found.path();
        let to = into.join(
            path.strip_prefix(from)
                .expect("it was found below its root"),
        );
        fs::create_dir_all(to.parent().unwrap_or(into))?;
        if fs::copy(path, to).is_ok() {
            copied += about.len();
        }
        if copied as f64 > 0.99 * bytes as f64 {
            break;
        }
    }
    Ok(copied)
}

fn random(into: &Path, bytes: u64, seed: u64) -> io::Result<()> {
    fs::create_dir_all(into)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let [low, high] = RANDOM.map(f64::ln);
    let mut left = bytes;
    for number in 0.. {
        if left == 0 {
            break;
        }
        let size = ((low + (high - low) * rng.f64()).exp() as u64).min(left);
        let mut data = vec![0; size as usize];
        rng.fill(&mut data);
        File::create(into.join(format!("{number:05}")))?.write_all(&data)?;
        left -= size;
    }
    Ok(())
}

/// Links of both kinds, long names, attributes, nothing at all, and devices where this
/// user may make them.
fn oddities(into: &Path) -> io::Result<()> {
    let deep = into.join("deep/".repeat(40));
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("far away"), "found")?;
    // Of 255 bytes, mkfs.erofs 1.5 loses the last.
    fs::write(into.join("n".repeat(254)), "a long name")?;
    fs::write(into.join("empty"), "")?;
    fs::write(into.join("not ascii: é"), "a name")?;
    let many = "some words that several names lead to; ".repeat(100);
    fs::write(into.join("one name"), many)?;
    fs::hard_link(into.join("one name"), into.join("another name"))?;
    symlink("one name", into.join("link"))?;
    symlink("/nowhere/at all", into.join("dangling"))?;
    let none = rustix::fs::XattrFlags::empty();
    let marked = into.join("marked");
    fs::write(&marked, "with an attribute")?;
    match rustix::fs::setxattr(&marked, "user.probecost", b"\x00\xffseen", none) {
        Ok(()) | Err(rustix::io::Errno::NOTSUP) => {}
        Err(error) => return Err(error.into()),
    }
    let mode = Mode::from_bits_truncate(0o640);
    mknod(&into.join("pipe"), SFlag::S_IFIFO, mode, 0)?;
    match mknod(&into.join("null"), SFlag::S_IFCHR, mode, makedev(1, 3)) {
        Ok(()) | Err(nix::Error::EPERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Contents;
    use super::*;

    #[test]
    fn a_tree_is_as_large_as_was_asked_and_the_same_by_its_seed() {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for number in 0..100 {
            fs::write(from.path().join(format!("{number}")), vec![b'x'; 10_000]).unwrap();
        }
        let trees = ["one", "two"].map(|name| {
            let tree = into.path().join(name);
            make(&tree, from.path(), 1_000_000, 7).unwrap();
            Contents::of(&tree).unwrap()
        });
        assert_eq!(trees[0], trees[1]);
        let off = trees[0].bytes().abs_diff(1_000_000);
        assert!(off < 20_000, "{} bytes", trees[0].bytes());
    }
}
