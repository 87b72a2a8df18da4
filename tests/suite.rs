//! `cargo suite` runs every target that is held to a budget.

use std::fs;
use std::path::{Path, PathBuf};

use probecost::gate::Gate;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The targets of the alias, as cargo reads it.
fn suite() -> Vec<String> {
    let config = fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let alias = config["alias"]["suite"].as_str().unwrap();
    let words: Vec<&str> = alias.split(' ').collect();
    let targets = words.windows(2).filter(|pair| pair[0] == "--bench");
    targets.map(|pair| pair[1].to_owned()).collect()
}

/// The source of a bench target.
fn source(target: &str) -> String {
    let benches = root().join("benches");
    let mut files: Vec<PathBuf> = vec![benches.join(format!("{target}.rs"))];
    let directory = fs::read_dir(benches.join(target)).into_iter().flatten();
    files.extend(directory.map(|entry| entry.unwrap().path()));
    let there = files.iter().filter(|file| file.exists());
    there
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

/// The budgets whose group none of these targets has. A target counts in modules that begin
/// with its name; else a group is Criterion's, or begins the id of a figure.
fn unmeasured(targets: &[String]) -> Vec<String> {
    let gate = Gate::load(&root().join("baselines/gate.toml")).unwrap();
    let sources: Vec<String> = targets.iter().map(|target| source(target)).collect();
    let measured = |id: &String| match (id.split_once("::"), id.split_once('/')) {
        (Some((module, _)), _) => targets.iter().any(|target| target == module),
        (None, Some((group, _))) => sources.iter().any(|source| {
            source.contains(&format!("benchmark_group(\"{group}\")"))
                || source.contains(&format!("\"{group}/"))
        }),
        (None, None) => false,
    };
    let budgets = gate.budgets.into_keys();
    budgets.filter(|id| !measured(id)).collect()
}

#[test]
fn every_budget_is_of_a_target_of_the_suite() {
    let all = suite();
    assert_eq!(unmeasured(&all), [""; 0]);
    for target in [
        "event_processing",
        "allocation",
        "lifecycle",
        "http_parse",
        "http_request",
        "instructions",
    ] {
        let others: Vec<String> = all.iter().filter(|t| *t != target).cloned().collect();
        assert!(others.len() < all.len(), "{target}");
        assert!(!unmeasured(&others).is_empty(), "{target}");
    }
}
