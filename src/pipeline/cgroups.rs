//! From the number of a cgroup to its path.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How deep a tree of cgroups is followed; the kernel allows more, nobody nests
/// deeper.
const DEEPEST: usize = 32;

/// The paths of cgroups (v2), by inode number. The tree is read when a number is
/// not known; one that it does not hold (a cgroup that is gone) is remembered.
#[derive(Debug, Clone)]
pub struct Cgroups {
    root: Option<PathBuf>,
    paths: BTreeMap<u64, Option<Arc<str>>>,
}

impl Cgroups {
    /// The tree mounted at `root`; without one, no number has a path.
    pub fn new(root: Option<PathBuf>) -> Self {
        Self {
            root,
            paths: BTreeMap::new(),
        }
    }

    /// The path below the root, `/` for the root itself.
    pub fn path(&mut self, id: u64) -> Option<Arc<str>> {
        if let Some(known) = self.paths.get(&id) {
            return known.clone();
        }
        if let Some(root) = &self.root {
            // Read anew: numbers are not used twice, and what is gone is forgotten.
            self.paths.clear();
            collect(root, "/", DEEPEST, &mut self.paths);
        }
        self.paths.entry(id).or_default().clone()
    }
}

/// Directories that cannot be read, or vanish meanwhile, are left out.
fn collect(
    directory: &Path,
    name: &str,
    deeper: usize,
    paths: &mut BTreeMap<u64, Option<Arc<str>>>,
) {
    let Ok(about) = std::fs::metadata(directory) else {
        return;
    };
    paths.insert(about.ino(), Some(name.into()));
    let Some(deeper) = deeper.checked_sub(1) else {
        return;
    };
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let below = format!(
                "{}/{}",
                name.trim_end_matches('/'),
                entry.file_name().display()
            );
            collect(&entry.path(), &below, deeper, paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_paths_also_of_what_comes_later() {
        let root = tempfile::tempdir().unwrap();
        let inode = |path: &str| std::fs::metadata(root.path().join(path)).unwrap().ino();
        std::fs::create_dir_all(root.path().join("system.slice/cron")).unwrap();
        let mut cgroups = Cgroups::new(Some(root.path().into()));
        assert_eq!(cgroups.path(inode("")).as_deref(), Some("/"));
        assert_eq!(
            cgroups.path(inode("system.slice/cron")).as_deref(),
            Some("/system.slice/cron")
        );
        std::fs::create_dir(root.path().join("later")).unwrap();
        assert_eq!(cgroups.path(inode("later")).as_deref(), Some("/later"));
        assert_eq!(cgroups.path(u64::MAX), None);
    }

    #[test]
    fn without_a_tree_there_are_no_paths() {
        assert_eq!(Cgroups::new(None).path(1), None);
        assert_eq!(Cgroups::new(Some("/nowhere".into())).path(1), None);
    }
}
