//! Finds results below a directory.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::failure::Failure;

/// What lies below a directory.
#[derive(Debug, Default)]
pub struct ResultPaths {
    /// Directories that hold the newest result of a Criterion benchmark.
    pub criterion: Vec<PathBuf>,
    /// Files that gungraun or iai-callgrind may have written.
    pub summaries: Vec<PathBuf>,
}

/// Everything below `dir`. Symbolic links are followed.
///
/// # Errors
/// A directory that cannot be listed, or a symbolic link that leads back to a
/// directory it lies in.
pub fn walk(dir: &Path) -> Result<ResultPaths, Failure> {
    let mut found = ResultPaths::default();
    let mut entries = WalkDir::new(dir).follow_links(true).into_iter();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(|e| unlistable(dir, e))?;
        let name = entry.file_name();
        if entry.depth() > 0 && entry.file_type().is_dir() {
            if name == "new" && is_result(entry.path()) {
                found.criterion.push(entry.into_path());
                entries.skip_current_dir();
            }
        } else if name == "summary.json" {
            found.summaries.push(entry.into_path());
        }
    }
    Ok(found)
}

/// Whether a directory named `new` is a result, and not a benchmark of that name.
fn is_result(dir: &Path) -> bool {
    ["benchmark.json", "sample.json", "estimates.json"]
        .iter()
        .any(|file| dir.join(file).exists())
}

fn unlistable(dir: &Path, error: walkdir::Error) -> Failure {
    let place = error.path().unwrap_or(dir).to_owned();
    if error.loop_ancestor().is_some() {
        return Failure::at(&place, "a symbolic link that leads back to where it lies")
            .remedy(format!("rm {}", place.display()));
    }
    match error.into_io_error() {
        Some(cause) => Failure::at(&place, cause),
        None => Failure::at(&place, "cannot be listed"),
    }
}
