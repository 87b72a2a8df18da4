//! The machine of a strict run in words: the artifacts that are text.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::host::Obstacle;
use crate::schema::Host;
use crate::schema::overhead::WorkloadPlace;

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

/// Where each workload worked on files, and the type of the file system there.
pub fn file_systems(places: &[WorkloadPlace]) -> String {
    places
        .iter()
        .map(|place| {
            let (path, kind) = (place.path.display(), &place.file_system);
            format!("{}: {path} on {kind}\n", place.workload)
        })
        .collect()
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

fn read(path: &str) -> Result<String, Obstacle> {
    fs::read_to_string(path).map_err(|cause| unreadable(Path::new(path), &cause))
}

fn unreadable(path: &Path, cause: &dyn std::fmt::Display) -> Obstacle {
    Obstacle::new(
        format!("{}: {cause}", path.display()),
        "judge where it was measured, on a machine that shows its facts",
    )
}
