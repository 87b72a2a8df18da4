//! Finding the cgroup that is audited, as the kernel's programs see it.
//!
//! They ask for the ancestor of a caller's cgroup at a level, counted from the root of
//! the whole hierarchy. A container with a cgroup namespace of its own sees only a part
//! of the hierarchy as if it were the whole, and no file says how deep that part lies.
//! So it is tried out, with the hooks themselves.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::climb::perform;
use super::ladder::{self, Operation};
use super::maps::Maps;
use super::object;
use super::settings::Settings;
use crate::host::{self, Obstacle};

/// Deeper than containers within containers make a hierarchy (`LEVELS` in bpf/agent.h).
const DEEPEST: u32 = 64;

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
        let unread =
            |error| Obstacle::new(format!("{}: {error}", path.display()), "create it first");
        // Its levels are counted: `..` and links are none.
        let real = path.canonicalize().map_err(unread)?;
        let metadata = real.metadata().map_err(unread)?;
        let below = real.strip_prefix(&root).ok();
        let below = below.filter(|_| metadata.is_dir()).ok_or_else(|| {
            Obstacle::new(
                format!("{} is no cgroup", path.display()),
                format!("name a directory below {}", root.display()),
            )
        })?;
        Ok(Self {
            id: metadata.ino(),
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

/// The hierarchy of cgroups, of which this process may see a part only.
pub(super) struct Hierarchy {
    /// Levels above the root that this process sees.
    above: u32,
}

impl Hierarchy {
    /// Tries out how much of it lies above the root.
    pub(super) fn explore() -> Result<Self, Obstacle> {
        let own = Cgroup::own()?;
        let btf = ladder::kernel_types();
        let mut ebpf = object::load(btf.as_ref(), rustix::param::page_size() as u32)?;
        let mut maps = Maps::take(&mut ebpf)?;
        let mut tried = Vec::new();
        for operation in Operation::ALL {
            for &rung in operation.rungs() {
                let level = ladder::load(&mut ebpf, rung, btf.as_ref())
                    .and_then(|()| ladder::attach(&mut ebpf, rung))
                    .and_then(|_links| level(&own, &mut maps, operation));
                match level {
                    Ok(level) => {
                        return Ok(Self {
                            above: level - own.depth,
                        });
                    }
                    Err(error) => tried.push(format!("{}: {error}", rung.name())),
                }
            }
        }
        Err(Obstacle::new(
            format!(
                "the level of this process's cgroup cannot be found: {}",
                tried.join("; ")
            ),
            "see what this machine lacks with: cargo run -- host",
        ))
    }

    /// The id of the cgroup at `path` and its level in the whole hierarchy.
    pub(super) fn place(&self, path: &Path) -> Result<(u64, u32), Obstacle> {
        let cgroup = Cgroup::at(path)?;
        let level = cgroup.depth + self.above;
        if level >= DEEPEST {
            return Err(Obstacle::new(
                format!("{} lies {level} levels deep", path.display()),
                format!("audit a cgroup at a level below {DEEPEST}"),
            ));
        }
        Ok((cgroup.id, level))
    }
}

/// The level of this process's own cgroup: that at which the hooks see an operation of it.
fn level(own: &Cgroup, maps: &mut Maps, operation: Operation) -> Result<u32, String> {
    let seen = |maps: &Maps| maps.stats(0).map(|stats| stats.of(operation).seen);
    for level in own.depth..DEEPEST {
        let found = maps
            .write(&Settings {
                cgroup: own.id,
                cgroup_level: level,
                ..Settings::everything()
            })
            .and_then(|()| seen(maps));
        let before = found.map_err(|error| error.to_string())?;
        perform(operation).map_err(|error| error.to_string())?;
        if seen(maps).map_err(|error| error.to_string())? > before {
            return Ok(level);
        }
    }
    Err(format!("it is at none up to {DEEPEST}"))
}
