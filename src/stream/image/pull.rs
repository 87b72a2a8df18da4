//! One pull: from the store to a tree that can be read.

use std::error::Error as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use super::layout::{Layer, Layout};
use super::mount::{Backing, Mounted};
use super::{ImageFailure, layer};
use crate::schema::image::How;

/// How many bytes the first read of a tree asks for.
const FIRST: u64 = 4096;

/// A way that this machine can go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    Tar,
    Erofs(Backing),
    #[cfg(feature = "composefs")]
    Composefs(Backing),
}

/// An image as it lies here once it was pulled.
#[derive(Debug)]
pub(super) enum Local {
    /// A tree of its own files.
    PulledTree(PathBuf),
    /// A file to mount.
    Image(PathBuf, Backing),
    /// Names to mount over a store of contents.
    #[cfg(feature = "composefs")]
    Composefs(super::composefs::Pulled, Backing),
}

/// A tree that can be read, for as long as this is kept.
#[derive(Debug)]
pub(super) struct PulledTree {
    root: PathBuf,
    // Dropped in this order: what lies on top first.
    _mounts: Vec<Mounted>,
}

/// What a pull took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    /// In all.
    pub(super) pull: Duration,
    /// Mounting alone.
    pub(super) mount: Duration,
    /// From the beginning to the first bytes of a file.
    pub(super) first_read: Duration,
}

impl Route {
    pub(super) fn how(self) -> How {
        match self {
            Self::Tar => How::Tar,
            Self::Erofs(_) => How::Erofs,
            #[cfg(feature = "composefs")]
            Self::Composefs(_) => How::Composefs,
        }
    }

    /// Brings the image `name` of the store into `place`; what it was is checked.
    pub(super) fn fetch(
        self,
        store: &Layout,
        name: &str,
        place: &Path,
    ) -> Result<Local, ImageFailure> {
        fs::create_dir_all(place)?;
        Ok(match self {
            Self::Tar => {
                let tree = place.join("tree");
                fs::create_dir(&tree)?;
                take(store.layer(name)?, |layer| layer::unpack(layer, &tree))?;
                Local::PulledTree(tree)
            }
            Self::Erofs(backing) => {
                let image = place.join("image");
                take(store.layer(&erofs_name(name))?, |layer| {
                    io::copy(layer, &mut File::create(&image)?).map(drop)
                })?;
                Local::Image(image, backing)
            }
            #[cfg(feature = "composefs")]
            Self::Composefs(backing) => {
                let root = place.join("composefs");
                let take_apart = |layer: &mut Layer| super::composefs::take(layer, &root);
                Local::Composefs(take(store.layer(name)?, take_apart)?, backing)
            }
        })
    }

    /// Pulls the image into `place` and reads from the file `first` of it.
    pub(super) fn pull(
        self,
        store: &Layout,
        name: &str,
        first: &Path,
        place: &Path,
    ) -> Result<(PulledTree, Took), ImageFailure> {
        let begin = Instant::now();
        let local = self.fetch(store, name, place)?;
        let (tree, took) = local.open(first, place)?;
        let fetched = begin.elapsed() - took.first_read;
        Ok((
            tree,
            Took {
                pull: fetched + took.pull,
                mount: took.mount,
                first_read: fetched + took.first_read,
            },
        ))
    }
}

/// The name in the store of the image `name` as EROFS.
pub(super) fn erofs_name(name: &str) -> String {
    format!("{name}, erofs")
}

/// Does something with a layer, and says whether it was the right one before it says
/// what else went wrong.
fn take<T>(
    mut layer: Layer,
    what: impl FnOnce(&mut Layer) -> io::Result<T>,
) -> Result<T, ImageFailure> {
    let done = what(&mut layer);
    layer.check()?;
    done.map_err(|error| ImageFailure::Io(with_causes(&error)))
}

/// An error with what lies behind it: what unpacks says only which file it was.
fn with_causes(error: &io::Error) -> io::Error {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes = causes.map(|cause| format!(": {cause}"));
    io::Error::new(
        error.kind(),
        format!("{error}{}", causes.collect::<String>()),
    )
}

