//! Running small workflows to their end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use workflow::file::Workflow;
use workflow::run::{Ended, Place, run};

#[path = "../../../tests/support/program.rs"]
mod program;

use program::program;

/// A repository of two commits.
fn repository() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(directory.path())
            .args(["-c", "user.name=a", "-c", "user.email=a@localhost"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "--quiet"]);
    for text in ["base", "head"] {
        fs::write(directory.path().join("file"), text).unwrap();
        git(&["add", "file"]);
        git(&["commit", "--quiet", "--message", text]);
    }
    // What is not committed is in no clone.
    fs::write(directory.path().join("file"), "unsaved").unwrap();
    directory
}

fn place(repository: &Path, event: &str) -> Place {
    Place {
        repository: repository.to_owned(),
        cache: repository.join("cache"),
        event: event.to_owned(),
        answers: Vec::new(),
        job: None,
        interrupted: Arc::default(),
    }
}

const HEAD: &str = "
name: T
on:
  push:
    branches: [main]
  pull_request:
jobs:
  one:
    runs-on: ubuntu-24.04
    env: {SHARED: of the job}
    steps:
      - uses: actions/checkout@0 # v1
        with: {fetch-depth: 0}
";

fn ended(steps: &str, event: &str) -> Result<Ended, String> {
    let repository = repository();
    let workflow = Workflow::parse(&format!("{HEAD}{steps}")).unwrap();
    run(&workflow, &place(repository.path(), event))
}

#[test]
fn steps_run_in_a_clean_clone_in_order() {
    let steps = r#"
      - run: |
          test "$(cat file)" = head
          test "$SHARED" = 'of the job'
          test "$EVENT" = push
          echo made >made
          echo line >>"$GITHUB_STEP_SUMMARY"
        env: {EVENT: "${{ github.event_name }}"}
      - run: test "$(cat made)" = made
"#;
    assert_eq!(ended(steps, "push"), Ok(Ended::Well));
}

#[test]
fn a_pull_request_is_a_merge_into_its_base() {
    let steps = r#"
      - run: |
          test "$(git show HEAD^1:file)" = base
          test "$(git show HEAD^2:file)" = head
          test "$(cat file)" = head
"#;
    assert_eq!(ended(steps, "pull_request"), Ok(Ended::Well));
}

#[test]
fn after_a_failure_only_what_asks_for_it_runs() {
    let steps = r#"
      - run: "false"
      - run: touch "$GITHUB_WORKSPACE/../wrong"
      - if: always()
        run: |
          test ! -e ../wrong
          touch ../right
"#;
    let repository = repository();
    let workflow = Workflow::parse(&format!("{HEAD}{steps}")).unwrap();
    assert_eq!(
        run(&workflow, &place(repository.path(), "push")),
        Ok(Ended::Badly)
    );
    let only_always = steps.replace("test ! -e ../wrong", "test -e ../wrong");
    let workflow = Workflow::parse(&format!("{HEAD}{only_always}")).unwrap();
    assert_eq!(
        run(&workflow, &place(repository.path(), "push")),
        Ok(Ended::Badly)
    );
}

#[test]
fn artifacts_go_from_job_to_job_and_must_be_there() {
    let two = "
      - run: mkdir out && echo 7 >out/number
      - uses: actions/upload-artifact@0
        with: {name: numbers, path: out}
  two:
    needs: one
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/download-artifact@0
        with: {name: numbers, path: in}
      - run: test \"$(cat in/number)\" = 7
";
    assert_eq!(ended(two, "push"), Ok(Ended::Well));
    assert_eq!(
        ended(&two.replace("path: out", "path: nothing"), "push"),
        Ok(Ended::Badly)
    );
}

#[test]
fn an_upload_of_nothing_fails_where_it_is_told_to() {
    let upload = |path: &str, without: &str| {
        let steps = format!(
            "
      - run: touch there
      - uses: actions/upload-artifact@0
        with: {{name: a, path: {path}{without}}}
"
        );
        ended(&steps, "push")
    };
    let both = "\"there\\nmissing\"";
    for (path, without, wanted) in [
        ("missing", "", Ended::Well),
        ("missing", ", if-no-files-found: warn", Ended::Well),
        ("missing", ", if-no-files-found: ignore", Ended::Well),
        ("missing", ", if-no-files-found: error", Ended::Badly),
        (both, ", if-no-files-found: error", Ended::Well),
    ] {
        assert_eq!(upload(path, without), Ok(wanted), "{path}{without}");
    }
    let why = upload("there", ", if-no-files-found: fail").unwrap_err();
    assert!(why.contains("fail is not known"), "{why}");
}

