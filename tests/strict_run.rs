//! `tools/strict-run` judges what this run measured, and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "support/program.rs"]
mod program;

use program::program;

/// A `cargo` whose soak panics as a Rust program does, and which judges whatever it is
/// given as kept.
const CARGO: &str = "#!/bin/sh\ncase \"$*\" in *soak*--duration*) exit 101 ;; esac\n";

#[test]
fn a_soak_that_panicked_is_broken_and_an_older_one_is_not_taken_for_it() {
    let scratch = tempfile::tempdir().unwrap();
    let cargo = scratch.path().join("cargo");
    program(&cargo, CARGO);
    let out = scratch.path().join("out");
    fs::create_dir(&out).unwrap();
    let stale = out.join("soak.json");
    fs::write(&stale, "{}").unwrap();

    let path = format!(
        "{}:{}",
        scratch.path().display(),
        std::env::var("PATH").unwrap()
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/strict-run");
    let output = Command::new(script)
        .args(["--soak", "1s", "--out"])
        .arg(&out)
        .env("PATH", path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!stale.exists(), "an older soak.json lies there still");
}
