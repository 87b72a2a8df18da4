//! A revision's files, and what both sides' must have in common.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use cargo_metadata::{Metadata, MetadataCommand};
use regex::Regex;
use walkdir::WalkDir;

use super::names::cause;
use crate::failure::Failure;

/// Behind an error of cargo's that nobody has where the project lies.
pub(super) const COMMITTED: &str =
    "; a side has no `.git` around it, and no files that are not committed";

/// A build's name, of one length for both, since it is part of their paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Base,
    Head,
}

/// A revision's files.
pub(super) struct Tree {
    pub(super) side: Side,
    pub(super) revision: String,
    pub(super) commit: String,
    /// Where all of it lies.
    pub(super) root: PathBuf,
    /// Where in it we are.
    pub(super) project: PathBuf,
    /// Options with what cargo would read above the repository.
    pub(super) settings: Vec<String>,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Base => "base",
            Side::Head => "head",
        }
    }
}

impl std::fmt::Display for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.side.name(), self.revision)
    }
}

impl Tree {
    /// What cargo says of it, with its dependencies. Those of other platforms need not be there.
    pub(super) fn metadata(&self, options: &[String]) -> Result<Metadata, Failure> {
        let platform = platform().map(|name| ["--filter-platform".to_owned(), name]);
        let platform = platform.into_iter().flatten();
        let options = options.iter().cloned().chain(platform).collect();
        self.read(&mut MetadataCommand::new(), options)
    }

    /// What says which dependencies it gets, whether it is there or not.
    fn lock_file(&self) -> Result<PathBuf, Failure> {
        let metadata = self.read(MetadataCommand::new().no_deps(), Vec::new())?;
        Ok(lock_file(&metadata))
    }

    fn read(
        &self,
        metadata: &mut MetadataCommand,
        options: Vec<String>,
    ) -> Result<Metadata, Failure> {
        metadata
            .current_dir(&self.project)
            .other_options([self.settings.clone(), options].concat())
            .exec()
            .map_err(|e| {
                let cause = cause(&e);
                Failure::new(format!("{self}: cargo cannot read it: {cause}{COMMITTED}")).remedy(
                    format!(
                        "git checkout {} && cargo fetch, where there is a network",
                        self.revision
                    ),
                )
            })
    }

    /// Makes all of its files as new as this moment.
    pub(super) fn renew(&self) -> io::Result<()> {
        let now = SystemTime::now();
        for entry in WalkDir::new(&self.root) {
            let entry = entry?;
            if entry.file_type().is_file() {
                File::open(entry.path())?.set_modified(now)?;
            }
        }
        Ok(())
    }

    /// Whether cargo would have a program start what it builds.
    pub(super) fn has_runner(&self) -> bool {
        let Ok(set) = Regex::new(r"(?m)^[^#\n]*\brunner\s*=") else {
            return false;
        };
        let directories = self.project.ancestors();
        let directories = directories.take_while(|dir| dir.starts_with(&self.root));
        let files = directories
            .flat_map(|dir| ["config.toml", "config"].map(|name| dir.join(".cargo").join(name)));
        files
            .filter_map(|file| fs::read_to_string(file).ok())
            .any(|text| set.is_match(&text))
    }

    /// A file of it, where it has one.
    fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.project.join(name))
            .or_else(|_| fs::read_to_string(self.root.join(name)))
            .ok()
    }
}

/// One compiler builds both, or there is nothing to compare.
pub(super) fn one_toolchain([base, head]: &[Tree; 2]) -> Result<Option<String>, Failure> {
    let wanted = |tree: &Tree| {
        let file = tree
            .file("rust-toolchain.toml")
            .or_else(|| tree.file("rust-toolchain"))?;
        let channel = file
            .lines()
            .find_map(|line| line.trim().strip_prefix("channel"));
        let channel = channel.map_or(file.trim(), |c| c.trim_start_matches([' ', '=']));
        Some(channel.trim_matches(['"', ' ', '\'']).to_owned())
    };
    let (old, new) = (wanted(base), wanted(head));
    if old == new {
        return Ok(None);
    }
    let said = |wanted: &Option<String>| match wanted {
        Some(channel) => format!("the toolchain `{channel}`"),
        None => "none in particular".to_owned(),
    };
    let parted = format!("base asks for {}, head for {}", said(&old), said(&new));
    match std::env::var("RUSTUP_TOOLCHAIN") {
        Ok(one) => Ok(Some(format!("{parted}; both were built with `{one}`."))),
        Err(_) => Err(Failure::new(format!(
            "{parted} (rust-toolchain.toml): two compilers would be compared"
        ))
        .remedy("RUSTUP_TOOLCHAIN=NAME cargo compare duet ... builds both with one")),
    }
}