#[test]
fn a_step_that_needs_github_ends_there_and_is_no_success() {
    let steps = "
      - run: |
          git push origin HEAD:refs/heads/proposal
          gh pr create
";
    assert_eq!(ended(steps, "push"), Ok(Ended::NeedsGithub));
}

#[test]
fn scripts_run_by_their_shell() {
    for (shell, script, wanted) in [
        ("bash", "[[ a == a ]]", Ended::Well),
        ("sh", "[[ a == a ]]", Ended::Badly),
        ("bash", "false | true", Ended::Badly),
    ] {
        let steps = format!("      - run: {script:?}\n        shell: {shell}\n");
        assert_eq!(ended(&steps, "push"), Ok(wanted), "{shell}: {script}");
    }
    assert_eq!(
        ended("      - run: false | true\n", "push"),
        Ok(Ended::Well)
    );
    let required = "      - run: test \"$PROBECOST_REQUIRE_AGENT\" = 1\n        env: {PROBECOST_REQUIRE_AGENT: 1}\n";
    assert_eq!(ended(required, "push"), Ok(Ended::Well));
}

/// Every step of the workflows that need no machine of ours, in a clean clone of this commit.
#[test]
#[ignore = "tests, builds and measures for hours, as root"]
fn the_workflows_of_every_pull_request_run_to_their_end() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cache = tempfile::tempdir().unwrap();
    for (file, event) in [
        ("benchmark.yml", "push"),
        ("benchmark.yml", "pull_request"),
        ("ci.yml", "pull_request"),
    ] {
        let workflow = Workflow::read(&repository.join(".github/workflows").join(file)).unwrap();
        let place = Place {
            cache: cache.path().to_owned(),
            ..place(&repository, event)
        };
        assert_eq!(run(&workflow, &place), Ok(Ended::Well), "{file} {event}");
    }
}

/// A step that does not end by itself, and says which process it is.
const ENDLESS: &str = "      - run: echo $$ >mark; sleep 1000\n";

/// Presses Ctrl-C amid [`ENDLESS`]. Gives its process, by its own count.
fn interrupt(repository: &Path, workflow: &str) -> String {
    let temporary = repository.join("temporary");
    fs::create_dir(&temporary).unwrap();
    fs::write(repository.join("w.yml"), workflow).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_workflow"))
        .args(["run", "w.yml", "--cache", "cache"])
        .current_dir(repository)
        .env("TMPDIR", &temporary)
        .spawn()
        .unwrap();
    let mark = || {
        let scratch = fs::read_dir(&temporary).unwrap().next()?.unwrap().path();
        let mark = fs::read_to_string(scratch.join("one/mark")).ok()?;
        mark.ends_with('\n').then(|| mark.trim().to_owned())
    };
    let begin = Instant::now();
    let process = loop {
        if let Some(process) = mark() {
            break process;
        }
        assert!(run.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(begin.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    };
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(2));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    process
}

#[test]
fn ctrl_c_ends_the_step_and_leaves_no_clone() {
    let repository = repository();
    let process = interrupt(repository.path(), &format!("{HEAD}{ENDLESS}"));
    assert!(!Path::new("/proc").join(process).exists());
}

/// The cgroups of roots.
fn groups() -> BTreeSet<String> {
    let hierarchy = probecost::host::cgroup2_mount().unwrap();
    let entries = fs::read_dir(hierarchy).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("workflow-")).collect()
}

/// Why no root can be made here.
fn no_root() -> Option<&'static str> {
    let ends_well = |words: &[&str]| {
        let ran = Command::new(words[0]).args(&words[1..]).output();
        ran.is_ok_and(|output| output.status.success())
    };
    let namespaces = ["unshare", "--mount", "--pid", "--cgroup", "--fork", "true"];
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        Some("only root can make a root")
    } else if !ends_well(&["mmdebstrap", "--version"]) {
        Some("there is no mmdebstrap here")
    } else if !ends_well(&namespaces) {
        Some("this root may make no namespaces")
    } else {
        None
    }
}

