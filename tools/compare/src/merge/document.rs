//! What shards left, read.

use std::fs;
use std::path::{Path, PathBuf};

use probecost::schema::impact::{Impact, ImpactRow};
use probecost::schema::{ShardPart, Verdict};
use serde_json::Value;
use walkdir::WalkDir;

use crate::failure::Failure;

/// A shard's document.
pub struct Sharded<T> {
    /// Its file.
    pub path: PathBuf,
    /// Which shard it is.
    pub part: ShardPart,
    /// The names of the rows in it.
    pub names: Vec<String>,
    /// All of it.
    pub document: T,
}

/// The documents of shards, all of one kind.
pub enum Documents {
    /// Of `duet` or `check`.
    Verdicts(Vec<Sharded<Verdict>>),
    /// Of `probecost impact`.
    Impacts(Vec<Sharded<Impact>>),
}

/// What a row of impact is called in the suite: its program and its arm, which stay together.
fn name(row: &ImpactRow) -> String {
    format!("{}/{}", row.program, row.arm)
}

/// Reads the shards' documents in these places.
///
/// # Errors
/// There are none, they are of both kinds, or one cannot be read.
pub fn read(places: &[PathBuf]) -> Result<Documents, Failure> {
    let (mut verdicts, mut impacts) = (Vec::new(), Vec::new());
    for path in files(places)? {
        let bytes = fs::read(&path).map_err(|e| Failure::at(&path, e))?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|e| Failure::at(&path, e))?;
        // What else lies in a directory is none of ours.
        if json.get("shard").is_none() {
            if places.contains(&path) {
                return Err(Failure::at(&path, "not a shard's document")
                    .remedy("--shard I/N --format json --out FILE makes one"));
            }
            continue;
        }
        let at = |e| Failure::at(&path, e);
        match json.get("arms") {
            Some(_) => {
                let mut document: Impact = serde_json::from_value(json).map_err(at)?;
                let names = document.rows.iter().map(name).collect();
                if let Some(part) = document.shard.take() {
                    impacts.push(Sharded {
                        path,
                        part,
                        names,
                        document,
                    });
                }
            }
            None => {
                let mut document: Verdict = serde_json::from_value(json).map_err(at)?;
                let names = document.rows.iter().map(|row| row.id.clone()).collect();
                if let Some(part) = document.shard.take() {
                    verdicts.push(Sharded {
                        path,
                        part,
                        names,
                        document,
                    });
                }
            }
        }
    }
    match (verdicts.first(), impacts.first()) {
        (Some(_), None) => Ok(Documents::Verdicts(verdicts)),
        (None, Some(_)) => Ok(Documents::Impacts(impacts)),
        (None, None) => Err(
            Failure::new(format!("no shard's document in {}", named(places)))
                .remedy("--shard I/N --format json --out FILE makes one"),
        ),
        (Some(verdict), Some(impact)) => Err(Failure::at(
            &impact.path,
            format!("a shard of another kind than {}", verdict.path.display()),
        )
        .remedy("merge each kind by itself")),
    }
}

/// The JSON files in these places, in the order of their names.
fn files(places: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for place in places {
        for entry in WalkDir::new(place).sort_by_file_name() {
            let entry = entry.map_err(|e| Failure::at(place, e))?;
            let json = entry.path().extension().is_some_and(|e| e == "json");
            if entry.file_type().is_file() && (json || entry.depth() == 0) {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}

fn named(places: &[PathBuf]) -> String {
    let names: Vec<_> = places
        .iter()
        .map(|p| Path::display(p).to_string())
        .collect();
    names.join(", ")
}
