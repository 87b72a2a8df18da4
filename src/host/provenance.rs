//! Which program made a document, from which source.

use std::path::Path;

use git2::{Repository, StatusOptions};
use jiff::Timestamp;

use crate::schema::Provenance;

/// Of this process, now.
///
/// The commit is that of the repository in which the executable lies, as cargo's
/// target directories do: an installed program knows none.
pub fn provenance() -> Provenance {
    let source = std::env::current_exe().ok().and_then(|exe| source_of(&exe));
    let (commit, dirty) = source.unzip();
    Provenance {
        commit,
        dirty,
        date: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        toolchain: env!("PROBECOST_RUSTC").into(),
        version: env!("CARGO_PKG_VERSION").into(),
        command: std::env::args().collect(),
    }
}

/// The commit around `path`, and whether files that git tracks differ from it.
fn source_of(path: &Path) -> Option<(String, bool)> {
    let repository = Repository::discover(path.parent()?).ok()?;
    let commit = repository
        .head()
        .ok()?
        .peel_to_commit()
        .ok()?
        .id()
        .to_string();
    let mut tracked = StatusOptions::new();
    tracked.include_untracked(false);
    let dirty = !repository.statuses(Some(&mut tracked)).ok()?.is_empty();
    Some((commit, dirty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_of_the_commit_around_it() {
        let directory = tempfile::tempdir().unwrap();
        let executable = directory.path().join("target/release/program");
        std::fs::create_dir_all(executable.parent().unwrap()).unwrap();
        assert_eq!(source_of(&executable), None);

        let repository = Repository::init(directory.path()).unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "one").unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new("file")).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = git2::Signature::now("a", "a@localhost").unwrap();
        let commit = repository
            .commit(Some("HEAD"), &who, &who, "one", &tree, &[])
            .unwrap();
        assert_eq!(source_of(&executable), Some((commit.to_string(), false)));

        std::fs::write(&file, "two").unwrap();
        assert_eq!(source_of(&executable), Some((commit.to_string(), true)));
    }

    #[test]
    fn this_process_says_what_it_is() {
        let this = provenance();
        assert!(this.toolchain.starts_with("rustc 1."), "{this:?}");
        assert!(!this.command.is_empty());
    }
}
