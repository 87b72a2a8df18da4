//! The workflows of this repository: what is wrong with them, and what their steps do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use workflow::file::Workflow;
use workflow::flaws::flaws;
use workflow::plan::{Action, Run, Shell, check};

#[path = "../../../tests/support/program.rs"]
mod program;

use program::program;

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
            "    concurrency:\n      group: perf-runner\n      cancel-in-progress: false\n      queue: max\n",
            "",
            "no concurrency of its own",
        ),
        (
            "weekly.yml",
            "      queue: max\n",
            "",
            "pushes out one that waits",
        ),
        (
            "soak.yml",
            "cancel-in-progress: false",
            "cancel-in-progress: true",
            "takes no queue",
        ),
        (
            "report.yml",
            "      RUSTUP_TOOLCHAIN: 1.95.0\n",
            "      RUST_BACKTRACE: 1\n",
            "its compiler is another one",
        ),
        ("soak.yml", "queue: max", "queue: all", "unknown variant"),
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
            "ci.yml",
            "git config --global --add safe.directory",
            "echo",
            "safe.directory first",
        ),
        (
            "ci.yml",
            "defaults:\n  run:\n    shell: bash\n",
            "",
            "GitHub runs it by sh",
        ),
        (
            "weekly.yml",
            "PROBECOST_REQUIRE_AGENT: 1",
            "PROBECOST_REQUIRE_AGENT: 0",
            "rows without an agent",
        ),
        ("perf.yml", "--minutes 60 ", "", "may outlast the job"),
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
            Action::Run(script, variables, _) => Some(Script { script, variables }),
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
    program(&cargo, "#!/bin/sh\nprintf '%s|' \"$@\"\n");
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

/// A repository of one commit, tagged v1, and a `cargo` that knows the class of the machine
/// and makes what it is asked for.
struct Bench(tempfile::TempDir);

const CARGO: &str = r#"#!/bin/bash
out=
while (($#)); do
    case $1 in
    --class) echo this-class ;;
    --out) out=$2 ;;
    esac
    shift
done
[[ -z $out ]] || echo "$RANDOM$RANDOM" >"$out"
"#;

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        program(&bench.path("bin/cargo"), CARGO);
        fs::create_dir(bench.path("home")).unwrap();
        fs::create_dir_all(bench.path("tree/baselines")).unwrap();
        let committed = "git init -q . && git -c user.name=a -c user.email=a@a commit -q \
                         --allow-empty -m one && git tag v1";
        assert_eq!(bench.run(committed, &[]).0, Some(0));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The exit status and what was said.
    fn run(&self, script: &str, variables: &[(String, String)]) -> (Option<i32>, String) {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(self.path("tree"))
            .env("HOME", self.path("home"))
            .env("GITHUB_RUN_ID", "7")
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .envs(variables.iter().cloned())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

/// An hour of measuring is not begun for what could not be kept.
#[test]
fn what_cannot_become_a_baseline_is_not_measured() {
    let bench = Bench::new();
    let asked = |how: &str, tag: &str| {
        let inputs = [("how", how), ("why", "so"), ("tag", tag)];
        let all = scripts("baselines.yml", "measure", "workflow_dispatch", &inputs);
        let measures = |script: &Script| script.script.contains("compare run");
        let measuring = all.iter().position(measures).unwrap();
        let first = all.iter().position(|s| s.script.contains("$HOW")).unwrap();
        assert!(first < measuring);
        bench.run(&all[first].script, &all[first].variables)
    };
    let (status, said) = asked("append", "");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("baselines/this-class.json"), "{said}");
    fs::write(bench.path("tree/baselines/this-class.json"), "{}").unwrap();
    assert_eq!(asked("append", "").0, Some(0));
    assert_eq!(asked("replace", "").0, Some(0));
    assert_eq!(asked("release", "v1").0, Some(0));
    bench.run("git tag a/b; git tag .c", &[]);
    for unkept in ["a/b", ".c", ""] {
        let (status, said) = asked("release", unkept);
        let named = said.contains("no baseline can have that name");
        assert_eq!((status, named), (Some(2), true), "{unkept}: {said}");
    }
    let (status, said) = asked("release", "v2");
    assert_eq!(
        (status, said.contains("no tag v2")),
        (Some(2), true),
        "{said}"
    );
    bench.run(
        "git -c user.name=a -c user.email=a@a commit -q --allow-empty -m two",
        &[],
    );
    let (status, said) = asked("release", "v1");
    assert_eq!((status, said.contains("not v1")), (Some(2), true), "{said}");
}

