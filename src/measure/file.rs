//! Files that are whole or not there.

use std::io::Write;
use std::path::Path;

use crate::host::Obstacle;

/// Replaces the file at `path` by `bytes` in one step.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Obstacle> {
    let write = || -> std::io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| unwritable(path, &error))
}

/// Makes a directory that files are to be written into.
pub fn make_directory(directory: &Path) -> Result<(), Obstacle> {
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Obstacle {
    Obstacle::new(
        format!("{} cannot be written: {error}", path.display()),
        "name another directory with --out",
    )
}
