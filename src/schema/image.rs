//! `image.json`: how long an image takes from a store to a tree that can be read.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Finding, Host, Provenance};
use crate::stats::Interval;

/// The version of this layout.
pub const SCHEMA: u32 = 1;

/// The file's name.
pub const FILE: &str = "image.json";

/// Pulls of the same images in several ways, interleaved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImageReport {
    /// The version of this layout: 1.
    pub schema: u32,
    /// Where this document comes from.
    pub provenance: Provenance,
    /// The machine.
    pub host: Host,
    /// How it was measured.
    pub settings: ImageSettings,
    /// What was pulled.
    pub images: Vec<Made>,
    /// The ways, and how this kernel mounts each.
    pub ways: Vec<PullWay>,
    /// What pulls took.
    pub pulls: Vec<Pulls>,
    /// Every limit and what became of it.
    pub rows: Vec<Finding>,
}

/// How pulls were measured; the same settings and seed give the same order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImageSettings {
    /// Rounds; each pulls every image once in every way, and by tar a second time.
    pub rounds: usize,
    /// Whether the page cache was dropped before every pull and before its tree was read.
    pub cold: bool,
    /// The seed of random data and of the order.
    pub seed: u64,
    /// Where the real files come from.
    pub tree: String,
    /// The file system that store and pulled images lie on.
    pub file_system: String,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Its name, e.g. `50 MB`.
    pub image: String,
    /// Bytes in its files.
    pub bytes: u64,
    /// Its regular files, by every name.
    pub files: usize,
    /// The layer as tar.zst, in bytes: what tar and composefs pull.
    pub tar_bytes: u64,
    /// The layer as EROFS, in bytes.
    pub erofs_bytes: u64,
    /// Seconds that packing the tar took.
    pub tar_seconds: f64,
    /// Seconds that packing the EROFS took.
    pub erofs_seconds: f64,
}

/// From a store to a tree that can be read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// A compressed layer is unpacked.
    Tar,
    /// An EROFS image is mounted.
    Erofs,
    /// A compressed layer is taken apart into a store of contents, over which an EROFS
    /// of names and an overlay are mounted.
    Composefs,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tar => "tar",
            Self::Erofs => "erofs",
            Self::Composefs => "composefs",
        })
    }
}

/// Whether a way can be gone here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PullWay {
    /// The way.
    pub how: How,
    /// By what the kernel does it; none where it does not.
    pub by: Option<String>,
    /// Why not, or why not better; empty where nothing is missing.
    pub reason: String,
}

/// The pulls of one image in one way. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pulls {
    /// The image.
    pub image: String,
    /// The way.
    pub how: How,
    /// Pulls at the same time.
    pub at_once: usize,
    /// Whether all of it was there already, and only had to be mounted.
    pub again: bool,
    /// Observations.
    pub observations: usize,
    /// From the store to a tree, of all that were pulled at once.
    pub pull_ms: Option<Interval>,
    /// The part of it that is mounting.
    pub mount_ms: Option<Interval>,
    /// From the beginning of the pull to the first bytes of a file.
    pub first_read_ms: Option<Interval>,
    /// Reading every file of the tree afterwards.
    pub read_ms: Option<Interval>,
    /// Megabytes (10^6 bytes) of files by the second of pulling.
    pub pull_mb_s: Option<Interval>,
    /// Megabytes by the second of reading.
    pub read_mb_s: Option<Interval>,
    /// Megabytes of disk that one pulled image takes.
    pub storage_mb: Option<f64>,
}
