//! What the mechanisms of the streams have to reach.

use serde::Deserialize;

/// Images from a store to a tree that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The most time a pull may take by EROFS, as a share of what unpacking takes.
    pub vs_tar: f64,
    /// The same, of what composefs takes.
    pub vs_composefs: f64,
}
