//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// A file that has room and rights to be written, and no name before all of it is.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    file: Unnamed,
}

#[derive(Debug)]
enum Unnamed {
    /// Gone with the process, however that ends.
    Anonymous(File),
    /// Where the file system has no such files.
    Temporary(NamedTempFile),
}

impl Pending {
    /// A file that will stand at `path`; its directories are made.
    ///
    /// # Errors
    /// The directory cannot be made, or no file in it, or `path` is a directory.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let open = || {
            if path.is_dir() {
                return Err(ErrorKind::IsADirectory.into());
            }
            let directory = directory(path);
            fs::create_dir_all(directory)?;
            let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
            // As any new file: readable to whom the umask lets.
            Ok(
                match rustix::fs::open(directory, flags, Mode::from(0o666)) {
                    Ok(file) => Unnamed::Anonymous(file.into()),
                    Err(_) => Unnamed::Temporary(named(directory)?),
                },
            )
        };
        let file = open().map_err(|e| cannot_write(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Puts `bytes` at the path in one step: whoever reads it, even after a crash or a full
    /// disk in the middle, finds the old file or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        let Self { path, file } = self;
        let write = || -> io::Result<()> {
            match file {
                Unnamed::Anonymous(mut file) => {
                    file.write_all(bytes)?;
                    file.sync_all()?;
                    give_name(&file, &path)?;
                }
                Unnamed::Temporary(mut file) => {
                    file.write_all(bytes)?;
                    file.as_file().sync_all()?;
                    file.persist(&path)?;
                }
            }
            // What the directory says of the file must outlive a crash as well.
            File::open(directory(&path))?.sync_all()
        };
        write().map_err(|e| cannot_write(&path, e))
    }
}

/// Replaces the file at `path` by `bytes` in one step.
///
/// # Errors
/// The directory cannot be made, or the file not written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    Pending::open(path)?.write(bytes)
}

/// Puts the file at `path`. A name cannot be linked over another, so that it gets one beside
/// it first; one that a kill left there goes.
fn give_name(file: &File, path: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    let _ = fs::remove_file(&beside);
    rustix::fs::linkat(CWD, own, CWD, &beside, AtFlags::SYMLINK_FOLLOW)?;
    fs::rename(&beside, path)
}

fn named(directory: &Path) -> io::Result<NamedTempFile> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    tempfile::Builder::new()
        .permissions(mode)
        .tempfile_in(directory)
}

fn directory(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path, cause: io::Error) -> Failure {
    Failure::at(path, format!("cannot write: {cause}")).remedy(format!(
        "df -h {0} && ls -ld {0}",
        directory(path).display()
    ))
}
