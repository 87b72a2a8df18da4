//! The commands of `cargo compare` that the documents show are understood.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../../tests/support/program.rs"]
mod program;

use program::program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn script(path: &Path, text: &str) {
    program(path, format!("#!/bin/sh\n{text}\n"));
}

#[test]
fn every_option_that_is_shown_is_one() {
    let root = root();
    let mut paths = vec![root.join("README.md"), root.join("PERFORMANCE.md")];
    paths.extend(
        fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    let mut help = BTreeMap::new();
    let mut seen = 0;
    for path in paths {
        let text = fs::read_to_string(&path).unwrap().replace("\\\n", " ");
        let commands = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("cargo compare "))
            .filter_map(|words| words.split(['#', '|', ';', '>', '`']).next());
        for command in commands {
            let mut words = command.split_whitespace();
            let Some(subcommand) = words.next() else {
                continue;
            };
            let help = help
                .entry(subcommand.to_owned())
                .or_insert_with(|| help_of(subcommand));
            let ours = words.take_while(|word| *word != "--");
            for word in ours.map(|word| word.trim_matches(['[', ']', '.'])) {
                let Some(name) = word
                    .starts_with("--")
                    .then(|| word.split('=').next())
                    .flatten()
                else {
                    continue;
                };
                let known = help
                    .split(|c: char| c.is_whitespace() || "=,[]<>".contains(c))
                    .any(|known| known == name);
                assert!(known, "{}: {command}: {name}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} commands were found");
}

fn help_of(subcommand: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-compare"))
        .args([subcommand, "--help"])
        .output()
        .unwrap();
    assert!(output.status.success(), "the documents show {subcommand}");
    String::from_utf8(output.stdout).unwrap()
}

/// `docs/exit-codes.md` shows how make goes on after 0 and 3 alone.
#[test]
fn make_goes_on_where_nothing_is_wrong() {
    let text = fs::read_to_string(root().join("docs/exit-codes.md")).unwrap();
    let (_, recipe) = text.split_once("\n    check:\n").unwrap();
    let lines = recipe.lines().map_while(|line| line.strip_prefix("    "));
    let recipe = lines.collect::<Vec<_>>().join("\n");
    let place = tempfile::tempdir().unwrap();
    for (code, goes_on) in [(0, true), (1, false), (2, false), (3, true)] {
        let recipe = recipe.replace("cargo compare check", &format!("(exit {code})"));
        fs::write(place.path().join("Makefile"), format!("check:\n{recipe}\n")).unwrap();
        let ran = Command::new("make").current_dir(place.path()).output();
        let ran = ran.unwrap();
        assert_eq!(ran.status.success(), goes_on, "{code}: {ran:?}");
    }
}

/// `tools/results` in a repository of its own, where only `host` can be measured.
#[test]
fn results_that_are_not_there_are_no_success() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let results = fs::read(root().join("tools/results")).unwrap();
    program(&at("tools/results"), results);
    for document in ["README.md", "PERFORMANCE.md"] {
        fs::write(at(document), "").unwrap();
    }
    script(&at("target/release/probecost"), "echo class");
    script(&at("bin/cargo"), "exit 0");
    fs::create_dir(at("tmp")).unwrap();
    let run = |program: &str, words: &[&str]| {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(program);
        command.args(words).current_dir(place.path());
        command.env("PATH", format!("{}:{path}", at("bin").display()));
        command.env("TMPDIR", at("tmp")).output().unwrap()
    };
    run("git", &["init", "--quiet"]);
    let name = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
    let commit = ["commit", "--quiet", "--allow-empty", "--message=a"];
    run("git", &[&name[..], &commit].concat());
    for (names, code, said) in [
        (&["host"][..], 0, "host: cargo run"),
        (&["host", "knobs"], 2, "knobs: exit status 127"),
        (&["hosts"], 2, "no measurement is called hosts"),
    ] {
        let ran = run("tools/results", names);
        let words = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{words}");
        assert!(words.contains(said), "{words}");
        let left = fs::read_dir(at("tmp")).unwrap().count();
        assert_eq!(left, 0, "{names:?} left a file");
    }
    assert!(at("docs/results/class/host.md").exists());
}
