//! `host.json`: what `compare run` notes beside the results of a run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;

use probecost::file;
use probecost::schema::RunRecord;

use crate::failure::Failure;

/// The file's name, beside the benchmarks of a Criterion home.
const NAME: &str = "host.json";

/// What the command of a run printed, beside it.
pub const LOG: &str = "output.log";

/// Writes the record beside the results in `home`.
///
/// # Errors
/// The file cannot be written.
pub fn write(record: &RunRecord, home: &Path) -> Result<(), Failure> {
    let path = home.join(NAME);
    Ok(file::write_json(&path, record)?)
}

/// The record beside the results in `home`, if there is one.
///
/// # Errors
/// There is one, and it cannot be read.
pub fn read(home: &Path) -> Result<Option<RunRecord>, Failure> {
    let path = home.join(NAME);
    match fs::read(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::at(&path, e)),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Failure::at(&path, e).remedy(format!(
                "rm {}, if its machine does not matter",
                path.display()
            ))
        }),
    }
}

/// What run `k` is called until it is whole, while this process makes it.
pub fn partial(k: usize) -> String {
    format!("{k}.{}.partial", process::id())
}

/// The number of a run that was begun, by its directory.
fn begun(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?.strip_suffix(".partial")?;
    name.split('.').next()?.parse().ok()
}

/// What was begun of run `k` in `dir`.
///
/// # Errors
/// The directory cannot be listed.
pub fn begun_in(dir: &Path, k: usize) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| Failure::at(dir, e))? {
        let path = entry.map_err(|e| Failure::at(dir, e))?.path();
        all.extend((begun(&path) == Some(k)).then_some(path));
    }
    Ok(all)
}

/// A run in `dir` that `compare run` began and that did not end well, where there is one.
pub fn unfinished_in(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| begun(path).is_some() && path.join(LOG).is_file())
}

/// The runs that `compare run` left in `dir`, by number; none where it is no such directory.
///
/// # Errors
/// The directory cannot be listed.
pub fn runs_in(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut runs = numbered_in(dir)?;
    runs.retain(|run| run.join(NAME).is_file());
    Ok(runs)
}

/// What has the name of a run in `dir`, by number, whether it is one or not.
///
/// # Errors
/// The directory cannot be listed.
pub fn numbered_in(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut numbered = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| Failure::at(dir, e))? {
        let path = entry.map_err(|e| Failure::at(dir, e))?.path();
        let number = path
            .file_name()
            .and_then(|n| n.to_str()?.parse::<u64>().ok());
        if let Some(number) = number {
            numbered.push((number, path));
        }
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}
