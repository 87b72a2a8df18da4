//! What one pull came to.

use crate::schema::image::How;

/// One pull of one image and what came of it; times in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct PullTimes {
    pub(super) pull: f64,
    pub(super) mount: f64,
    pub(super) first_read: f64,
    /// Reading everything; none where trees were not read one by one.
    pub(super) read: Option<f64>,
    /// Bytes of files in what was pulled.
    pub(super) bytes: f64,
    /// Bytes of disk for one image.
    pub(super) storage: f64,
}

/// What a figure is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) image: usize,
    pub(super) again: bool,
    pub(super) at_once: usize,
    pub(super) how: How,
}
