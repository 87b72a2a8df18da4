//! How long an image takes from a store to a tree that can be read: unpacked from a
//! compressed tar, mounted as EROFS, or mounted as composefs.

#[cfg(feature = "composefs")]
mod composefs;
mod contents;
mod erofs;
mod judge;
mod layer;
mod layout;
mod measure;
mod mount;
mod observation;
mod plant;
mod pull;
mod tree;

use std::io;
use std::path::PathBuf;

pub use contents::Contents;
pub use layout::{Damage, Layout};
pub use measure::measure;
pub use mount::own_namespace;

use crate::host::Obstacle;

/// `probecost image`
#[derive(Debug, Clone, clap::Args)]
pub struct ImageArgs {
    /// Sizes of the images, in megabytes
    #[arg(long, value_name = "MB", value_delimiter = ',', default_values_t = [50, 100, 200],
          value_parser = clap::value_parser!(u64).range(1..=2000))]
    pub sizes: Vec<u64>,
    /// Rounds: in each, every image is pulled in every way
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub rounds: u32,
    /// How many pulls at once, besides one alone
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub at_once: u32,
    /// How often the same image is mounted again
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub again: u32,
    /// Drop the page cache of the whole machine before each pull and each reading
    #[arg(long)]
    pub cold: bool,
    /// Where the real files of the images come from
    #[arg(long, value_name = "DIR", default_value = "/usr")]
    pub tree: PathBuf,
    /// Where store and images lie meanwhile; its file system is what is measured
    #[arg(long, value_name = "DIR", default_value = "target/image")]
    pub dir: PathBuf,
    /// The seed of random data and of the order
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Why a pull came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImageFailure {
    /// What lies in the store is not what it should be.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// Something about this machine.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// Reading or writing.
    #[error("a file of the images cannot be read or written: {0}; see that --dir has room: df -h")]
    Io(#[from] io::Error),
}
