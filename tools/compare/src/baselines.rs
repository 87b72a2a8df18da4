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
            let baseline = Baseline::load(&path).ok()?;
            Some((baseline.sessions.last()?.date, path))
        });
    others.max().map(|(_, path)| path).ok_or_else(|| {
        Failure::at(&own, "no baseline for this class of machine, nor for any other")
            .remedy("cargo compare run --times 10 --out DIR -- cargo bench && cargo compare refresh --run DIR")
    })
}

/// The gate.toml beside a baseline, or the shipped one.
///
/// # Errors
/// There is one, and it cannot be used.
pub fn gate_beside(baseline: &Path) -> Result<Gate, Failure> {
    let path = baseline.with_file_name("gate.toml");
    match path.exists() {
        true => Gate::load(&path).map_err(Failure::new),
        false => Ok(Gate::shipped()),
    }
}
