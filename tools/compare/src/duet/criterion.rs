//! A project's own Criterion, made to take its times from us: where a bench sets its own, and
//! up to 0.4, which takes whole seconds at best.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, Package, TargetKind};
use regex::Regex;
use walkdir::WalkDir;

use super::own::copy_all;
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

/// Options that have cargo build each side with a copy of its Criterion that yields, kept in
/// `place`; none where neither side needs that. Both sides or neither, else they would be
/// measured differently: in words why not, where one of them cannot.
///
/// # Errors
/// There is no room for it.
pub fn yielding(
    sides: [&Metadata; 2],
    place: &Path,
) -> Result<Result<[Vec<String>; 2], String>, Failure> {
    let old = |p: &Package| p.version.major == 0 && p.version.minor < 5;
    let needs = |side: &&Metadata| criterions(side).any(old) || sets_times(side);
    let mut options: [Vec<String>; 2] = Default::default();
    if !sides.iter().any(needs) {
        return Ok(Ok(options));
    }
    for ((side, options), name) in sides.iter().zip(&mut options).zip(["base", "head"]) {
        for (i, package) in criterions(side).enumerate() {
            match copied(package, place)? {
                Ok(copy) => options.extend(patch(i, &copy)),
                Err(why) => return Ok(Err(format!("{name}'s {why}"))),
            }
        }
    }
    Ok(Ok(options))
}

/// Criterion as a workspace has it, from wherever, and what stands in for it.
fn criterions(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    let packages = metadata.packages.iter();
    packages.filter(|p| *p.name == "criterion" || p.name.starts_with("codspeed-criterion-compat"))
}

/// Where a copy of it lies that yields; otherwise why there can be none.
fn copied(package: &Package, place: &Path) -> Result<Result<PathBuf, String>, Failure> {
    let called = format!("{} {}", package.name, package.version);
    match &package.source {
        Some(source) if *package.name == "criterion" && source.is_crates_io() => {}
        Some(source) if *package.name == "criterion" => {
            return Ok(Err(format!("{called} comes from {source}")));
        }
        _ => return Ok(Err(format!("{called} is not that of crates.io"))),
    }
    let copy = place.join(format!("criterion-{}", package.version));
    let original = package.manifest_path.parent();
    let made = original.map_or(Ok(false), |o| copy_yielding(o.as_std_path(), &copy));
    Ok(match made.map_err(|e| Failure::at(&copy, e))? {
        true => Ok(copy),
        false => Err(format!("{called} begins to measure in a way of its own")),
    })
}

/// Options that have cargo take the copy, which is a workspace's number `i`.
fn patch(i: usize, copy: &Path) -> Vec<String> {
    // Cargo takes one value an option here, no table.
    let key = format!("patch.crates-io.criterion-{i}");
    let settings = [
        format!("{key}.package=\"criterion\""),
        format!("{key}.path=\"{}\"", copy.display()),
    ];
    let options = settings.map(|setting| ["--config".to_owned(), setting]);
    options.into_iter().flatten().collect()
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
    copy_all(original, copy)?;
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

    /// A workspace with a Criterion from `source`, and a bench.
    fn workspace(place: &Path, version: &str, source: &str, bench: &str) -> Metadata {
        let criterion = place.join(format!("registry/{version}"));
        fs::create_dir_all(criterion.join("src/analysis")).unwrap();
        fs::write(criterion.join("src/analysis/mod.rs"), BEGINS).unwrap();
        let own = place.join(format!("{version}-{}", bench.len()));
        fs::create_dir_all(own.join("benches")).unwrap();
        fs::write(own.join("benches/b.rs"), bench).unwrap();
        let package = |name: &str, version: &str, source: Option<&str>, root: &Path| {
            serde_json::json!({
                "name": name, "version": version, "id": name, "source": source,
                "dependencies": [], "features": {}, "manifest_path": root.join("Cargo.toml"),
                "targets": [{
                    "name": "b", "kind": ["bench"], "crate_types": ["bin"],
                    "src_path": root.join("benches/b.rs"), "edition": "2021",
                    "doctest": false, "test": false, "doc": false,
                }],
            })
        };
        let metadata = serde_json::json!({
            "packages": [
                package("own", "0.1.0", None, &own),
                package("criterion", version, Some(source), &criterion),
            ],
            "workspace_members": ["own"], "workspace_root": own, "target_directory": own,
            "version": 1, "resolve": null,
        });
        serde_json::from_value(metadata).unwrap()
    }

    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
    const SETS: &str = "group.sample_size(10);";

    #[test]
    fn both_sides_yield_where_one_sets_its_times() {
        let place = tempfile::tempdir().unwrap();
        let side = |bench| workspace(place.path(), "0.5.1", CRATES_IO, bench);
        let asked = |base: &Metadata, head: &Metadata| {
            yielding([base, head], place.path()).unwrap().unwrap()
        };
        let (plain, sets) = (side(""), side(SETS));
        assert!(asked(&plain, &plain).iter().all(Vec::is_empty));
        for [base, head] in [asked(&plain, &sets), asked(&sets, &plain)] {
            assert_eq!(base.len(), 4, "{base:?}");
            assert_eq!(base, head);
        }
        let old = workspace(place.path(), "0.3.6", CRATES_IO, "");
        let [base, head] = asked(&old, &plain);
        assert!(base[3].contains("criterion-0.3.6") && head[3].contains("criterion-0.5.1"));
    }

    #[test]
    fn a_criterion_that_cannot_yield_is_named() {
        let place = tempfile::tempdir().unwrap();
        let side = |version, source| workspace(place.path(), version, source, SETS);
        let base = side("0.5.1", CRATES_IO);
        let why = |head: &Metadata| yielding([&base, head], place.path()).unwrap().unwrap_err();
        let said = why(&side("0.5.2", "git+https://example.org/criterion"));
        assert_eq!(
            said,
            "head's criterion 0.5.2 comes from git+https://example.org/criterion"
        );
        let other = side("0.9.0", CRATES_IO);
        let file = place.path().join("registry/0.9.0/src/analysis/mod.rs");
        fs::write(file, "fn common() {}").unwrap();
        assert!(why(&other).contains("0.9.0 begins to measure in a way"));
        let mut fork = side("0.6.0", CRATES_IO);
        fork.packages[1].name = "codspeed-criterion-compat".parse().unwrap();
        assert!(why(&fork).contains("codspeed-criterion-compat 0.6.0"));
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