/// Each week's results lie beside those of the weeks before, where the page finds them.
#[test]
fn the_report_keeps_every_week() {
    let bench = Bench::new();
    let all = scripts("report.yml", "report", "schedule", &[]);
    let at = |words: &str| all.iter().find(|s| s.script.contains(words)).unwrap();
    let (before, after) = (at("results/before\n"), at("GITHUB_RUN_ID"));
    for week in 1..=3 {
        let week = week.to_string();
        assert_eq!(bench.run(&before.script, &[]).0, Some(0));
        let count = bench.run("find target/results -name soak.json | wc -l", &[]);
        let kept: u32 = count.1.trim().parse().unwrap();
        assert_eq!((kept + 1).to_string(), week);
        bench.run(
            "mkdir target/results/soak && touch target/results/soak/soak.json",
            &[],
        );
        let run = [("GITHUB_RUN_ID".to_owned(), week)];
        assert_eq!(bench.run(&after.script, &run), (Some(0), String::new()));
    }
}

/// Its runner is an ordinary user with three rights, who has valgrind and perf and no server.
#[test]
fn the_report_asks_only_for_what_its_runner_can_measure() {
    let can = [
        "overhead",
        "tracing-10000",
        "load",
        "soak",
        "storm",
        "report",
    ];
    let output = Command::new(root().join("tools/results"))
        .arg("list")
        .output()
        .unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let known: Vec<&str> = list.lines().map(str::trim).collect();
    let all = scripts("report.yml", "report", "schedule", &[]);
    let begin = "tools/results ";
    let mut asked = all.iter().filter_map(|s| s.script.strip_prefix(begin));
    for name in asked.next().unwrap().split_whitespace() {
        assert!(known.contains(&name) && can.contains(&name), "{name}");
    }
}

/// The suite of each week is a point of a course.
#[test]
fn the_weekly_suite_is_kept_as_a_course() {
    let bench = Bench::new();
    let all = scripts("weekly.yml", "suite", "schedule", &[]);
    let keep = all.iter().find(|s| s.script.contains("refresh")).unwrap();
    for weeks in 1..=2 {
        bench.run("mkdir -p target", &[]);
        let (status, said) = bench.run(&keep.script, &keep.variables);
        assert_eq!(status, Some(0), "{said}");
        let log = bench.run("git -C $HOME/probecost-weekly log --oneline | wc -l", &[]);
        assert_eq!(log.1.trim(), weeks.to_string());
        let verdicts = bench.run("ls $HOME/probecost-results/*-7/verdict.json", &[]);
        assert_eq!(verdicts.0, Some(0), "{}", verdicts.1);
    }
}

/// In a container GitHub takes sh unless told otherwise, elsewhere a bash without pipefail.
#[test]
fn a_script_has_the_shell_that_github_gives_it() {
    let job = "name: T\non: {push: {branches: [main]}}\nDEFAULTS\njobs:\n  one:\n    \
               runs-on: ubuntu-24.04\n    CONTAINER\n    steps:\n      - run: \"true\"\n        SHELL\n";
    let (container, bash) = (
        "container: {image: \"rust:1.95.0-bookworm\"}",
        "shell: bash",
    );
    let defaults = "defaults: {run: {shell: bash}}";
    for (defaults, container, shell, wanted) in [
        ("", "", "", Shell::Unsaid),
        ("", container, "", Shell::Sh),
        ("", container, bash, Shell::Bash),
        (defaults, container, "", Shell::Bash),
        (defaults, "", "shell: sh", Shell::Sh),
    ] {
        let text = job
            .replace("DEFAULTS", defaults)
            .replace("CONTAINER", container);
        let workflow = Workflow::parse(&text.replace("SHELL", shell)).unwrap();
        let run = Run::new(&workflow, "push", &root(), &[]).unwrap();
        let job = &workflow.jobs["one"];
        let action = run.action(job, &job.steps[0]).unwrap().unwrap();
        assert!(
            matches!(action, Action::Run(_, _, shell) if shell == wanted),
            "{action:?}"
        );
    }
}

/// What somebody else's reader of workflows finds, where it is installed.
#[test]
fn actionlint_finds_nothing() {
    let ran = Command::new("actionlint").current_dir(root()).output();
    let Ok(output) = ran else {
        eprintln!("skipped: there is no actionlint here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
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
