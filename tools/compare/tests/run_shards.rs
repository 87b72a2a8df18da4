//! `cargo compare run --shard` on benches that cargo builds: some list nothing.

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::{Place, Ran};

const MANIFEST: &str = r#"[package]
name = "fake"
version = "0.1.0"
edition = "2024"
[workspace]
[[bench]]
name = "timed"
harness = false
[[bench]]
name = "counted"
harness = false
[[bench]]
name = "strict"
harness = false
"#;

/// Answers as Criterion does; and of figures without a name it writes those of all, or of
/// the first part.
const TIMED: &str = r#"
use std::{env, fs};
fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let ids = ["a", "b", "c", "d"];
    if args.iter().any(|a| a == "--list") {
        // What is left behind holds the pipe open.
        std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        ids.iter().for_each(|id| println!("{id}: benchmark"));
        return;
    }
    let home = env::var("CRITERION_HOME").unwrap();
    let first = env::var("PROBECOST_SHARD").is_ok_and(|part| part.starts_with("1/"));
    if first || args == ["--bench"] {
        fs::write(format!("{home}/unnamed"), "").unwrap();
    }
    let filter = args.last().unwrap().replace("^(?:", "").replace(")$", "");
    for id in ids.iter().filter(|id| filter.split('|').any(|own| own == **id)) {
        let new = format!("{home}/{id}/new");
        fs::create_dir_all(&new).unwrap();
        fs::write(format!("{new}/benchmark.json"), format!("{{\"full_id\":\"{id}\"}}")).unwrap();
        fs::write(format!("{new}/sample.json"), "{\"iters\":[1,1],\"times\":[9,9]}").unwrap();
    }
}
"#;

/// Lists its own with a sum, as gungraun does; a filter of Criterion's takes none of them.
const COUNTED: &str = r#"
use std::{env, fs};
fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.last().unwrap().as_str() {
        "--list" => println!("m::g::b: benchmark\n\n0 tests, 1 benchmarks"),
        "--bench" => fs::write(env::var("GUNGRAUN_HOME").unwrap() + "-counts", "").unwrap(),
        _ => {}
    }
}
"#;

/// Knows no argument but cargo's own.
const STRICT: &str = r#"
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(args, ["--bench"]);
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let libraries = std::env::var("LD_LIBRARY_PATH").unwrap();
    assert!(libraries.contains(&format!("{package}/target/release/deps:")));
    let home = std::env::var("CRITERION_HOME").unwrap();
    std::fs::write(home + "/strict", std::fs::read("Cargo.toml").unwrap()).unwrap();
}
"#;

#[test]
fn what_no_bench_lists_is_the_first_parts() {
    let place = Place::new();
    fs::create_dir_all(place.path("benches")).unwrap();
    fs::create_dir(place.path("src")).unwrap();
    for (name, text) in [
        ("Cargo.toml", MANIFEST),
        ("src/lib.rs", ""),
        ("benches/timed.rs", TIMED),
        ("benches/counted.rs", COUNTED),
        ("benches/strict.rs", STRICT),
    ] {
        fs::write(place.path(name), text).unwrap();
    }
    let mut timed = BTreeSet::new();
    for part in ["1/2", "2/2"] {
        let out = format!("runs-{}", &part[..1]);
        let run = ["run", "--times", "1", "--out", &out, "--shard", part];
        let mut command = place.command(&[&run[..], &["--", "cargo", "bench"]].concat());
        command
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS");
        let ran = Ran::of(command).exits(0);
        assert!(ran.err.contains("strict"), "{}", ran.err);
        let has = |name: &str| place.path(&format!("{out}/1/{name}")).exists();
        for rest in ["unnamed", "gungraun-counts", "strict"] {
            assert_eq!(has(rest), part == "1/2", "{rest} of {part}");
        }
        let own: Vec<&str> = ["a", "b", "c", "d"]
            .into_iter()
            .filter(|id| has(id))
            .collect();
        assert_eq!(own.len(), 2);
        timed.extend(own);
    }
    assert_eq!(timed.len(), 4);
}
