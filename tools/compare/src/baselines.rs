//! Where baselines lie, and the numbers beside them.

use std::fs;
use std::path::{Path, PathBuf};

use probecost::gate::Gate;
use probecost::schema::Host;

use crate::baseline::Baseline;
use crate::failure::Failure;

/// Where baselines lie when nobody says otherwise.
pub const DIRECTORY: &str = "baselines";

/// Where the baseline of this host class lies, whether it is there or not.
pub fn own(host: &Host) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{}.json", host.class()))
}

/// Where the baseline of a release lies for this host class, whether it is there or not.
///
/// # Errors
/// The release's name is none of a file.
pub fn of_release(host: &Host, tag: &str) -> Result<PathBuf, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if tag.is_empty() || tag.starts_with('.') || !tag.chars().all(plain) {
        return Err(Failure::new(format!("--tag {tag}: no name of a release"))
            .remedy("letters, digits, dots, dashes: v1.2.0"));
    }
    Ok(Path::new(DIRECTORY).join(format!("{}@{tag}.json", host.class())))
}

/// Whether a file here is one that is committed for others.
pub fn is_committed(path: &Path) -> bool {
    // Called from within, the path alone does not name it.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().and_then(Path::file_name);
    directory.is_some_and(|name| name == DIRECTORY)
}

/// The baseline of this host class or, where there is none, the newest of another one.
///
/// # Errors
/// There is no baseline at all.
pub fn nearest(host: &Host) -> Result<PathBuf, Failure> {
    let own = own(host);
    if own.exists() {
        return Ok(own);
    }
    let others = fs::read_dir(DIRECTORY)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let release = path.file_name()?.to_string_lossy().contains('@');
            if release {
                return None;
            }
            let baseline = Baseline::load(&path).ok()?;
            Some((baseline.sessions.last()?.date, path))
        });
    others.max().map(|(_, path)| path).ok_or_else(|| {
        Failure::at(&own, "no baseline for this class of machine, nor for any other")
            .remedy("cargo compare run --times 10 --out DIR -- cargo bench && cargo compare refresh --run DIR")
    })
}

/// Where the gate.toml beside a baseline lies, or else that of this directory, whether it is
/// there or not.
pub fn gate_file(beside: Option<&Path>) -> PathBuf {
    match beside {
        Some(baseline) => baseline.with_file_name("gate.toml"),
        None => Path::new(DIRECTORY).join("gate.toml"),
    }
}

/// The gate.toml beside a baseline, or else that of this directory's; where there is none the
/// shipped one, whose budgets are another project's and do not count.
///
/// # Errors
/// There is one, and it cannot be used.
pub fn gate(beside: Option<&Path>) -> Result<Gate, Failure> {
    let path = gate_file(beside);
    match path.exists() {
        true => Gate::load(&path).map_err(Failure::new),
        false => Ok(Gate::shipped()),
    }
}
