//! The git repository around a place, read without a checkout and without a network.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use git2::build::CheckoutBuilder;
use git2::{Commit, ErrorClass, ErrorCode, ObjectType, Oid, Repository, Status, StatusOptions};

use crate::failure::Failure;

/// The commit that a work tree stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit's full name.
    pub commit: String,
    /// The files that git follows and that differ from it.
    pub changed: Vec<String>,
    /// A digest of what they hold, none where none differs. Without `Cargo.lock`, which cargo
    /// itself brings up to date.
    pub edits: Option<String>,
}

impl Head {
    /// Whether files that git follows differ from the commit.
    pub fn is_dirty(&self) -> bool {
        !self.changed.is_empty()
    }
}

/// The commit around `place`; `None` outside a repository, or before its first commit.
///
/// # Errors
/// There is a repository, and it cannot be read.
pub fn head(place: &Path) -> Result<Option<Head>, Failure> {
    let at = |e: git2::Error| Failure::at(place, format!("its git repository: {}", e.message()));
    let repository = match Repository::discover(place) {
        Err(e) if e.code() == ErrorCode::NotFound => return Ok(None),
        other => other.map_err(at)?,
    };
    let commit = match repository.head().and_then(|h| h.peel_to_commit()) {
        Err(e) if e.code() == ErrorCode::UnbornBranch => return Ok(None),
        other => other.map_err(at)?.id().to_string(),
    };
    let mut options = StatusOptions::new();
    options.include_untracked(false).include_ignored(false);
    let statuses = repository.statuses(Some(&mut options)).map_err(at)?;
    let changed: Vec<PathBuf> = statuses
        .iter()
        .filter(|s| s.status() != Status::CURRENT)
        .map(|s| PathBuf::from(OsStr::from_bytes(s.path_bytes())))
        .collect();
    Ok(Some(Head {
        commit,
        edits: edits(repository.workdir(), &changed).map_err(at)?,
        changed: (changed.iter().map(|file| file.display().to_string())).collect(),
    }))
}

/// A digest of what files below `root` hold, but for `Cargo.lock`.
fn edits(root: Option<&Path>, files: &[PathBuf]) -> Result<Option<String>, git2::Error> {
    let mut text = String::new();
    let root = root.unwrap_or(Path::new(""));
    for file in files.iter().filter(|file| !file.ends_with("Cargo.lock")) {
        // What is gone, or no file, has no content that could be another.
        let content = Oid::hash_file(ObjectType::Blob, root.join(file));
        let content = content.map_or("none".to_owned(), |content| content.to_string());
        text += &format!("{content} {}\n", file.display());
    }
    let digest = Oid::hash_object(ObjectType::Blob, text.as_bytes())?;
    Ok((!text.is_empty()).then(|| digest.to_string()))
}

/// The bytes of the file at `path` as they were at `revision`, and that commit's name.
///
/// # Errors
/// No repository around the file, no such revision, or no such file at it.
pub fn file_at(path: &Path, revision: &str) -> Result<(Vec<u8>, String), Failure> {
    let (repository, inside) = around(path).map_err(|e| e.remedy("leave out --against"))?;
    let commit = commit_at(&repository, revision)?;
    let blob = blob_at(&commit, &inside)
        .ok()
        .flatten()
        .and_then(|blob| repository.find_blob(blob).ok())
        .ok_or_else(|| {
            Failure::new(format!("{revision}: has no file {}", inside.display()))
                .remedy(format!("git log --oneline -- {}", path.display()))
        })?;
    Ok((blob.content().to_vec(), commit.id().to_string()))
}

/// The commit that `revision` means in the repository around `place`.
///
/// # Errors
/// No repository, or no such revision.
pub fn commit_of(place: &Path, revision: &str) -> Result<String, Failure> {
    let repository = Repository::discover(place)
        .map_err(|e| Failure::at(place, format!("its git repository: {}", e.message())))?;
    Ok(commit_at(&repository, revision)?.id().to_string())
}

fn commit_at<'r>(repository: &'r Repository, revision: &str) -> Result<Commit<'r>, Failure> {
    repository
        .revparse_single(revision)
        .and_then(|object| object.peel_to_commit())
        .map_err(|e| {
            Failure::new(format!("{revision}: {}", e.message()))
                .remedy("git log --oneline; in a shallow clone: git fetch --unshallow")
        })
}

