//! An image of names alone, whose data lie once in a store by what they hold: composefs.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use composefs::INLINE_CONTENT_MAX_V0;
use composefs::fsverity::{Algorithm, FsVerityHashValue, Sha256HashValue};
use composefs::generic_tree::LeafId;
use composefs::repository::{Repository, RepositoryConfig};
use composefs::tree::{Directory, FileSystem, Inode, Leaf, LeafContent, RegularFile, Stat};
use rustix::fs::CWD;
use tar::{Archive, Entry, EntryType};

use super::layer::{carried, inside};

type Store = Repository<Sha256HashValue>;
type ComposefsTree = FileSystem<Sha256HashValue>;

/// Where a pulled image lies: its metadata, and the store that holds its data.
#[derive(Debug)]
pub(super) struct Pulled {
    pub(super) metadata: PathBuf,
    pub(super) objects: PathBuf,
}

/// Takes a layer apart into the store at `root`.
pub(super) fn take(layer: impl Read, root: &Path) -> io::Result<Pulled> {
    // Without fs-verity, which few file systems have switched on: what protects the
    // data then is the digest that they are named by.
    let config = RepositoryConfig::new(Algorithm::for_hash::<Sha256HashValue>()).set_insecure();
    let (store, _) = Store::init_path(CWD, root, config).map_err(io::Error::other)?;
    let mut tree = ComposefsTree::new(stat(0o755, 0, 0));
    let mut names = HashMap::new();
    let mut archive = Archive::new(zstd::Decoder::new(layer)?);
    for entry in archive.entries()? {
        add(&mut tree, &mut names, &store, entry?)?;
    }
    let image = tree.commit_image(&store, None).map_err(io::Error::other)?;
    Ok(Pulled {
        metadata: fs::canonicalize(root.join("images").join(image.to_hex()))?,
        objects: root.join("objects"),
    })
}

fn add(
    tree: &mut ComposefsTree,
    names: &mut HashMap<PathBuf, LeafId>,
    store: &Store,
    mut entry: Entry<'_, impl Read>,
) -> io::Result<()> {
    let path = inside(&entry)?;
    let header = entry.header();
    let kind = header.entry_type();
    let mut about = stat(header.mode()?, header.uid()? as u32, header.gid()? as u32);
    about.st_mtim_sec = header.mtime()? as i64;
    let device = [header.device_major()?, header.device_minor()?];
    let [major, minor] = device.map(|number| u64::from(number.unwrap_or(0)));
    let device = nix::sys::stat::makedev(major, minor);
    let target = entry.link_name()?.map(|target| target.into_owned());
    about.xattrs = carried(&mut entry)?;

    let (directory, name) = parent(&mut tree.root, &path)?;
    let content = match kind {
        EntryType::Directory => {
            let new = Box::new(Directory::new(about));
            directory.insert(&name, Inode::Directory(new));
            return Ok(());
        }
        EntryType::Link => {
            let first = target.and_then(|target| names.get(&target).copied());
            let first = first.ok_or_else(|| {
                io::Error::other(format!("{}: a link to nothing", path.display()))
            })?;
            directory.insert(&name, Inode::leaf(first));
            return Ok(());
        }
        EntryType::Symlink => {
            let target = target.unwrap_or_default();
            LeafContent::Symlink(target.into_os_string().into())
        }
        EntryType::Char => LeafContent::CharacterDevice(device),
        EntryType::Block => LeafContent::BlockDevice(device),
        EntryType::Fifo => LeafContent::Fifo,
        _ => LeafContent::Regular(regular(store, &mut entry)?),
    };
    let leaf = LeafId(tree.leaves.len());
    names.insert(path, leaf);
    directory.insert(&name, Inode::leaf(leaf));
    tree.leaves.push(Leaf {
        stat: about,
        content,
    });
    Ok(())
}

/// What little there is goes beside the name, the rest into the store.
fn regular(
    store: &Store,
    entry: &mut Entry<'_, impl Read>,
) -> io::Result<RegularFile<Sha256HashValue>> {
    let mut data = Vec::with_capacity(entry.size() as usize);
    entry.read_to_end(&mut data)?;
    Ok(if data.len() <= INLINE_CONTENT_MAX_V0 {
        RegularFile::Inline(data.into())
    } else {
        let id = store.ensure_object(&data).map_err(io::Error::other)?;
        RegularFile::External(id, data.len() as u64)
    })
}

/// The directory that a path lies in, and its name there.
fn parent<'t>(
    root: &'t mut Directory<Sha256HashValue>,
    path: &Path,
) -> io::Result<(&'t mut Directory<Sha256HashValue>, Box<OsStr>)> {
    let name = path.file_name().unwrap_or_default();
    let above = path.parent().unwrap_or(Path::new("")).as_os_str();
    let directory = root.get_directory_mut(above);
    Ok((directory.map_err(io::Error::other)?, name.into()))
}

fn stat(mode: u32, user: u32, group: u32) -> Stat {
    Stat {
        st_mode: mode,
        st_uid: user,
        st_gid: group,
        ..Stat::uninitialized()
    }
}
