//! A process that touches the pages of a file at random.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{Advice, fadvise};

use crate::experiment::die_with_parent;

pub(super) const PAGE: u64 = 4096;
/// Pages touched between two looks at what is asked of it.
const STRETCH: u64 = 64;

/// What such a process is told; not for people.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadPart {
    /// The file
    #[arg(long)]
    pub file: PathBuf,
    /// Where it says how many pages it has touched
    #[arg(long)]
    pub progress: PathBuf,
    /// Where it is told how many pages it may keep
    #[arg(long)]
    pub pages: PathBuf,
}

/// Touches pages until it is killed, once a line came on standard input.
///
/// # Errors
/// One of the files cannot be read or written.
pub fn touch(part: &LoadPart) -> io::Result<()> {
    die_with_parent()?;
    io::stdin().read_exact(&mut [0])?;
    let file = File::open(&part.file)?;
    fadvise(&file, 0, None, Advice::Random)?;
    let [progress, pages] = [&part.progress, &part.pages]
        .map(|path| OpenOptions::new().read(true).write(true).open(path));
    let (progress, pages) = (progress?, pages?);
    let mut rng = fastrand::Rng::new();
    let mut page = [0; PAGE as usize];
    let (mut touched, mut kept) = (0_u64, 0);
    loop {
        let now = read_number(&pages)?.max(1);
        if now < kept {
            fadvise(&file, now * PAGE, None, Advice::DontNeed)?;
        }
        kept = now;
        for _ in 0..STRETCH {
            file.read_exact_at(&mut page, rng.u64(0..kept) * PAGE)?;
        }
        touched += STRETCH;
        write_number(&progress, touched)?;
    }
}

/// The number that a file holds.
pub(super) fn read_number(file: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Has a file hold a number.
pub(super) fn write_number(file: &File, number: u64) -> io::Result<()> {
    file.write_all_at(&number.to_le_bytes(), 0)
}
