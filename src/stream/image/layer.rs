//! A layer as most images have it: tar, compressed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};
use tar::{Archive, Builder, Entry, EntryType, Header};
use walkdir::WalkDir;

use super::contents::attributes;

/// What registries compress with unless told otherwise.
const LEVEL: i32 = 3;
/// How an extended attribute is called in a tar's own headers.
pub(super) const ATTRIBUTE: &str = "SCHILY.xattr.";

/// Packs what lies below `tree` into the file `into`.
pub(super) fn pack(tree: &Path, into: &Path) -> io::Result<()> {
    let compressed = zstd::Encoder::new(File::create(into)?, LEVEL)?;
    let mut layer = Builder::new(compressed);
    layer.follow_symlinks(false);
    layer.sparse(false);
    let mut seen: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for found in WalkDir::new(tree).min_depth(1).sort_by_file_name() {
        let found = found?;
        let path = found.path();
        let name = path
            .strip_prefix(tree)
            .expect("it was found below its root");
        let about = found.metadata()?;
        if about.is_file()
            && about.nlink() > 1
            && let Some(first) = seen.insert(about.ino(), name.to_owned())
        {
            seen.insert(about.ino(), first.clone());
            let mut header = Header::new_gnu();
            header.set_metadata(&about);
            header.set_entry_type(EntryType::Link);
            header.set_size(0);
            layer.append_link(&mut header, name, first)?;
            continue;
        }
        let attributes: Vec<(String, Vec<u8>)> = attributes(path)?
            .into_iter()
            .filter_map(|(name, value)| Some((String::from_utf8(name).ok()?, value)))
            .map(|(name, value)| (format!("{ATTRIBUTE}{name}"), value))
            .collect();
        if !attributes.is_empty() {
            let attributes = attributes.iter();
            layer.append_pax_extensions(attributes.map(|(k, v)| (k.as_str(), v.as_slice())))?;
        }
        let kind = about.file_type();
        if kind.is_file() || kind.is_dir() || kind.is_symlink() {
            layer.append_path_with_name(path, name)?;
        } else {
            // The builder would give these the name that they have here.
            let mut header = Header::new_gnu();
            header.set_metadata(&about);
            header.set_device_major(major(about.rdev()) as u32)?;
            header.set_device_minor(minor(about.rdev()) as u32)?;
            layer.append_data(&mut header, name, io::empty())?;
        }
    }
    layer.into_inner()?.finish()?.flush()
}

/// Unpacks a layer into `tree`; nothing of it lands outside.
pub(super) fn unpack(layer: impl Read, tree: &Path) -> io::Result<()> {
    let mut archive = Archive::new(zstd::Decoder::new(layer)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        entry.set_preserve_permissions(true);
        entry.set_unpack_xattrs(true);
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::Char | EntryType::Block | EntryType::Fifo) {
            special(&entry, tree)?;
        } else if !entry.unpack_in(tree)? {
            return Err(outside(&entry));
        }
    }
    Ok(())
}

/// A device or a pipe, which the reader of archives leaves to others.
fn special(entry: &Entry<'_, impl Read>, tree: &Path) -> io::Result<()> {
    let header = entry.header();
    let path = tree.join(inside(entry)?);
    let kind = match header.entry_type() {
        EntryType::Char => SFlag::S_IFCHR,
        EntryType::Block => SFlag::S_IFBLK,
        _ => SFlag::S_IFIFO,
    };
    let numbers = [header.device_major()?, header.device_minor()?];
    let [major, minor] = numbers.map(|number| u64::from(number.unwrap_or(0)));
    let device = makedev(major, minor);
    let mode = header.mode()?;
    mknod(&path, kind, Mode::from_bits_truncate(mode), device)?;
    let [user, group] = [header.uid()?, header.gid()?].map(|id| id as u32);
    chown(&path, Some(user), Some(group))?;
    // Not as the mask of this process has it.
    fs::set_permissions(&path, PermissionsExt::from_mode(mode))
}

/// The path of an entry, which leads nowhere else than down.
pub(super) fn inside(entry: &Entry<'_, impl Read>) -> io::Result<PathBuf> {
    let path = entry.path()?.into_owned();
    let down = path.components();
    if down
        .into_iter()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
    {
        Ok(path)
    } else {
        Err(outside(entry))
    }
}

fn outside(entry: &Entry<'_, impl Read>) -> io::Error {
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    io::Error::other(format!("the layer wants to write outside its tree: {path}"))
}

/// The user attributes that an entry carries.
#[cfg(feature = "composefs")]
pub(super) fn carried(
    entry: &mut Entry<'_, impl Read>,
) -> io::Result<BTreeMap<Box<std::ffi::OsStr>, Box<[u8]>>> {
    let mut all = BTreeMap::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        if let Some(name) = extension.key_bytes().strip_prefix(ATTRIBUTE.as_bytes()) {
            let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name);
            all.insert(name.into(), extension.value_bytes().into());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::{Contents, tree};
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_to_the_last_oddity() {
        let all = tempfile::tempdir().unwrap();
        let [from, into, layer] = ["from", "into", "layer"].map(|name| all.path().join(name));
        tree::make(&from, Path::new("/nowhere"), 100_000, 1).unwrap();
        pack(&from, &layer).unwrap();
        fs::create_dir(&into).unwrap();
        unpack(File::open(&layer).unwrap(), &into).unwrap();
        let [before, after] = [from, into].map(|tree| Contents::of(&tree).unwrap());
        assert_eq!(before.differences(&after), Vec::<PathBuf>::new());
        assert!(before.files() >= 8);
    }

    #[test]
    fn nothing_is_written_outside() {
        let all = tempfile::tempdir().unwrap();
        for (name, kind) in [
            ("../away", EntryType::Fifo),
            ("../away", EntryType::Regular),
        ] {
            let mut layer = Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mode(0o600);
            header.set_uid(0);
            header.set_gid(0);
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            layer.append(&header, io::empty()).unwrap();
            let layer = layer.into_inner().unwrap().finish().unwrap();
            let tree = all.path().join("tree");
            fs::create_dir_all(&tree).unwrap();
            let error = unpack(layer.as_slice(), &tree).unwrap_err().to_string();
            assert!(error.contains("outside its tree: ../away"), "{error}");
            assert!(!all.path().join("away").exists());
        }
    }

    #[test]
    fn a_layer_cut_short_is_an_error() {
        let all = tempfile::tempdir().unwrap();
        let [from, layer] = ["from", "layer"].map(|name| all.path().join(name));
        tree::make(&from, Path::new("/nowhere"), 100_000, 1).unwrap();
        pack(&from, &layer).unwrap();
        let whole = fs::read(&layer).unwrap();
        let into = all.path().join("into");
        fs::create_dir(&into).unwrap();
        assert!(unpack(&whole[..whole.len() / 2], &into).is_err());
    }
}
