//! Files that are whole or not there.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::Builder;

use crate::failure::Failure;

/// Replaces the file at `path` by `bytes` in one step: whoever reads it, even after a
/// crash or a full disk in the middle, finds the old file or the new one.
///
/// # Errors
/// The directory cannot be made, or the file not written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        // As any new file: readable to whom the umask lets.
        let mode = Permissions::from_mode(0o666);
        let mut file = Builder::new().permissions(mode).tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // What the directory says of the file must outlive a crash as well.
        fs::File::open(directory)?.sync_all()
    };
    write().map_err(|e| {
        Failure::at(path, format_args!("cannot write: {e}"))
            .remedy(format!("df -h {} && ls -ld {0}", directory.display()))
    })
}
