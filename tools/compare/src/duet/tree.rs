//! A revision's files, and what both sides' must have in common.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use cargo_metadata::{Metadata, MetadataCommand};
use walkdir::WalkDir;

use super::names::last_line;
use crate::failure::Failure;

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
    /// What cargo says of it, with its dependencies.
    pub(super) fn metadata(&self, options: &[String]) -> Result<Metadata, Failure> {
        MetadataCommand::new()
            .current_dir(&self.project)
            .other_options([&self.settings[..], options].concat())
            .exec()
            .map_err(|e| {
                let cause = last_line(&e.to_string());
                Failure::new(format!("{self}: cargo cannot read it: {cause}")).remedy(format!(
                    "git checkout {} && cargo fetch, where there is a network",
                    self.revision
                ))
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

/// Libraries often leave their Cargo.lock out of git; without one both sides could get
/// other dependencies. The work tree's serves then, or the other side's.
pub(super) fn one_lock_file(trees: &[Tree; 2]) -> Result<Option<String>, Failure> {
    let lock = |tree: &Tree| tree.project.join("Cargo.lock");
    let paths = trees.each_ref().map(lock);
    let lacking: Vec<usize> = (0..2).filter(|side| !paths[*side].exists()).collect();
    let ours = PathBuf::from("Cargo.lock");
    for side in &lacking {
        // In a workspace it lies above.
        let above = trees[*side].project.ancestors().skip(1);
        let mut above = above.take_while(|dir| dir.starts_with(&trees[*side].root));
        let theirs = &paths[1 - side];
        let from = match above.any(|dir| dir.join("Cargo.lock").exists()) {
            true => continue,
            false if theirs.exists() => theirs,
            false if ours.exists() => &ours,
            false => continue,
        };
        fs::copy(from, &paths[*side]).map_err(|e| Failure::at(&paths[*side], e))?;
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
}
