//! An image that is a file system: nothing of it is unpacked.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::mount::{Backing, Mounted};
use crate::host::Obstacle;

/// What makes such images.
const MAKER: &str = "mkfs.erofs";

/// Packs what lies below `tree` into the image `into`, with nothing in it that would
/// differ the next time.
pub(super) fn pack(tree: &Path, into: &Path) -> Result<(), Obstacle> {
    let install = "apt-get install erofs-utils";
    let done = Command::new(MAKER)
        .args(["--quiet", "-U", "00000000-0000-0000-0000-000000000000"])
        .args([into, tree])
        .output()
        .map_err(|error| Obstacle::new(format!("{MAKER}: {error}"), install))?;
    if done.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&done.stderr);
    let mut lines = why.lines().map(str::trim);
    let why = lines.find(|line| !line.is_empty());
    let why = why.unwrap_or("it does not say why");
    Err(Obstacle::new(
        format!("{MAKER} failed on {}: {why}", tree.display()),
        format!(
            "see what it says: {MAKER} {} {}",
            into.display(),
            tree.display()
        ),
    ))
}

/// How this kernel mounts such an image, seen by mounting a small one in `directory`;
/// and why not the better way, where it is not that.
pub(super) fn backing(directory: &Path) -> Result<(Backing, Option<Obstacle>), Obstacle> {
    let [tree, image, at] = ["tree", "image", "at"].map(|name| directory.join(name));
    let unwritable = |error: std::io::Error| {
        Obstacle::new(
            format!("{} cannot be written: {error}", directory.display()),
            "name another directory with --dir",
        )
    };
    fs::create_dir_all(&tree).map_err(unwritable)?;
    fs::create_dir_all(&at).map_err(unwritable)?;
    pack(&tree, &image)?;
    let Err(file) = Mounted::erofs(&image, Backing::File, &at) else {
        return Ok((Backing::File, None));
    };
    match Mounted::erofs(&image, Backing::Loop, &at) {
        Ok(_) => Ok((Backing::Loop, Some(file))),
        Err(obstacle) if known() => Err(obstacle),
        Err(_) => Err(Obstacle::new(
            "this kernel has no EROFS",
            "modprobe erofs, or boot a kernel with CONFIG_EROFS_FS",
        )),
    }
}

/// Whether the kernel has the file system, now that its module was asked for.
fn known() -> bool {
    let all = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    all.split_whitespace().any(|name| name == "erofs")
}