/// The platform that benches are built for here.
fn platform() -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut lines = said.lines();
    Some(
        lines
            .find_map(|line| line.strip_prefix("host: "))?
            .to_owned(),
    )
}

/// Where a workspace has its Cargo.lock.
pub(super) fn lock_file(metadata: &Metadata) -> PathBuf {
    metadata.workspace_root.join("Cargo.lock").into()
}

/// Libraries often leave their Cargo.lock out of git; without one both sides could get
/// other dependencies. The other side's serves then, or `ours`, the work tree's.
pub(super) fn one_lock_file(trees: &[Tree; 2], ours: &Path) -> Result<Option<String>, Failure> {
    let paths = [trees[0].lock_file()?, trees[1].lock_file()?];
    let lacking: Vec<usize> = (0..2).filter(|side| !paths[*side].exists()).collect();
    for side in &lacking {
        let others = [paths[1 - side].as_path(), ours];
        if let Some(from) = others.into_iter().find(|path| path.exists()) {
            fs::copy(from, &paths[*side]).map_err(|e| Failure::at(&paths[*side], e))?;
        }
    }
    Ok(match lacking[..] {
        [side] if paths[side].exists() => Some(format!(
            "{} has no Cargo.lock: it was built with the other side's.",
            trees[side].side.name()
        )),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_names_of_one_length() {
        assert_eq!(Side::Base.name().len(), Side::Head.name().len());
    }
    /// Of a workspace, whichever member one stands in.
    #[test]
    fn both_sides_get_one_lock_file() {
        for (has, note, all) in [
            ([Some("base"), None, None], Some("head"), ["base"; 2]),
            (
                [None, Some("head"), Some("ours")],
                Some("base"),
                ["head"; 2],
            ),
            ([None, None, Some("ours")], None, ["ours"; 2]),
            ([Some("base"), Some("head"), None], None, ["base", "head"]),
        ] {
            let place = tempfile::tempdir().unwrap();
            let root = place.path().canonicalize().unwrap();
            let write = |name: &str, text: &str| {
                let path = root.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            for (name, lock) in ["base", "head", "ours"].into_iter().zip(has) {
                if let Some(lock) = lock {
                    write(&format!("{name}/Cargo.lock"), lock);
                }
            }
            let trees = [Side::Base, Side::Head].map(|side| {
                let name = side.name();
                let workspace = "[workspace]\nmembers = [\"member\"]\nresolver = \"3\"\n";
                write(&format!("{name}/Cargo.toml"), workspace);
                write(
                    &format!("{name}/member/Cargo.toml"),
                    "[package]\nname = \"member\"\n",
                );
                write(&format!("{name}/member/src/lib.rs"), "");
                Tree {
                    side,
                    revision: "HEAD".to_owned(),
                    commit: String::new(),
                    root: root.join(name),
                    project: root.join(name).join("member"),
                    settings: Vec::new(),
                }
            });
            let said = one_lock_file(&trees, &root.join("ours/Cargo.lock")).unwrap();
            let expected = note.map(|side| format!("{side} has no Cargo.lock"));
            let said = said.map(|said| said.split(':').next().unwrap().to_owned());
            assert_eq!(said, expected, "{has:?}");
            let locks = trees.map(|t| fs::read_to_string(t.root.join("Cargo.lock")).unwrap());
            assert_eq!(locks, all, "{has:?}");
        }
    }
}
