//! Files that are whole or not there.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::{Builder, NamedTempFile};

use crate::host::Obstacle;

/// A file that has room and rights to be written, and no name before all of it is.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    file: Unwritten,
}

#[derive(Debug)]
enum Unwritten {
    /// Gone with the process, however that ends.
    Anonymous(File),
    /// Where the file system has no such files.
    Temporary(NamedTempFile),
    /// A device or a pipe: it is written to, and stays what it is.
    Device(File),
}

impl Pending {
    /// A file that will stand at `path`, or where a link there leads; its directories are
    /// made. What is there and no file, such as `/dev/null`, is written to as it is.
    ///
    /// # Errors
    /// The directory cannot be made, or no file in it, or `path` is a directory.
    pub fn open(path: &Path) -> Result<Self, Obstacle> {
        let target = match path.is_symlink() {
            true => path.canonicalize().unwrap_or(path.to_owned()),
            false => path.to_owned(),
        };
        let open = || {
            match fs::metadata(path) {
                Ok(there) if there.is_dir() => return Err(ErrorKind::IsADirectory.into()),
                Ok(there) if !there.is_file() => {
                    let device = OpenOptions::new().write(true).open(path)?;
                    return Ok(Unwritten::Device(device));
                }
                _ => {}
            }
            let directory = directory(&target);
            fs::create_dir_all(directory)?;
            let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
            // As any new file: readable to whom the umask lets.
            Ok(
                match rustix::fs::open(directory, flags, Mode::from(0o666)) {
                    Ok(file) => Unwritten::Anonymous(file.into()),
                    Err(_) => Unwritten::Temporary(named(directory)?),
                },
            )
        };
        let file = open().map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: target, file })
    }

    /// Puts `bytes` at the path in one step: whoever reads it, even after a crash or a full
    /// disk in the middle, finds the old file or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(self, bytes: &[u8]) -> Result<(), Obstacle> {
        let Self { path, file } = self;
        let write = || -> io::Result<()> {
            match file {
                Unwritten::Device(mut device) => return device.write_all(bytes),
                Unwritten::Anonymous(mut file) => {
                    file.write_all(bytes)?;
                    file.sync_all()?;
                    give_name(&file, &path)?;
                }
                Unwritten::Temporary(mut file) => {
                    file.write_all(bytes)?;
                    file.as_file().sync_all()?;
                    file.persist(&path)?;
                }
            }
            // What the directory says of the file must outlive a crash as well.
            File::open(directory(&path))?.sync_all()
        };
        write().map_err(|error| unwritable(&path, &error))
    }
}

/// Replaces the file at `path` by `bytes` in one step. Makes its directory.
///
/// # Errors
/// The directory cannot be made, or the file not written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Obstacle> {
    Pending::open(path)?.write(bytes)
}

/// Makes a directory that files are to be written into, and sees that they can be:
/// before minutes of measuring, not after.
///
/// # Errors
/// It cannot be made, or not be written into.
pub fn make_directory(directory: &Path) -> Result<(), Obstacle> {
    let probe = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        tempfile::tempfile_in(directory).map(drop)
    };
    probe().map_err(|error| unwritable(directory, &error))
}

/// Writes a document in place of the file at `path`, as JSON for people to read, too.
///
/// # Errors
/// As [`replace`].
pub fn write_json(path: &Path, document: &impl Serialize) -> Result<(), Obstacle> {
    let mut json = serde_json::to_vec_pretty(document).expect("documents are plain data");
    json.push(b'\n');
    replace(path, &json)
}

/// Reads a document. `again` is the command that makes it.
///
/// # Errors
/// The file cannot be read, or is no such document: the field is named.
pub fn read_json<T: DeserializeOwned>(path: &Path, again: &str) -> Result<T, Obstacle> {
    let obstacle = |cause: String| {
        let why = format!("{}: {cause}", path.display());
        Obstacle::new(why, format!("make it anew: {again}"))
    };
    let text = fs::read_to_string(path).map_err(|error| obstacle(error.to_string()))?;
    let mut reader = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| obstacle(format!("{}: {}", error.path(), error.inner())))
}

/// Bytes as digests are written: two lower-case digits each.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is to be said of a place that cannot be written.
pub fn unwritable(path: &Path, error: &io::Error) -> Obstacle {
    let directory = directory(path).display();
    Obstacle::new(
        format!("{} cannot be written: {error}", path.display()),
        format!(
            "name another place, or see what is wrong with this one: df -h {directory} && ls -ld {directory}"
        ),
    )
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
    let mode = Permissions::from_mode(0o666);
    Builder::new().permissions(mode).tempfile_in(directory)
}

fn directory(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::thread;

    #[test]
    fn a_pipe_is_written_to_and_a_link_leads_on() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::from(0o600)).unwrap();
        symlink("pipe", at("to_pipe")).unwrap();
        for name in ["pipe", "to_pipe"] {
            let pipe = at("pipe");
            let reader = thread::spawn(move || fs::read(pipe));
            replace(&at(name), name.as_bytes()).unwrap();
            let there = fs::symlink_metadata(at("pipe")).unwrap();
            assert!(there.file_type().is_fifo() && at("to_pipe").is_symlink());
            assert_eq!(reader.join().unwrap().unwrap(), name.as_bytes());
        }
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/file"), "one").unwrap();
        symlink("sub/file", at("to_file")).unwrap();
        replace(&at("to_file"), b"two").unwrap();
        assert!(at("to_file").is_symlink());
        assert_eq!(fs::read(at("sub/file")).unwrap(), b"two");
    }

    #[test]
    fn a_file_is_replaced_whole_and_as_readable_as_any() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/file.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let other = directory.path().join("other");
        fs::write(&other, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_document_that_lacks_a_field_is_named_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("interval.json");
        write_json(
            &path,
            &serde_json::json!({"est": 1.0, "lo": "x", "hi": 2.0}),
        )
        .unwrap();
        let read = read_json::<crate::stats::Interval>(&path, "make it");
        let obstacle = read.unwrap_err();
        assert!(obstacle.why.contains("interval.json: lo: "), "{obstacle}");
        assert!(obstacle.remedy.contains("make it"), "{obstacle}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_before_anything_is_measured() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let below = file.path().join("results");
        let obstacle = make_directory(&below).unwrap_err();
        assert!(
            obstacle.why.contains("results cannot be written"),
            "{obstacle}"
        );
    }
}
