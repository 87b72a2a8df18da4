//! The kernel's account of stalls (PSI), and its call when they pass a threshold.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::host::Obstacle;

/// The account of the whole machine.
pub(super) const MACHINE: &str = "/proc/pressure/memory";

/// A window of any other length takes CAP_SYS_RESOURCE.
pub(super) const WINDOW_US: u64 = 2_000_000;

/// Microseconds stalled since the account began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stalled {
    /// In which some process did.
    pub(super) some: u64,
    /// In which all did.
    pub(super) full: u64,
}

/// Reads the account at `path`.
pub(super) fn stalled(path: &Path) -> Result<Stalled, Obstacle> {
    let text = fs::read_to_string(path).map_err(|error| missing(path, &error.to_string()))?;
    parse(&text).ok_or_else(|| missing(path, "it does not read as an account of stalls"))
}

fn parse(text: &str) -> Option<Stalled> {
    let total = |kind: &str| {
        let line = text.lines().find(|line| line.starts_with(kind))?;
        let total = line
            .split(' ')
            .find_map(|word| word.strip_prefix("total="))?;
        total.parse().ok()
    };
    Some(Stalled {
        some: total("some ")?,
        full: total("full ")?,
    })
}

/// Has the kernel call (POLLPRI on the file) when `some` grows by `threshold_us` within
/// a window.
pub(super) fn trigger(path: &PathBuf, threshold_us: u64) -> Result<File, Obstacle> {
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(path)?;
        // The kernel takes the last byte for the end.
        file.write_all(format!("some {threshold_us} {WINDOW_US}\0").as_bytes())?;
        Ok(file)
    };
    open().map_err(|error| missing(path, &error.to_string()))
}

fn missing(path: &Path, why: &str) -> Obstacle {
    Obstacle::new(
        format!("no account of stalls: {}: {why}", path.display()),
        "boot a kernel built with CONFIG_PSI=y, with psi=1 on its command line",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_and_anything_else_is_refused() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.02 total=203532\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=158704\n";
        let stalled = Stalled {
            some: 203_532,
            full: 158_704,
        };
        assert_eq!(parse(text), Some(stalled));
        for wrong in [
            "",
            "some total=1\n",
            "some total=x\nfull total=1",
            "full total=2",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
