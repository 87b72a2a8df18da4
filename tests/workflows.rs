//! The workflows: what actionlint does not look for.

use std::path::{Path, PathBuf};

/// The workflows with their text.
fn workflows() -> Vec<(PathBuf, String)> {
    let files = std::fs::read_dir(".github/workflows").unwrap();
    let all: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect();
    assert_eq!(all.len(), 5, "{all:?}");
    all
}

/// Everything that is wrong with a workflow.
fn flaws(text: &str) -> Vec<String> {
    let mut flaws = Vec::new();
    for key in ["permissions:", "concurrency:"] {
        if !text.lines().any(|line| line == key) {
            flaws.push(format!("no {key} for the whole workflow"));
        }
    }
    let count = |word: &str| text.lines().filter(|l| l.trim().starts_with(word)).count();
    if count("timeout-minutes:") != count("runs-on:") {
        flaws.push("a job without timeout-minutes".into());
    }
    for line in text.lines() {
        let used = line.trim().trim_start_matches("- ").strip_prefix("uses: ");
        let Some((_, revision)) = used.and_then(|used| used.split_once('@')) else {
            continue;
        };
        let commit = revision.split(' ').next().unwrap_or_default();
        let hexadecimal = commit.chars().all(|c| c.is_ascii_hexdigit());
        if commit.len() != 40 || !hexadecimal || !revision.contains(" # v") {
            flaws.push(format!("not pinned by commit and version: {line}"));
        }
    }
    // Text that others write must not become part of a script.
    let mut in_script = false;
    for line in text.lines() {
        let key = line.trim().trim_start_matches("- ").split(':').next();
        if line.contains("run: ") {
            in_script = true;
        } else if ["env", "uses", "with", "if", "name"]
            .map(Some)
            .contains(&key)
        {
            in_script = false;
        }
        if in_script && line.contains("${{") {
            flaws.push(format!("an expression inside a script: {line}"));
        }
    }
    flaws
}

#[test]
fn every_workflow_is_pinned_bounded_and_of_least_rights() {
    for (path, text) in workflows() {
        assert_eq!(flaws(&text), Vec::<String>::new(), "{}", path.display());
    }
}

/// What they run is there, and can be typed.
#[test]
fn every_script_that_a_workflow_runs_exists() {
    let mut found = 0;
    for (path, text) in workflows() {
        for word in text.split_whitespace() {
            if word.starts_with("tools/") || word == ".ci/run" {
                assert!(Path::new(word).exists(), "{}: {word}", path.display());
                found += 1;
            }
        }
    }
    assert!(found >= 3, "{found}");
}

#[test]
fn each_flaw_is_found() {
    let good = std::fs::read_to_string(".github/workflows/perf.yml").unwrap();
    for (from, to) in [
        ("\npermissions:", "\nwidely:"),
        ("\nconcurrency:", "\nas-it-comes:"),
        ("    timeout-minutes: 120\n", ""),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
        (" # v7.0.1", ""),
        (
            "tools/strict-run --soak 2m",
            "tools/strict-run --soak ${{ inputs.long }}",
        ),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert_eq!(flaws(&bad).len(), 1, "{from}: {:?}", flaws(&bad));
    }
}
