//! Finds results below a directory, on all cores.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::failure::Failure;

/// What lies below a directory.
#[derive(Debug, Default)]
pub struct Found {
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
pub fn walk(dir: &Path) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut below = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| Failure::at(dir, e))? {
        let entry = entry.map_err(|e| Failure::at(dir, e))?;
        let path = entry.path();
        let mut kind = entry.file_type().map_err(|e| Failure::at(&path, e))?;
        if kind.is_symlink() {
            refuse_loop(dir, &path)?;
            kind = fs::metadata(&path)
                .map_err(|e| Failure::at(&path, e))?
                .file_type();
        }
        let name = entry.file_name();
        if kind.is_dir() {
            if name == "new" && is_result(&path) {
                found.criterion.push(path);
            } else {
                below.push(path);
            }
        } else if name == "summary.json" {
            found.summaries.push(path);
        }
    }
    let deeper: Vec<Found> = below
        .par_iter()
        .map(|d| walk(d))
        .collect::<Result<_, _>>()?;
    for mut found_below in deeper {
        found.criterion.append(&mut found_below.criterion);
        found.summaries.append(&mut found_below.summaries);
    }
    Ok(found)
}

/// Whether a directory named `new` is a result, and not a benchmark of that name.
fn is_result(dir: &Path) -> bool {
    ["benchmark.json", "sample.json", "estimates.json"]
        .iter()
        .any(|file| dir.join(file).exists())
}

fn refuse_loop(dir: &Path, link: &Path) -> Result<(), Failure> {
    let target = link.canonicalize().map_err(|e| Failure::at(link, e))?;
    let here = dir.canonicalize().map_err(|e| Failure::at(dir, e))?;
    if here.starts_with(&target) {
        return Err(
            Failure::at(link, "a symbolic link that leads back to where it lies")
                .remedy(format!("rm {}", link.display())),
        );
    }
    Ok(())
}
