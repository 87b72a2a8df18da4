//! Which bench targets there are, and which were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, Package, TargetKind};
use probecost::gate::nearest;

use crate::failure::Failure;

/// A bench target: its package's place in the tree, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Where its package lies.
    pub package: PathBuf,
    /// What cargo calls it.
    pub name: String,
}

impl Target {
    /// That of the package whose manifest it is, in the tree at `root`.
    pub(super) fn of(root: &Path, manifest: &Path, name: &str) -> Self {
        let package = manifest.parent().unwrap_or(manifest);
        Self {
            package: package.strip_prefix(root).unwrap_or(package).to_owned(),
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.package.as_os_str().is_empty() {
            true => f.write_str(&self.name),
            false => write!(f, "{}:{}", self.package.display(), self.name),
        }
    }
}

/// Which bench targets to build.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Names {
    All,
    These(Vec<String>),
}

/// Which targets each side builds, and which of those asked for it lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) here: [Names; 2],
    pub(super) lacking: [Vec<String>; 2],
}

/// The bench targets of a workspace's packages.
pub(super) fn bench_names(metadata: &Metadata) -> BTreeSet<String> {
    metadata
        .workspace_packages()
        .iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.contains(&TargetKind::Bench))
        .map(|target| target.name.clone())
        .collect()
}

/// The bench targets of what is built of the tree at `root` that require features, and which.
pub(super) fn requiring(
    root: &Path,
    metadata: &Metadata,
    package: Option<&str>,
) -> BTreeMap<Target, Vec<String>> {
    let default = &metadata.workspace_default_members;
    let is_built = |candidate: &&Package| match package {
        Some(name) => candidate.name.as_str() == name,
        // What an older cargo does not tell is not known.
        None => default.is_available() && default.contains(&candidate.id),
    };
    let packages = metadata.workspace_packages().into_iter().filter(is_built);
    let targets = packages.flat_map(|package| {
        let manifest = package.manifest_path.as_std_path();
        package.targets.iter().map(move |target| (manifest, target))
    });
    targets
        .filter(|(_, target)| target.kind.contains(&TargetKind::Bench))
        .filter(|(_, target)| !target.required_features.is_empty())
        .map(|(manifest, target)| {
            let requiring = Target::of(root, manifest, &target.name);
            (requiring, target.required_features.clone())
        })
        .collect()
}

/// Which bench targets were built on neither side for want of features, in a sentence.
pub(super) fn without_features(unbuilt: &[BTreeMap<Target, Vec<String>>; 2]) -> Option<String> {
    let all: BTreeMap<&Target, &Vec<String>> = unbuilt.iter().flatten().collect();
    let each: Vec<String> = (all.iter())
        .map(|(target, features)| format!("`{target}` ({})", features.join(", ")))
        .collect();
    (!each.is_empty()).then(|| {
        format!(
            "Not built, and so not compared, without the features that they require (--features): {}.",
            each.join(", ")
        )
    })
}

pub(super) fn named(asked: &[String], have: [BTreeSet<String>; 2]) -> Result<Named, Failure> {
    let both = || have[0].union(&have[1]);
    if both().next().is_none() {
        return Err(Failure::new("neither side has a bench target")
            .remedy("cd to the package with the benches, or --package NAME"));
    }
    if asked.is_empty() {
        return Ok(Named {
            here: [Names::All, Names::All],
            lacking: Default::default(),
        });
    }
    if let Some(unknown) = asked.iter().find(|name| !both().any(|n| n == *name)) {
        let near = nearest(unknown, both().map(String::as_str));
        let all = || both().cloned().collect::<Vec<_>>().join(", ");
        return Err(Failure::new(format!(
            "--bench {unknown}: neither side has such a bench target"
        ))
        .remedy(near.map_or_else(all, |near| format!("--bench {near}"))));
    }
    let part = |side: usize| asked.iter().cloned().partition(|n| have[side].contains(n));
    let [(base, not_base), (head, not_head)]: [(Vec<String>, Vec<String>); 2] = [part(0), part(1)];
    Ok(Named {
        here: [Names::These(base), Names::These(head)],
        lacking: [not_base, not_head],
    })
}

/// Nothing was built of what was asked for, though the workspace has benches.
pub(super) fn none_built(package: Option<&str>, metadata: &Metadata) -> Failure {
    let asked = package.map_or("the package here".to_owned(), |name| {
        format!("package {name}")
    });
    let is_ready = |target: &cargo_metadata::Target| {
        target.kind.contains(&TargetKind::Bench) && target.required_features.is_empty()
    };
    let others: Vec<&str> = (metadata.workspace_packages().into_iter())
        .filter(|other| other.targets.iter().any(is_ready))
        .map(|other| other.name.as_str())
        .collect();
    Failure::new(format!("{asked} has no bench target that is built")).remedy(match &others[..] {
        [] => "--features with what its benches require".to_owned(),
        others => format!("--package {}", others.join(" or ")),
    })
}

/// What cargo could not tell, and because of what.
pub(super) fn cause(error: &cargo_metadata::Error) -> String {
    let cargo_metadata::Error::CargoMetadata { stderr } = error else {
        return error.to_string();
    };
    let lines: Vec<&str> = stderr.lines().map(str::trim).collect();
    let error = lines.iter().find_map(|line| line.strip_prefix("error:"));
    let causes = lines.windows(2).filter(|pair| pair[0] == "Caused by:");
    let causes = causes.map(|pair| pair[1]);
    match error {
        Some(error) => {
            let all: Vec<&str> = [error.trim()].into_iter().chain(causes).collect();
            all.join(": ")
        }
        None => stderr.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn a_target_that_one_side_lacks_is_built_on_the_other() {
        let asked = ["a".to_owned(), "b".to_owned()];
        let named = named(&asked, [names(&["a"]), names(&["a", "b"])]).unwrap();
        assert_eq!(named.here[0], Names::These(vec!["a".into()]));
        assert_eq!(named.here[1], Names::These(asked.to_vec()));
        assert_eq!(named.lacking, [vec!["b".to_owned()], vec![]]);
    }

    #[test]
    fn a_target_that_nobody_has_is_said_with_its_nearest() {
        let asked = ["sorts".to_owned()];
        let said = named(&asked, [names(&["sort"]), names(&["x"])]).unwrap_err();
        assert!(said.to_string().contains("--bench sort"), "{said}");
        assert!(named(&[], [names(&[]), names(&[])]).is_err());
    }
    #[test]
    fn what_cargo_says_is_told_with_its_causes() {
        let said = |stderr: &str| {
            let stderr = stderr.to_owned();
            cause(&cargo_metadata::Error::CargoMetadata { stderr })
        };
        let chain = "warning: unused\nerror: failed to get `x`\n\nCaused by:\n  Unable to update /gone\n\n\
                     Caused by:\n  failed to read `/gone/Cargo.toml`\n\nCaused by:\n  No such file\n";
        assert_eq!(
            said(chain),
            "failed to get `x`: Unable to update /gone: failed to read `/gone/Cargo.toml`: No such file"
        );
        assert_eq!(said("error: no `Cargo.toml`\n  here\n"), "no `Cargo.toml`");
        assert_eq!(said("killed\n"), "killed");
    }
}
