//! The workflows of this repository: what is wrong with them, and what their steps do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use workflow::file::Workflow;
use workflow::flaws::flaws;
use workflow::plan::{Action, Run, check};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(".github/workflows").join(name)).unwrap()
}

/// Everything that is wrong with a workflow.
fn all_flaws(text: &str) -> Vec<String> {
    match Workflow::parse(text) {
        Ok(workflow) => [flaws(&workflow, text), check(&workflow, &root())].concat(),
        Err(flaw) => vec![flaw],
    }
}

#[test]
fn every_workflow_is_understood_and_has_no_flaw() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        let found = all_flaws(&fs::read_to_string(&path).unwrap());
        assert_eq!(found, [""; 0], "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 7, "{seen}");
}

#[test]
fn each_flaw_is_found() {
    for (file, from, to, words) in [
        (
            "perf.yml",
            "\npermissions:\n  contents: read\n",
            "\n",
            "no permissions",
        ),
        (
            "perf.yml",
            "    timeout-minutes: 180\n",
            "",
            "timeout-minutes",
        ),
        (
            "perf.yml",
            "    concurrency:\n      group: perf-runner\n      cancel-in-progress: false\n",
            "",
            "no concurrency of its own",
        ),
        (
            "perf.yml",
            "\njobs:",
            "\nconcurrency:\n  group: x\n\njobs:",
            "shares a group",
        ),
        (
            "perf.yml",
            "    environment: perf\n",
            "",
            "without approval",
        ),
        (
            "perf.yml",
            "@3d3c42e5aac5ba805825da76410c181273ba90b1",
            "@v7",
            "not pinned",
        ),
        ("perf.yml", " # v7.0.1", "", "no version"),
        (
            "perf.yml",
            "--soak 2m",
            "--soak ${{ github.sha }}",
            "inside a script",
        ),
        (
            "perf.yml",
            "github.repository &&",
            "github.repo &&",
            "github.repo is not known",
        ),
        (
            "soak.yml",
            "if: always()",
            "if: github.event_name == 'push'",
            "no event reaches it",
        ),
        (
            "perf.yml",
            "timeout-minutes",
            "time-out-minutes",
            "unknown field",
        ),
        (
            "ci.yml",
            "ubuntu-24.04",
            "ubuntu-latest",
            "another one tomorrow",
        ),
        (
            "ci.yml",
            "rust:1.95.0-bookworm",
            "rust:1-bookworm",
            "another one tomorrow",
        ),
        (
            "ci.yml",
            "hashFiles('Cargo.lock')",
            "hashFiles('Cargo.lok')",
            "Cargo.lok",
        ),
        (
            "ci.yml",
            "hashFiles",
            "hashFile",
            "hashFile with 1 arguments is not known",
        ),
        (
            "ci.yml",
            "uses: actions/cache@",
            "uses: actions/cash@",
            "actions/cash is not known",
        ),
        (
            "ci.yml",
            "--out counts",
            "--out target/counts",
            "its runs lie in a cache",
        ),
        (
            "ci.yml",
            "persist-credentials",
            "keep-credentials",
            "keep-credentials is not known",
        ),
        (
            "baselines.yml",
            "needs: measure",
            "needs: measures",
            "no job is called measures",
        ),
        (
            "baselines.yml",
            "inputs.how",
            "inputs.what",
            "inputs.what is not known",
        ),
        (
            "baselines.yml",
            "default: append",
            "default: add",
            "is none of",
        ),
        (
            "benchmark.yml",
            "RUSTUP_TOOLCHAIN: 1.95.0",
            "BASE: ${{ github.event.base }}",
            "not known for this event",
        ),
        (
            "benchmark.yml",
            "duet --base HEAD^1",
            "duet --base \"$BASE\"\n        env: {BASE: \"${{ github.event.pull_request.base.sha }}\"}\n        name: duet",
            "HEAD^1",
        ),
    ] {
        let good = text(file);
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{file}: {from}");
        let found = all_flaws(&bad);
        assert!(
            found.iter().any(|flaw| flaw.contains(words)),
            "{file}, {from}: {found:?}"
        );
    }
}

/// The scripts of a workflow's job, as an event runs them.
fn scripts(file: &str, job: &str, event: &str, inputs: &[(&str, &str)]) -> Vec<Script> {
    let workflow = Workflow::parse(&text(file)).unwrap();
    let inputs: Vec<_> = inputs
        .iter()
        .map(|(a, b)| (a.to_string(), b.to_string()))
        .collect();
    let run = Run::new(&workflow, event, &root(), &inputs).unwrap();
    let job = &workflow.jobs[job];
    job.steps
        .iter()
        .filter_map(|step| match run.action(job, step).unwrap()? {
            Action::Run(script, variables) => Some(Script { script, variables }),
            _ => None,
        })
        .collect()
}

struct Script {
    script: String,
    variables: Vec<(String, String)>,
}

/// The first baseline of a machine can be made, and a real change be accepted by more runs.
#[test]
fn a_baseline_is_appended_to_or_replaced_as_was_asked() {
    let tools = tempfile::tempdir().unwrap();
    let cargo = tools.path().join("cargo");
    fs::write(&cargo, "#!/bin/sh\nprintf '%s|' \"$@\"\n").unwrap();
    fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        tools.path().display(),
        std::env::var("PATH").unwrap()
    );
    for (how, expected) in [
        (
            "release",
            "compare|refresh|--run|target/runs|--tag|v1.2.0|--why|it's so|",
        ),
        (
            "append",
            "compare|refresh|--run|target/runs|--append|--why|it's so|",
        ),
        (
            "replace",
            "compare|refresh|--run|target/runs|--why|it's so|",
        ),
    ] {
        let inputs = [("how", how), ("why", "it's so"), ("tag", "v1.2.0")];
        let all = scripts("baselines.yml", "measure", "workflow_dispatch", &inputs);
        let refresh = all.iter().find(|s| s.script.contains("refresh")).unwrap();
        let output = Command::new("bash")
            .args(["-e", "-c", &refresh.script])
            .envs(refresh.variables.clone())
            .env("PATH", &path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

/// What they run is there, and can be typed.
#[test]
fn every_script_that_a_workflow_runs_exists() {
    let mut found = 0;
    for entry in fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        for word in fs::read_to_string(&path).unwrap().split_whitespace() {
            if word.starts_with("tools/") || word == ".ci/run" {
                assert!(root().join(word).exists(), "{}: {word}", path.display());
                found += 1;
            }
        }
    }
    assert!(found >= 3, "{found}");
}
