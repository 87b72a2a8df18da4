//! `probecost image`, whole: small images, by every way that this machine can go.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn probecost(directory: &Path) -> Command {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    probecost_of(&tree, 2, directory)
}

fn probecost_of(tree: &Path, rounds: usize, directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probecost"));
    command.args([
        "image",
        "--format",
        "json",
        "--sizes",
        "1",
        "--at-once",
        "3",
    ]);
    command
        .args(["--again", "5", "--rounds"])
        .arg(rounds.to_string());
    command.arg("--tree").arg(tree);
    command.arg("--dir").arg(directory.join("work"));
    command.arg("--out").arg(directory.join("out"));
    command
}

fn run(command: &mut Command) -> (Output, Value) {
    let output = command.output().unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, json)
}

/// Whether this user may mount; where it may not, the command says so.
fn may_mount(directory: &Path) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let (output, _) = run(&mut probecost(directory));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("run this as root"), "{error}");
    eprintln!("skipped: only root mounts");
    false
}

/// What lies in the directory of work, and mounts below it.
fn left(directory: &Path) -> (Vec<PathBuf>, usize) {
    let files = fs::read_dir(directory.join("work")).unwrap();
    let files = files.map(|entry| entry.unwrap().path()).collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let below = directory.to_string_lossy();
    let mounts = mounts.lines().filter(|line| line.contains(&*below));
    (files, mounts.count())
}

fn verdicts<'a>(rows: &'a Value, measure: &str) -> Vec<&'a str> {
    let rows = rows["rows"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["measure"] == measure);
    rows.map(|row| row["verdict"].as_str().unwrap()).collect()
}

#[test]
fn every_file_arrives_every_fault_is_found_and_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    if !may_mount(directory.path()) {
        return;
    }
    let (output, json) = run(&mut probecost(directory.path()));
    let error = String::from_utf8_lossy(&output.stderr);
    // How fast it was is nothing that a test can know.
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{error}");
    let ways = json["ways"].as_array().unwrap();
    let known = fs::read_to_string("/proc/filesystems").unwrap();
    let possible = ways.iter().filter(|way| way["by"].is_string()).count();
    let erofs = known.split_whitespace().any(|name| name == "erofs");
    let expected = 1 + usize::from(erofs) * (1 + usize::from(cfg!(feature = "composefs")));
    assert_eq!(possible, expected, "{ways:?}");
    for way in ways {
        if way["by"].is_null() {
            assert_ne!(way["reason"], "", "{way}");
            eprintln!("skipped: {}: {}", way["how"], way["reason"]);
        }
    }
    for (measure, rows) in [
        ("files_differing", possible),
        ("failures", possible),
        ("faults_found", possible),
        ("left_mounted", 1),
    ] {
        assert_eq!(verdicts(&json, measure), vec!["pass"; rows], "{measure}");
    }
    assert_eq!(verdicts(&json, "pull_ratio").len(), 4);
    assert_eq!(left(directory.path()), (Vec::new(), 0));
    let written = fs::read(directory.path().join("out/latest/image.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), json);
}

/// A bit that is flipped in one of two files of the same bytes must not be looked for in the
/// other.
#[test]
fn a_fault_is_found_beside_a_file_that_is_there_twice() {
    let directory = tempfile::tempdir().unwrap();
    if !may_mount(directory.path()) {
        return;
    }
    let tree = directory.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for name in ["one", "two"] {
        fs::write(tree.join(name), vec![0; 250_000]).unwrap();
    }
    // With this seed none of the random files is larger.
    let (output, json) = run(probecost_of(&tree, 1, directory.path()).args(["--seed", "12"]));
    let found = verdicts(&json, "faults_found");
    assert!(!found.is_empty(), "{output:?}");
    assert!(found.iter().all(|verdict| *verdict == "pass"), "{found:?}");
}

#[test]
fn what_was_killed_leaves_no_mount_and_the_next_start_removes_its_files() {
    let directory = tempfile::tempdir().unwrap();
    if !may_mount(directory.path()) {
        return;
    }
    let mut long = probecost_of(Path::new("src"), 200, directory.path())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let pulled = |path: &PathBuf| path.join("pulled").exists();
    fs::create_dir_all(directory.path().join("work")).unwrap();
    while !left(directory.path()).0.iter().any(pulled) {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "nothing is pulled"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    long.kill().unwrap();
    long.wait().unwrap();
    let (files, mounts) = left(directory.path());
    assert_eq!((files.len(), mounts), (1, 0));
    let (output, _) = run(&mut probecost(directory.path()));
    assert_ne!(output.status.code(), Some(2));
    assert_eq!(left(directory.path()), (Vec::new(), 0));
}

/// The store goes away amid the rounds.
#[test]
fn what_was_measured_before_a_failure_is_judged_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    if !may_mount(directory.path()) {
        return;
    }
    fs::create_dir_all(directory.path().join("work")).unwrap();
    let long = probecost_of(Path::new("src"), 200, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let is_pulled = || {
        let pulled = |path: &PathBuf| path.join("pulled").exists();
        left(directory.path()).0.iter().any(pulled)
    };
    // A pull begins, and comes to its end.
    for wanted in [true, false] {
        while is_pulled() != wanted {
            assert!(begin.elapsed() < Duration::from_secs(60), "nothing ends");
        }
    }
    fs::remove_dir_all(left(directory.path()).0[0].join("store")).unwrap();
    let output = long.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(json["pulls"], Value::Array(Vec::new()));
    assert_eq!(verdicts(&json, "cut_off"), ["broken"]);
    assert_eq!(left(directory.path()), (Vec::new(), 0));
}

#[test]
fn bad_input_is_said_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    if !may_mount(directory.path()) {
        return;
    }
    for (tree, more, words) in [
        ("/nowhere", &[][..], "/nowhere is no directory"),
        ("src", &["--sizes", "1"], "--sizes names something twice"),
    ] {
        let mut command = probecost_of(Path::new(tree), 8, directory.path());
        let (output, _) = run(command.args(more));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(error.contains(words), "{error}");
        assert_eq!(error.trim().lines().count(), 1, "{error}");
    }
}