/// Another Debian with processes, mounts and cgroups of its own, in which a checkout belongs
/// to somebody else, and this machine's toolchain.
#[test]
fn a_job_with_a_container_runs_in_a_root_of_its_own() {
    if let Some(why) = no_root() {
        eprintln!("skipped: {why}");
        return;
    }
    let steps = r#"
      - run: |
          test "$(cut -d . -f 1 /etc/debian_version)" = 12
          test "$(cat file)" = head
          test "$SHARED" = 'of the job'
          test $$ = 1
          grep --quiet '^0::/$' /proc/self/cgroup
          test "$(stat --format %u .)" = 1001
          if git log -1; then exit 1; fi
          cargo --version
          echo made >made
      - run: test "$(cat made)" = made
"#;
    let repository = repository();
    let container = "    container: {image: rust:1.95.0-bookworm}\n    steps:\n";
    let workflow = format!("{HEAD}{steps}").replace("    steps:\n", container);
    let workflow = Workflow::parse(&workflow).unwrap();
    let place = place(repository.path(), "push");
    assert_eq!(run(&workflow, &place), Ok(Ended::Well));
    // With the machine's processes; and behind its root there is no other all the same.
    let steps = format!(
        "      - run: |\n          test $$ != 1\n          \
         nsenter --mount --target $$ test ! -e {}\n",
        repository.path().display()
    );
    let container = "    container:\n      image: rust:1.95.0-bookworm\n      \
                     options: --privileged --pid=host\n    steps:\n";
    let workflow = format!("{HEAD}{steps}").replace("    steps:\n", container);
    let workflow = Workflow::parse(&workflow).unwrap();
    assert_eq!(run(&workflow, &place), Ok(Ended::Well));
    // And Ctrl-C leaves nothing of it.
    let before = groups();
    let endless = format!("{HEAD}{ENDLESS}").replace("    steps:\n", container);
    interrupt(repository.path(), &endless);
    assert_eq!(groups(), before);
}

#[test]
fn what_is_not_known_ends_the_run() {
    for (steps, words) in [
        ("      - run: echo A=b >>\"$GITHUB_ENV\"\n", "GITHUB_ENV"),
        ("      - uses: somebody/something@0\n", "somebody/something"),
        ("      - run: echo ${{ github.nobody }}\n", "github.nobody"),
        ("      - run: Write-Host\n        shell: pwsh\n", "pwsh"),
    ] {
        let error = ended(steps, "push").unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert!(ended("", "schedule").is_err());
}

/// As GitHub has it: what asks how its needs went runs, whatever they came to, and what does
/// not is held up by its own needs alone.
#[test]
fn a_job_is_held_up_by_what_it_needs_alone() {
    let job = |name: &str, more: &str, step: &str| {
        format!("  {name}:\n    runs-on: ubuntu-24.04\n{more}    steps:\n      - run: {step}\n")
    };
    let repository = repository();
    let marks = repository.path().display();
    let jobs = [
        "      - run: \"false\"\n".to_owned(),
        job("two", "", "\"true\""),
        job("three", "    needs: one\n", &format!("touch {marks}/three")),
        job(
            "four",
            "    needs: one\n    if: ${{ !cancelled() }}\n",
            &format!("touch {marks}/four"),
        ),
        job("five", "    needs: two\n", &format!("touch {marks}/five")),
        job("six", "    needs: three\n", &format!("touch {marks}/six")),
    ];
    let workflow = Workflow::parse(&format!("{HEAD}{}", jobs.concat())).unwrap();
    let place = place(repository.path(), "push");
    assert_eq!(run(&workflow, &place), Ok(Ended::Badly));
    let ran = ["three", "four", "five", "six"].map(|job| repository.path().join(job).exists());
    assert_eq!(ran, [false, true, true, false]);

    let misspelt = Place {
        job: Some("tow".into()),
        ..place
    };
    let error = run(&workflow, &misspelt).unwrap_err();
    assert!(error.contains("tow; there are one, two"), "{error}");
}

#[test]
fn a_root_that_could_not_be_made_is_made_again() {
    let repository = repository();
    let at = |name: &str| repository.path().join(name);
    let workflow = HEAD.replace(
        "    env: {SHARED: of the job}\n",
        "    container: {image: rust:1.95.0-bookworm}\n",
    );
    fs::write(at("w.yml"), workflow).unwrap();
    let half = "#!/bin/sh\nfor root; do :; done\nmkdir -p $root/etc\n\
                echo 12 >$root/etc/debian_version\necho . >>\"$0.calls\"\nexit 1\n";
    program(&at("bin/mmdebstrap"), half);
    let path = std::env::var("PATH").unwrap();
    for calls in 1..=2 {
        let ran = Command::new(env!("CARGO_BIN_EXE_workflow"))
            .args(["run", "w.yml", "--cache", "cache"])
            .current_dir(repository.path())
            .env("PATH", format!("{}:{path}", at("bin").display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(said.contains("mmdebstrap bookworm: exit"), "{said}");
        let called = fs::read_to_string(at("bin/mmdebstrap.calls")).unwrap();
        assert_eq!(called.lines().count(), calls);
    }
}
