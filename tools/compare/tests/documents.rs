//! The commands of `cargo compare` that the documents show are understood.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_option_that_is_shown_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
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
