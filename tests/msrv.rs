//! Every package that the lock file brings in builds with the oldest Rust that this
//! workspace states.

use std::env;
use std::process::Command;

use serde_json::{Value, json};

/// The oldest Rust that this workspace states.
const STATED: &str = env!("CARGO_PKG_RUST_VERSION");

/// The packages that want a newer Rust than `stated`, each with what it wants.
fn offenders(metadata: &Value, stated: &str) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter_map(|package| {
            let wanted = package["rust_version"].as_str()?;
            (numbers(wanted) > numbers(stated)).then(|| {
                let [name, version] = ["name", "version"].map(|key| package[key].as_str());
                let [name, version] = [name, version].map(Option::unwrap_or_default);
                format!("{name} {version} wants Rust {wanted}, not {stated}")
            })
        })
        .collect()
}

/// A version as numbers that compare: `1.89` and `1.89.0` are the same.
fn numbers(version: &str) -> [u64; 3] {
    let mut numbers = version.split('.').map(|number| {
        number
            .parse()
            .unwrap_or_else(|_| panic!("{version} is no Rust version"))
    });
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// What cargo knows of the packages in the lock file. Those of other systems are not
/// asked for: a build here has never downloaded them.
fn metadata() -> Value {
    let platform = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let output = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {errors}");
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

#[test]
fn every_locked_package_builds_with_the_stated_rust() {
    let metadata = metadata();
    assert_eq!(offenders(&metadata, STATED), [""; 0]);
    // The same packages under an old Rust: the check sees what they declare.
    let old = offenders(&metadata, "1.31");
    assert!(old.iter().any(|line| line.starts_with("serde ")), "{old:?}");
}

#[test]
fn a_package_that_wants_a_newer_rust_is_named() {
    let metadata = json!({"packages": [
        {"name": "old", "version": "1.0.0", "rust_version": "1.9.0"},
        {"name": "same", "version": "2.0.0", "rust_version": "1.89.0"},
        {"name": "silent", "version": "3.0.0", "rust_version": null},
        {"name": "patched", "version": "4.0.0", "rust_version": "1.89.1"},
        {"name": "newer", "version": "5.0.0", "rust_version": "1.100"},
    ]});
    assert_eq!(
        offenders(&metadata, "1.89"),
        [
            "patched 4.0.0 wants Rust 1.89.1, not 1.89",
            "newer 5.0.0 wants Rust 1.100, not 1.89",
        ]
    );
}
