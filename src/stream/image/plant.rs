//! Faults planted on purpose: a pull that does not find them checks nothing.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

use super::layout::{Damage, Layout};
use super::pull::{Local, Route, erofs_name};
use super::tree::RANDOM_FILES;
use super::{Contents, ImageFailure};
use crate::schema::image::How;

/// Where a fault is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// One bit of the layer in the store.
    Flipped,
    /// The end of the layer in the store.
    Cut,
    /// One bit of what was pulled.
    Local,
}

impl Fault {
    pub(super) const ALL: [Self; 3] = [Self::Flipped, Self::Cut, Self::Local];

    /// What it is, in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Flipped => "a bit of the layer flipped in the store",
            Self::Cut => "the layer cut short in the store",
            Self::Local => "a bit flipped in what was pulled",
        }
    }
}

/// An image of the store, and the tree that it was made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) store: &'a Layout,
    pub(super) name: &'a str,
    pub(super) source: &'a Path,
    pub(super) contents: &'a Contents,
}

impl Subject<'_> {
    /// Plants a fault, pulls, mends it again, and says whether it was found: a damaged
    /// layer refused, a damaged file named.
    pub(super) fn found(
        &self,
        fault: Fault,
        route: Route,
        place: &Path,
    ) -> Result<bool, ImageFailure> {
        if fault == Fault::Local {
            let victim = self.victim()?;
            let local = route.fetch(self.store, self.name, place)?;
            self.damage(&local, victim)?;
            let opened = local.open(victim, place);
            return match opened.and_then(|(tree, _)| Ok(Contents::of(tree.root())?)) {
                Ok(seen) => Ok(self.contents.differences(&seen).iter().any(|p| p == victim)),
                // What can no longer be read does not pass for whole.
                Err(ImageFailure::Io(_)) => Ok(true),
                Err(other) => Err(other),
            };
        }
        let name = match route.how() {
            How::Erofs => erofs_name(self.name),
            How::Tar | How::Composefs => self.name.to_owned(),
        };
        let layer = self.store.layer(&name)?.path().to_owned();
        let whole = fs::read(&layer)?;
        match fault {
            Fault::Cut => fs::write(&layer, &whole[..whole.len() - 1])?,
            _ => flip(&layer, whole.len() as u64 / 2)?,
        }
        let pulled = route.fetch(self.store, self.name, place);
        fs::write(&layer, &whole)?;
        match pulled {
            Err(ImageFailure::Damage(Damage::Digest(_))) => Ok(fault == Fault::Flipped),
            Err(ImageFailure::Damage(Damage::Size { .. })) => Ok(fault == Fault::Cut),
            Err(other) => Err(other),
            Ok(_) => Ok(false),
        }
    }

    /// The file that is damaged where it was pulled to: one that chance made, since of a
    /// real one there may be another that is the same.
    fn victim(&self) -> io::Result<&Path> {
        let victim = self.contents.largest_below(RANDOM_FILES);
        victim.ok_or_else(|| io::Error::other("the image has no random file"))
    }

    /// Flips a bit of the file `victim` where it lies now.
    fn damage(&self, local: &Local, victim: &Path) -> io::Result<()> {
        let wanted = fs::read(self.source.join(victim))?;
        match local {
            Local::PulledTree(tree) => flip(&tree.join(victim), 0),
            Local::Image(image, _) => {
                let whole = fs::read(image)?;
                // The beginning of a file that chance made stands nowhere else.
                let start = &wanted[..wanted.len().min(4096)];
                let at = memmem::find(&whole, start);
                let at = at.ok_or_else(|| io::Error::other("the image lacks a file"))?;
                flip(image, at as u64)
            }
            #[cfg(feature = "composefs")]
            Local::Composefs(pulled, _) => flip(&holding(&pulled.objects, &wanted)?, 0),
        }
    }
}

/// The file below `root` that holds these bytes.
#[cfg(feature = "composefs")]
fn holding(root: &Path, bytes: &[u8]) -> io::Result<std::path::PathBuf> {
    for found in walkdir::WalkDir::new(root) {
        let found = found?;
        if found.file_type().is_file() && fs::read(found.path())? == bytes {
            return Ok(found.into_path());
        }
    }
    Err(io::Error::other("the store lacks a file"))
}

fn flip(path: &Path, at: u64) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)
}
