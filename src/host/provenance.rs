//! Which program made a document, from which source.

use std::path::Path;

use git2::{Repository, StatusOptions};
use jiff::Timestamp;

use crate::schema::Provenance;

/// Of this process, now.
///
/// The commit is that of the repository in which the executable lies, as cargo's target
/// directories do. Where they lie elsewhere it is that of the current directory, if that is
/// this project's: an installed program knows none.
pub fn provenance() -> Provenance {
    let around = std::env::current_exe().ok();
    let around = around.and_then(|exe| commit_of(&repository_of(exe.parent()?)?));
    let source = around.or_else(|| commit_of(&of_this_project(&std::env::current_dir().ok()?)?));
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

fn repository_of(directory: &Path) -> Option<Repository> {
    Repository::discover(directory).ok()
}

/// The repository around `directory`, if its package is this one.
fn of_this_project(directory: &Path) -> Option<Repository> {
    let repository = repository_of(directory)?;
    let manifest = std::fs::read_to_string(repository.workdir()?.join("Cargo.toml")).ok()?;
    let manifest: toml::Table = manifest.parse().ok()?;
    let name = manifest.get("package")?.get("name")?.as_str()?;
    (name == env!("CARGO_PKG_NAME")).then_some(repository)
}

/// What is checked out there, and whether files that git tracks differ from it.
fn commit_of(repository: &Repository) -> Option<(String, bool)> {
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

    /// A repository of one commit in which there is this manifest.
    fn committed(directory: &Path, manifest: &str) -> String {
        let repository = Repository::init(directory).unwrap();
        std::fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new("Cargo.toml")).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = git2::Signature::now("a", "a@localhost").unwrap();
        let commit = repository.commit(Some("HEAD"), &who, &who, "one", &tree, &[]);
        commit.unwrap().to_string()
    }

    #[test]
    fn a_program_is_of_the_commit_around_it() {
        let directory = tempfile::tempdir().unwrap();
        let release = directory.path().join("target/release");
        std::fs::create_dir_all(&release).unwrap();
        assert!(repository_of(&release).is_none());

        let commit = committed(directory.path(), "[package]\nname = \"x\"\n");
        let source = || commit_of(&repository_of(&release)?);
        assert_eq!(source(), Some((commit.clone(), false)));
        std::fs::write(directory.path().join("Cargo.toml"), "two").unwrap();
        assert_eq!(source(), Some((commit, true)));
    }

    #[test]
    fn another_directory_counts_where_it_is_this_projects() {
        for (name, ours) in [(env!("CARGO_PKG_NAME"), true), ("another", false)] {
            let directory = tempfile::tempdir().unwrap();
            let below = directory.path().join("docs");
            std::fs::create_dir(&below).unwrap();
            assert!(of_this_project(&below).is_none());
            let manifest = format!("[package]\nname = \"{name}\"\n");
            let commit = committed(directory.path(), &manifest);
            let source = of_this_project(&below).and_then(|found| commit_of(&found));
            assert_eq!(source, ours.then_some((commit, false)), "{name}");
        }
    }

    #[test]
    fn this_process_says_what_it_is() {
        let this = provenance();
        assert!(this.toolchain.starts_with("rustc 1."), "{this:?}");
        assert!(!this.command.is_empty());
    }
}
