//! Finding the cgroup that is audited, as the kernel's programs see it.
//!
//! They ask for the ancestor of a caller's cgroup at a level, counted from the root of
//! the whole hierarchy. A container with a cgroup namespace of its own sees only a part
//! of the hierarchy as if it were the whole, and no file says how deep that part lies.
//! So it is tried out, with the hooks themselves.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aya::Ebpf;

use super::climb::{Hooks, perform};
use super::ladder::{self, Operation};
use super::maps::Maps;
use super::settings::Settings;
use crate::host::{self, Obstacle};

/// Deeper than containers within containers make a hierarchy.
const DEEPEST: u32 = 128;

/// A cgroup (v2).
struct Cgroup {
    /// Its inode number.
    id: u64,
    /// How deep it lies below the root that this process sees.
    depth: u32,
}

impl Cgroup {
    fn at(path: &Path) -> Result<Self, Obstacle> {
        let root = host::cgroup2_mount()?;
        let below = path.strip_prefix(&root).map_err(|_| {
            Obstacle::new(
                format!("{} is no cgroup", path.display()),
                format!("name a directory below {}", root.display()),
            )
        })?;
        let id = std::fs::metadata(path)
            .map_err(|error| {
                Obstacle::new(format!("{}: {error}", path.display()), "create it first")
            })?
            .ino();
        Ok(Self {
            id,
            depth: below.components().count() as u32,
        })
    }

    /// The one of this process.
    fn own() -> Result<Self, Obstacle> {
        let unseen = |why: String| {
            Obstacle::new(
                why,
                "mount the cgroup hierarchy that this process is in, or audit Scope::Everyone",
            )
        };
        let text = std::fs::read_to_string("/proc/self/cgroup")
            .map_err(|error| unseen(format!("/proc/self/cgroup: {error}")))?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::/"));
        match path {
            Some(path) if !path.starts_with("..") => Self::at(&host::cgroup2_mount()?.join(path)),
            _ => Err(unseen(
                "this process is in no cgroup that it can see".to_string(),
            )),
        }
    }
}

/// The id of the cgroup at `path` and its level in the whole hierarchy. The programs of
/// `hooks` have been loaded.
pub(super) fn cgroup(
    path: &Path,
    ebpf: &mut Ebpf,
    maps: &mut Maps,
    hooks: &Hooks,
) -> Result<(u64, u32), Obstacle> {
    let (wanted, own) = (Cgroup::at(path)?, Cgroup::own()?);
    let no_level = |why: String| {
        Obstacle::new(
            format!("the level of this process's cgroup cannot be found: {why}"),
            "see what this machine lacks with: cargo run -- host",
        )
    };
    let hooked = |&operation: &Operation| Some((operation, hooks.of(operation).rung?));
    let (operation, rung) = Operation::ALL
        .iter()
        .find_map(hooked)
        .ok_or_else(|| no_level("nothing is hooked".to_string()))?;
    let _links = ladder::attach(ebpf, rung).map_err(no_level)?;
    for level in own.depth..DEEPEST {
        maps.write(&Settings {
            cgroup: own.id,
            cgroup_level: level,
            ..Settings::everything()
        })?;
        let seen = |maps: &Maps| Ok(maps.stats(0)?.of(operation).seen);
        let before = seen(maps)?;
        perform(operation).map_err(|error| no_level(error.to_string()))?;
        if seen(maps)? > before {
            return Ok((wanted.id, wanted.depth + level - own.depth));
        }
    }
    Err(no_level(format!("it is at none up to {DEEPEST}")))
}
