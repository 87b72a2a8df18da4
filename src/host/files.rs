//! The files under `/proc` and `/sys`, below a root that tests can replace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file without which this machine cannot be described.
#[derive(Debug, Error)]
#[error("cannot read {}: {cause}; is /proc mounted? mount -t proc proc /proc", path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// What the kernel said, or what the file lacks.
    #[source]
    pub cause: io::Error,
}

/// A file system tree; paths are given relative to its root.
pub(super) struct Files<'a>(&'a Path);

impl Files<'static> {
    /// The tree of this machine.
    pub(super) fn of_this_machine() -> Self {
        Files(Path::new("/"))
    }
}

impl<'a> Files<'a> {
    /// A tree of fixtures.
    #[cfg(test)]
    pub(super) fn under(root: &'a Path) -> Self {
        Files(root)
    }

    /// The absolute path of `path`.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// The text of a file, without the white space around it.
    pub(super) fn text(&self, path: &str) -> io::Result<String> {
        Ok(fs::read_to_string(self.path(path))?.trim().to_owned())
    }

    /// What `parse` makes of a file that must be there; `lack` names what a file
    /// of which it makes nothing is without.
    pub(super) fn required<T>(
        &self,
        path: &str,
        lack: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Unreadable> {
        self.text(path)
            .and_then(|text| {
                parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, lack))
            })
            .map_err(|cause| Unreadable {
                path: self.path(path),
                cause,
            })
    }

    /// The names in a directory, sorted; none where it cannot be read.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(path))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

/// Trees of fixtures for the tests of this room.
#[cfg(test)]
pub(super) mod fixture {
    use std::fs;

    use tempfile::TempDir;

    /// A tree that holds `files`: pairs of path and text.
    pub(in crate::host) fn tree(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_names_are_sorted() {
        let root = fixture::tree(&[("d/b", " two\n"), ("d/a", "one")]);
        let files = Files::under(root.path());
        assert_eq!(files.text("d/b").unwrap(), "two");
        assert_eq!(files.names("d"), ["a", "b"]);
        assert!(files.names("nowhere").is_empty());
    }

    #[test]
    fn an_error_names_the_path_the_cause_and_the_command() {
        let root = fixture::tree(&[("proc/meminfo", "nothing of use")]);
        let files = Files::under(root.path());
        let absent = files.required("proc/cpuinfo", "no CPU", |_| Some(()));
        let useless = files.required("proc/meminfo", "no MemTotal line", |_| None::<()>);
        let absent = absent.unwrap_err().to_string();
        assert!(absent.contains("proc/cpuinfo: No such file"), "{absent}");
        assert!(absent.ends_with("mount -t proc proc /proc"), "{absent}");
        let useless = useless.unwrap_err().to_string();
        assert!(useless.contains("meminfo: no MemTotal line"), "{useless}");
    }
}
