//! A project's own Criterion, made to take its times from us: where a bench sets its own, and
//! up to 0.4, which takes whole seconds at best.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, Package, TargetKind};
use regex::Regex;
use walkdir::WalkDir;

use crate::failure::Failure;

/// Tells a bench its warm-up in seconds, its measurement in seconds and its samples,
/// whatever its code says.
pub const VARIABLE: &str = "PROBECOST_SAMPLING";

/// Where all versions from 0.3 to 0.8 begin to measure a benchmark; `config` is what was
/// asked for, in the code or on the command line.
const BEGINS: &str = "    criterion.report.benchmark_start(id, report_context);\n";

/// What is put before it. The samples stay at Criterion's fewest or more.
const YIELDS: &str = r#"    let asked = std::env::var("PROBECOST_SAMPLING").unwrap_or_default();
    let asked: Vec<f64> = asked.split(',').filter_map(|n| n.parse().ok()).collect();
    let config = &match asked[..] {
        [warm_up, measurement, samples] => BenchmarkConfig {
            warm_up_time: std::time::Duration::from_secs_f64(warm_up),
            measurement_time: std::time::Duration::from_secs_f64(measurement),
            sample_size: (samples as usize).max(10),
            nresamples: 1001,
            ..*config
        },
        _ => BenchmarkConfig { ..*config },
    };
"#;

/// Options that have cargo build a workspace with a copy of its Criterion that yields, kept
/// in `place`; `None` where that is not needed, or no such copy can be made.
///
/// # Errors
/// There is no room for it.
pub fn yielding(metadata: &Metadata, place: &Path) -> Result<Option<Vec<String>>, Failure> {
    let mut options = Vec::new();
    let from_registry = |p: &&Package| {
        let source = p.source.as_ref();
        *p.name == "criterion" && source.is_some_and(|s| s.is_crates_io())
    };
    let mut found = metadata.packages.iter().filter(from_registry);
    let old = found.any(|p| p.version.major == 0 && p.version.minor < 5);
    if !old && !sets_times(metadata) {
        return Ok(None);
    }
    for package in metadata.packages.iter().filter(from_registry) {
        let Some(original) = package.manifest_path.parent() else {
            continue;
        };
        let copy = place.join(format!("criterion-{}", package.version));
        if !copy_yielding(original.as_std_path(), &copy).map_err(|e| Failure::at(&copy, e))? {
            continue;
        }
        // Cargo takes one value an option here, no table.
        let key = format!("patch.crates-io.criterion-{}", options.len() / 4);
        for setting in [
            format!("{key}.package=\"criterion\""),
            format!("{key}.path=\"{}\"", copy.display()),
        ] {
            options.extend(["--config".to_owned(), setting]);
        }
    }
    Ok((!options.is_empty()).then_some(options))
}

/// Whether the source of any bench sets times of its own.
fn sets_times(metadata: &Metadata) -> bool {
    let Ok(setters) = Regex::new(r"\.\s*(measurement_time|warm_up_time|sample_size)\s*\(") else {
        return false;
    };
    metadata
        .workspace_packages()
        .iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.contains(&TargetKind::Bench))
        .filter_map(|target| target.src_path.parent())
        .flat_map(|directory| WalkDir::new(directory).into_iter().flatten())
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "rs"))
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|source| setters.is_match(&source))
}

/// Copies Criterion, made to yield; whether that can be done with this one.
fn copy_yielding(original: &Path, copy: &Path) -> std::io::Result<bool> {
    let file = Path::new("src/analysis/mod.rs");
    let Some(source) = yield_in(&fs::read_to_string(original.join(file)).unwrap_or_default())
    else {
        return Ok(false);
    };
    // What cargo has compiled of it once stays compiled.
    if fs::read_to_string(copy.join(file)).is_ok_and(|there| there == source) {
        return Ok(true);
    }
    for entry in WalkDir::new(original).into_iter().flatten() {
        let inside = entry.path().strip_prefix(original).unwrap_or(entry.path());
        let to: PathBuf = copy.join(inside);
        match entry.file_type().is_dir() {
            true => fs::create_dir_all(to)?,
            false => fs::copy(entry.path(), to).map(drop)?,
        }
    }
    fs::write(copy.join(file), source)?;
    Ok(true)
}

/// The source with our lines in it.
fn yield_in(source: &str) -> Option<String> {
    let (before, after) = source.split_once(BEGINS)?;
    (!after.contains(BEGINS)).then(|| format!("{before}{YIELDS}{BEGINS}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Criterion that this workspace itself uses.
    #[test]
    fn our_own_criterion_can_be_made_to_yield() {
        let metadata = cargo_metadata::MetadataCommand::new().exec().unwrap();
        let own = metadata.packages.iter().find(|p| *p.name == "criterion");
        let original = own.unwrap().manifest_path.parent().unwrap();
        let place = tempfile::tempdir().unwrap();
        let copy = place.path().join("criterion");
        assert!(copy_yielding(original.as_std_path(), &copy).unwrap());
        let made = fs::read_to_string(copy.join("src/analysis/mod.rs")).unwrap();
        assert!(made.contains(VARIABLE));
        assert!(copy.join("Cargo.toml").exists());
    }

    #[test]
    fn lines_are_put_where_measuring_begins_or_nowhere() {
        let source = format!("fn common() {{\n{BEGINS}}}\n");
        let made = yield_in(&source).unwrap();
        assert!(made.contains(VARIABLE) && made.contains(BEGINS));
        assert!(made.find(VARIABLE) < made.find(BEGINS));
        assert_eq!(yield_in("fn common() {}"), None);
        assert_eq!(yield_in(&format!("{BEGINS}{BEGINS}")), None);
    }
}
