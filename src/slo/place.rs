//! The machine of a strict run in words: the artifacts that are text.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::host::Obstacle;
use crate::schema::Host;

/// The kernel: its release, its version and how it was started.
pub fn kernel(host: &Host) -> Result<String, Obstacle> {
    let mut text = format!("release: {}\n", host.kernel);
    for (name, path) in [
        ("version", "/proc/version"),
        ("command line", "/proc/cmdline"),
    ] {
        let _ = writeln!(text, "{name}: {}", read(path)?.trim_end());
    }
    Ok(text)
}

/// The distribution, as it calls itself.
pub fn os_release() -> Result<String, Obstacle> {
    read("/etc/os-release").or_else(|_| read("/usr/lib/os-release"))
}

/// The processor and what bears on its speed.
pub fn cpu(host: &Host) -> String {
    let unknown = || "unknown".to_owned();
    let mut text = String::new();
    for (name, fact) in [
        ("model", host.cpu_model.clone()),
        ("cores", host.cores.to_string()),
        ("virtualisation", host.virtualisation.to_string()),
        ("governor", host.governor.clone().unwrap_or_else(unknown)),
        (
            "clock source",
            host.clock_source.clone().unwrap_or_else(unknown),
        ),
        ("threads share cores", known(host.smt)),
        ("turbo", known(host.turbo)),
    ] {
        let _ = writeln!(text, "{name}: {fact}");
    }
    for (vulnerability, status) in &host.mitigations {
        let _ = writeln!(text, "mitigation {vulnerability}: {status}");
    }
    text
}

fn known(fact: Option<bool>) -> String {
    match fact {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
    .into()
}

/// The type of the file system that `file` lies on.
pub fn file_system(file: &Path) -> Result<String, Obstacle> {
    let real = fs::canonicalize(file).map_err(|e| unreadable(file, &e))?;
    let mounts = read("/proc/self/mountinfo")?;
    let kind = kind_at(&mounts, &real)
        .ok_or_else(|| unreadable(file, &"lies below no mount that /proc/self/mountinfo lists"))?;
    Ok(format!("{kind}\n"))
}

/// The type of the mount that is deepest above `path`; of several there, the last.
fn kind_at<'a>(mountinfo: &'a str, path: &Path) -> Option<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, rest) = line.split_once(" - ")?;
            let place = Path::new(mount.split(' ').nth(4)?);
            let depth = place.components().count();
            path.starts_with(place)
                .then_some((depth, rest.split(' ').next()?))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, kind)| kind)
}

fn read(path: &str) -> Result<String, Obstacle> {
    fs::read_to_string(path).map_err(|cause| unreadable(Path::new(path), &cause))
}

fn unreadable(path: &Path, cause: &dyn std::fmt::Display) -> Obstacle {
    Obstacle::new(
        format!("{}: {cause}", path.display()),
        "judge where it was measured, on a machine that shows its facts",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_latest_mount_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                      2 1 0:2 / /etc rw - tmpfs tmpfs rw\n\
                      3 1 0:3 / /etc rw shared:4 - overlay overlay rw\n\
                      4 1 0:4 / /etcetera rw - xfs /dev/b rw\n";
        assert_eq!(kind_at(mounts, Path::new("/etc/hosts")), Some("overlay"));
        assert_eq!(kind_at(mounts, Path::new("/home/x")), Some("ext4"));
        assert_eq!(kind_at("", Path::new("/home/x")), None);
    }
}
