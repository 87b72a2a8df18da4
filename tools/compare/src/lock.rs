//! Directories that one command at a time measures in.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::failure::Failure;

/// Holds `file`, which lies at `path`, as long as it is open.
///
/// # Errors
/// Somebody else holds it, who is called `other`, or it cannot be held.
pub fn hold(file: File, path: &Path, other: &str) -> Result<File, Failure> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::at(path, other).remedy("wait for it; two would measure each other"))
        }
        Err(TryLockError::Error(e)) => Err(Failure::at(path, e)),
    }
}