impl Local {
    /// Mounts it below `place` and reads from the file `first`.
    pub(super) fn open(
        &self,
        first: &Path,
        place: &Path,
    ) -> Result<(PulledTree, Took), ImageFailure> {
        let begin = Instant::now();
        let (root, mounts) = match self {
            Self::PulledTree(tree) => {
                let at = point(place, "mnt")?;
                let mounted = Mounted::bound(tree, &at)?;
                (at, vec![mounted])
            }
            Self::Image(image, backing) => {
                let at = point(place, "mnt")?;
                let mounted = Mounted::erofs(image, *backing, &at)?;
                (at, vec![mounted])
            }
            #[cfg(feature = "composefs")]
            Self::Composefs(pulled, backing) => {
                let [names, at] = [point(place, "names")?, point(place, "mnt")?];
                let below = Mounted::erofs(&pulled.metadata, *backing, &names)?;
                let options = format!(
                    "metacopy=on,redirect_dir=on,lowerdir={}::{}",
                    below.path().display(),
                    pulled.objects.display()
                );
                let above = Mounted::overlay(&options, &at)?;
                (at, vec![above, below])
            }
        };
        let mount = begin.elapsed();
        let mut bytes = Vec::with_capacity(FIRST as usize);
        File::open(root.join(first))?
            .take(FIRST)
            .read_to_end(&mut bytes)?;
        Ok((
            PulledTree {
                root,
                _mounts: mounts,
            },
            Took {
                pull: mount,
                mount,
                first_read: begin.elapsed(),
            },
        ))
    }
}

impl PulledTree {
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads every file; gives the bytes and the time.
    pub(super) fn read(&self) -> io::Result<(u64, Duration)> {
        let begin = Instant::now();
        let mut buffer = vec![0; 128 << 10];
        let mut bytes = 0;
        for found in WalkDir::new(&self.root) {
            let found = found?;
            if !found.file_type().is_file() {
                continue;
            }
            let mut file = File::open(found.path())?;
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    length => bytes += length as u64,
                }
            }
        }
        Ok((bytes, begin.elapsed()))
    }
}

/// Bytes of disk that everything below `place` takes, each file once; mounts left out.
pub(super) fn storage(place: &Path) -> io::Result<u64> {
    let mut seen = std::collections::HashSet::new();
    let mut bytes = 0;
    for found in WalkDir::new(place).same_file_system(true) {
        let about = found?.metadata()?;
        if seen.insert((about.dev(), about.ino())) {
            bytes += about.blocks() * 512;
        }
    }
    Ok(bytes)
}

fn point(place: &Path, name: &str) -> io::Result<PathBuf> {
    let at = place.join(name);
    fs::create_dir_all(&at)?;
    Ok(at)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use oci_spec::image::MediaType;

    use super::super::tree;
    use super::*;

    /// Something done with a layer and a file.
    type Taking = fn(&mut Layer, &Path) -> io::Result<()>;

    #[test]
    fn what_this_machine_cannot_hold_is_no_damage_of_the_layer() {
        let all = tempfile::tempdir().unwrap();
        let [source, file, root] = ["source", "layer", "store"].map(|name| all.path().join(name));
        tree::make(&source, Path::new("/nowhere"), 100_000, 1).unwrap();
        layer::pack(&source, &file).unwrap();
        let store = Layout::create(&root).unwrap();
        store
            .add("image", MediaType::ImageLayerZstd, &file)
            .unwrap();
        // The store has taken it.
        fs::write(&file, "").unwrap();
        let cases: [(Taking, &str); 2] = [
            (
                |layer, _| {
                    let mut full = OpenOptions::new().write(true).open("/dev/full")?;
                    io::copy(layer, &mut full).map(drop)
                },
                "No space left on device",
            ),
            // The cause of the cause.
            (|layer, file| layer::unpack(layer, file), "Not a directory"),
        ];
        for (what, cause) in cases {
            let layer = store.layer("image").unwrap();
            let failed = take(layer, |layer| what(layer, &file)).unwrap_err();
            assert!(matches!(failed, ImageFailure::Io(_)), "{failed:?}");
            assert!(failed.to_string().contains(cause), "{failed}");
        }
    }
}
