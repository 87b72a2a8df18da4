//! The documents: what they link to is there, and the commands they show are understood.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, PERFORMANCE, CONTRIBUTING and the pages under docs, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = ["README.md", "PERFORMANCE.md", "CONTRIBUTING.md"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    let pages = fs::read_dir(root().join("docs")).unwrap();
    paths.extend(
        pages
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn a_front_page_is_a_page() {
    for (name, most) in [("README.md", 120), ("PERFORMANCE.md", 250)] {
        let lines = fs::read_to_string(root().join(name))
            .unwrap()
            .lines()
            .count();
        assert!(lines <= most, "{name} has {lines} lines");
    }
}

#[test]
fn what_is_linked_to_is_there() {
    for (path, text) in documents() {
        for target in links(&text) {
            let place = path.parent().unwrap().join(&target);
            assert!(place.exists(), "{}: {target} is not there", path.display());
        }
    }
}

/// The files that Markdown links to, without their anchors.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// The diffs that CONTRIBUTING shows are real: each applies to the tree as it is.
#[test]
fn what_contributing_shows_applies() {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let diffs: Vec<&str> = text
        .split("```diff\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(diff, _)| diff))
        .collect();
    assert_eq!(diffs.len(), 3);
    for diff in diffs {
        let mut patch = tempfile::NamedTempFile::new().unwrap();
        patch.write_all(diff.as_bytes()).unwrap();
        let output = Command::new("git")
            .current_dir(root())
            .args(["apply", "--check", "--recount"])
            .arg(patch.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}{diff}");
    }
}

#[test]
fn every_option_of_probecost_that_is_shown_is_one() {
    let mut help = BTreeMap::new();
    let mut seen = 0;
    for (path, text) in documents() {
        for words in commands(&text) {
            let subcommand: Vec<&str> = words
                .iter()
                .take(2)
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
                .take_while(|word| !word.starts_with('-'))
                .map(String::as_str)
                .collect();
            let help = help
                .entry(subcommand.join(" "))
                .or_insert_with(|| help_of(&subcommand));
            let ours = words.iter().skip(1).take_while(|word| *word != "--");
            for option in ours.filter(|word| word.starts_with("--")) {
                let name = option.split('=').next().unwrap();
                let known = help
                    .split(|c: char| c.is_whitespace() || "=,[]<>".contains(c))
                    .any(|word| word == name);
                assert!(known, "{}: probecost {words:?}: {name}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} commands were found");
}

/// What the documents have probecost do, in words: of `probecost …` and `cargo run … -- …`.
fn commands(text: &str) -> Vec<Vec<String>> {
    // Of a command over several lines the first has the subcommand; the rest is joined.
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("$ ");
        let after = line
            .strip_prefix("probecost ")
            .or_else(|| line.strip_prefix("target/release/probecost "))
            .or_else(|| {
                line.strip_prefix("cargo run ")?
                    .split_once("-- ")
                    .map(|two| two.1)
            })?;
        let command = after.split(['#', '|', ';', '>', '`']).next()?;
        Some(words_of(command))
    });
    lines
        .filter(|words: &Vec<String>| !words.is_empty())
        .collect()
}

/// A command cut into words; what stands in single quotes is one.
fn words_of(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (n, part) in command.split('\'').enumerate() {
        for character in part.chars() {
            match words.last_mut() {
                Some(last) if n % 2 == 1 || !character.is_whitespace() => last.push(character),
                _ => words.push(String::new()),
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn help_of(subcommand: &[&str]) -> String {
    let ask = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_probecost"))
            .args(words)
            .arg("--help")
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    };
    // The second word may be a subcommand's own, or an argument.
    ask(subcommand)
        .or_else(|| ask(&subcommand[..1]))
        .unwrap_or_else(|| panic!("the documents show probecost {subcommand:?}"))
}
