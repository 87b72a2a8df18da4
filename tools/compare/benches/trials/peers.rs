//! What other tools make of a commit that changes the version alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use compare::failure::Failure;
use compare::selftest::others;
use probecost::schema::{Status, Verdict};

use crate::project::{Change, Files};
use crate::trial::{Kind, Trial, duet};
use crate::{keep, read};

/// Runs of either side: what benchstat asks for.
const RUNS: usize = 10;

/// A line for each tool, and two for `duet`; where `make`, from what is measured now.
///
/// # Errors
/// The project does not build, or a tool does not run.
pub fn table(place: &Path, make: bool) -> Result<String, Failure> {
    let runs = ["base", "head"].map(|side| place.join(side));
    let verdicts = ["as-built.json", "one-layout.json"].map(|name| place.join(name));
    if make && !verdicts[1].exists() {
        measure(place, &runs, &verdicts)?;
    }
    let mut text = "\n| of another version | runs | called slower | called faster |\n\
                    |:--|--:|:--|:--|\n"
        .to_owned();
    let mut line = |who: &str, runs: &str, slower: &[String], faster: &[String]| {
        let said = |ids: &[String]| match ids.len() {
            0 => "none".to_owned(),
            count => format!("{count}: {}", ids.join(", ")),
        };
        text += &format!("| {who} | {runs} | {} | {} |\n", said(slower), said(faster));
    };
    if runs.iter().all(|run| run.exists()) {
        for other in others(&runs[0], &runs[1])? {
            let runs = match other.tool.contains("benchstat") {
                true => format!("{RUNS} + {RUNS}"),
                false => "1 + 1".to_owned(),
            };
            line(other.tool, &runs, &other.slower, &other.faster);
        }
    }
    for (path, who) in verdicts.iter().zip(["duet, as built", "duet, one layout"]) {
        if let Some(verdict) = read(path)? {
            let most = verdict.rows.iter().map(|row| row.runs.current).max();
            let most = format!("up to {0} + {0}", most.unwrap_or(0));
            let called = |status| ids(&verdict, status);
            line(
                who,
                &most,
                &called(Status::Regressed),
                &called(Status::Improved),
            );
        }
    }
    Ok(text)
}

fn ids(verdict: &Verdict, status: Status) -> Vec<String> {
    let rows = verdict.rows.iter().filter(|row| row.status == status);
    rows.map(|row| row.id.clone()).collect()
}

fn measure(place: &Path, runs: &[PathBuf; 2], verdicts: &[PathBuf; 2]) -> Result<(), Failure> {
    let project = place.join("project");
    let built = ["base-bench", "head-bench"].map(|name| place.join(name));
    // Whoever goes on does so at the commit that the runs are of.
    if !built[1].exists() {
        let trial = Trial {
            kind: Kind::Peers,
            number: 0,
        };
        let mut files = Files::new(&trial.recipe());
        files.commit(&project)?;
        build(&project, &built[0])?;
        files.change(Change::Version, 0);
        files.commit(&project)?;
        build(&project, &built[1])?;
    }
    for k in 1..=RUNS {
        for (bench, out) in built.iter().zip(runs) {
            run(&project, bench, out, k)?;
        }
    }
    keep(&verdicts[0], &duet(&project, &["--as-built"])?)?;
    keep(&verdicts[1], &duet(&project, &[])?)
}

/// What cargo builds, kept at `to`.
fn build(project: &Path, to: &Path) -> Result<(), Failure> {
    let output = Command::new("cargo")
        .args(["bench", "--no-run", "--message-format", "json"])
        .current_dir(project)
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_DIR", project.join("target"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Failure::at(project, e))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let made = said.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    let made = made.ok_or_else(|| Failure::at(project, "cargo bench --no-run made no bench"))?;
    fs::copy(made, to).map_err(|e| Failure::at(to, e))?;
    Ok(())
}

/// Run number `k` of a bench of the project, by Criterion itself.
fn run(project: &Path, bench: &Path, out: &Path, k: usize) -> Result<(), Failure> {
    let status = Command::new(env!("CARGO_BIN_EXE_cargo-compare"))
        .args(["run", "--times", &k.to_string(), "--out"])
        .args([out, Path::new("--"), bench])
        .args(["--bench", "--noplot"])
        .args(["--warm-up-time", "0.3", "--measurement-time", "1"])
        .current_dir(project)
        .stdout(Stdio::null())
        .status()
        .map_err(|e| Failure::at(bench, e))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::at(bench, status.to_string())),
    }
}