/// What a commit made of a file.
pub struct Version {
    /// The commit's full name.
    pub commit: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// A file from commit to commit.
pub struct Versions {
    /// Each content that the file had, with the first commit that had it, oldest first.
    pub all: Vec<Version>,
    /// Whether the repository is shallow: there may be older ones elsewhere.
    pub shallow: bool,
}

/// The versions of the file at `path` up to `HEAD`. Of a merge only the first parent is
/// followed: what a branch tried before it was merged is none of the file's history.
///
/// # Errors
/// No repository around the file, no commit in it, or one that cannot be read.
pub fn versions(path: &Path) -> Result<Versions, Failure> {
    let (repository, inside) =
        around(path).map_err(|e| e.remedy("--baseline with a file that git follows"))?;
    let at = |e: git2::Error| {
        Failure::at(path, format!("its git history: {}", e.message()))
            .remedy(format!("git log -p -- {}", path.display()))
    };
    let shallow = repository.is_shallow();
    let mut commit = repository
        .head()
        .and_then(|head| head.peel_to_commit())
        .map_err(at)?;
    let mut blob = blob_at(&commit, &inside).map_err(at)?;
    let mut changes = Vec::new();
    loop {
        let parent = match commit.parent(0) {
            Ok(parent) => Some(parent),
            Err(_) if commit.parent_count() == 0 || shallow => None,
            Err(e) => return Err(at(e)),
        };
        let before = match &parent {
            Some(parent) => blob_at(parent, &inside).map_err(at)?,
            None => None,
        };
        if let Some(blob) = blob.filter(|_| blob != before) {
            changes.push((commit.id(), blob));
        }
        match parent {
            Some(parent) => (commit, blob) = (parent, before),
            None => break,
        }
    }
    let mut known = HashSet::new();
    let all = changes
        .into_iter()
        .rev()
        .filter(|(_, blob)| known.insert(*blob))
        .map(|(commit, blob)| {
            let bytes = repository.find_blob(blob)?.content().to_vec();
            let commit = commit.to_string();
            Ok(Version { commit, bytes })
        })
        .collect::<Result<_, _>>()
        .map_err(at)?;
    Ok(Versions { all, shallow })
}

/// The file that a commit has at `path`, if it has one.
fn blob_at(commit: &Commit, path: &Path) -> Result<Option<Oid>, git2::Error> {
    match commit.tree()?.get_path(path) {
        Ok(entry) => Ok((entry.kind() == Some(ObjectType::Blob)).then(|| entry.id())),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The repository around the file at `path`, and the file's path inside it. The file itself
/// need not be there.
fn around(path: &Path) -> Result<(Repository, PathBuf), Failure> {
    let directory = existing_parent(path);
    let repository = Repository::discover(&directory).map_err(|e| {
        Failure::at(
            path,
            format!("no git repository around it: {}", e.message()),
        )
    })?;
    let root = repository.workdir().and_then(|dir| dir.canonicalize().ok());
    let absolute = directory
        .canonicalize()
        .ok()
        .map(|d| normal(&d.join(rest(path, &directory))));
    let inside = root
        .zip(absolute)
        .and_then(|(root, file)| Some(file.strip_prefix(root).ok()?.to_owned()))
        .ok_or_else(|| Failure::at(path, "lies outside the git repository"))?;
    Ok((repository, inside))
}

/// Where the work tree around `place` begins, without symbolic links.
pub fn root(place: &Path) -> Option<PathBuf> {
    let repository = Repository::discover(place).ok()?;
    repository.workdir()?.canonicalize().ok()
}

/// Writes the files of `revision` of the repository around `place` into the new directory
/// `tree`, and gives the commit's name and where `place` lies inside. Neither the index
/// nor the work tree is touched.
///
/// # Errors
/// No repository, no such revision, or no room.
pub fn export(place: &Path, revision: &str, tree: &Path) -> Result<(String, PathBuf), Failure> {
    let repository = Repository::discover(place).map_err(|e| {
        Failure::at(place, format!("no git repository: {}", e.message()))
            .remedy("--bin-base EXE --bin-head EXE compares executables")
    })?;
    let commit = commit_at(&repository, revision)?;
    let inside = root(place).and_then(|root| {
        let place = place.canonicalize().ok()?;
        Some(place.strip_prefix(root).ok()?.to_owned())
    });
    let inside = inside.unwrap_or_default();
    let at = |cause: &dyn std::fmt::Display| {
        Failure::at(tree, format!("cannot check out {revision}: {cause}"))
            .remedy(format!("df -h {}", tree.parent().unwrap_or(tree).display()))
    };
    std::fs::create_dir_all(tree).map_err(|e| at(&e))?;
    let mut options = CheckoutBuilder::new();
    options.target_dir(tree).force().update_index(false);
    repository
        .checkout_tree(commit.as_object(), Some(&mut options))
        .map_err(|e| match (e.code(), e.class()) {
            (ErrorCode::NotFound, _) | (_, ErrorClass::Odb) => at(&e.message()).remedy(format!(
                "git archive {revision} >/dev/null (fetches what a partial clone lacks)"
            )),
            _ => at(&e.message()),
        })?;
    Ok((commit.id().to_string(), inside))
}

/// The nearest directory above `path` that exists now.
fn existing_parent(path: &Path) -> PathBuf {
    path.ancestors()
        .skip(1)
        .map(|p| {
            if p.as_os_str().is_empty() {
                Path::new(".")
            } else {
                p
            }
        })
        .find(|p| p.is_dir())
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// `path` below `directory`, which is one of its ancestors or the current directory.
fn rest<'a>(path: &'a Path, directory: &Path) -> &'a Path {
    path.strip_prefix(directory).unwrap_or(path)
}

/// `path` without `.` in it.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|c| *c != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in a clone with --filter=blob:none.
    #[test]
    fn a_checkout_of_what_a_partial_clone_lacks_says_how_to_fetch_it() {
        let place = tempfile::tempdir().unwrap();
        let repository = Repository::init(place.path().join("r")).unwrap();
        let blob = repository.blob(b"text").unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        tree.insert("file", blob, 0o100_644).unwrap();
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let by = git2::Signature::now("a", "a@example.org").unwrap();
        let commit = repository.commit(Some("HEAD"), &by, &by, "x", &tree, &[]);
        let name = blob.to_string();
        let object = Path::new("objects").join(&name[..2]).join(&name[2..]);
        std::fs::remove_file(repository.path().join(object)).unwrap();
        let to = place.path().join("tree");
        let said = export(&place.path().join("r"), &commit.unwrap().to_string(), &to).unwrap_err();
        assert!(said.to_string().contains("git archive"), "{said}");
    }
}
