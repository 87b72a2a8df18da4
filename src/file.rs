//! Files that are whole or not there.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::Builder;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::Obstacle;

/// Replaces the file at `path` by `bytes` in one step: whoever reads it, even after a
/// crash or a full disk in the middle, finds the old file or the new one. Makes its
/// directory.
///
/// # Errors
/// The directory cannot be made, or the file not written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Obstacle> {
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
    write().map_err(|error| unwritable(path, &error))
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

fn unwritable(path: &Path, error: &io::Error) -> Obstacle {
    let place = path.display();
    Obstacle::new(
        format!("{place} cannot be written: {error}"),
        format!("name another directory, or see what is wrong with this one: df -h {place}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
