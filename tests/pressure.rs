//! `probecost pressure`, whole: few rounds, so that nothing is decided, and everything
//! has to be at work and to be put back.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

fn probecost(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probecost"));
    command.args([
        "pressure",
        "--format",
        "json",
        "--rounds",
        "1",
        "--seconds",
        "1",
    ]);
    command.args(["--limit", "16", "--touched", "12"]);
    command.arg("--dir").arg(directory.join("work"));
    command.arg("--out").arg(directory.join("out"));
    command
}

/// Why this machine or this user cannot do it, which the command then says.
fn obstacle(directory: &Path) -> Option<&'static str> {
    let why = if !rustix::process::geteuid().is_root() {
        "only root makes cgroups"
    } else if !Path::new("/proc/pressure/memory").exists() {
        "this kernel keeps no account of stalls"
    } else if !limits_memory() {
        "no cgroup here limits memory, as in a container"
    } else {
        return None;
    };
    let output = probecost(directory).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: no "), "{error}");
    eprintln!("skipped: {why}: {error}");
    Some(why)
}

/// Whether there is a cgroup, of either version, whose groups can be given less memory.
fn limits_memory() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().any(|line| {
        let (place, kind) = line.split_once(" - ").unwrap();
        let place = Path::new(place.split(' ').nth(4).unwrap());
        match kind.split_once(' ') {
            Some(("cgroup", more)) => more.split([' ', ',']).any(|word| word == "memory"),
            Some(("cgroup2", _)) => {
                fs::write(place.join("cgroup.subtree_control"), "+memory").is_ok()
            }
            _ => false,
        }
    })
}

/// Directories of groups that the process `owner` made, or any.
fn groups(owner: &str) -> usize {
    let wanted = format!("probecost-pressure-{owner}");
    let hierarchies = ["unified", "memory", ""];
    let entries = hierarchies.iter().flat_map(|name| {
        let hierarchy = Path::new("/sys/fs/cgroup").join(name);
        fs::read_dir(hierarchy).into_iter().flatten().flatten()
    });
    let ours = entries.filter(|e| e.file_name().to_string_lossy() == wanted);
    ours.count()
}

#[test]
fn a_policy_is_named_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut twice = probecost(directory.path());
    let output = twice
        .args(["--policy", "reclaim,reclaim"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--policy names something twice"), "{error}");
}

/// A measurement that has begun, the directory that it works in, and what its groups are named
/// by; none where nothing limits memory here.
fn started() -> Option<(TempDir, Child, String)> {
    let directory = tempfile::tempdir().unwrap();
    if obstacle(directory.path()).is_some() {
        return None;
    }
    let mut measuring = probecost(directory.path());
    let child = measuring.stdout(Stdio::piped()).spawn().unwrap();
    let owner = child.id().to_string();
    Some((directory, child, owner))
}

#[test]
fn the_monitor_reacts_and_everything_is_put_back() {
    let Some((directory, child, owner)) = started() else {
        return;
    };
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(2 | 3)), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let blocks = json["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        assert!(block["some_us_s"].as_f64().unwrap() > 0.0, "{block}");
        assert!(block["high_pages_s"].as_f64().unwrap() > 0.0, "{block}");
        assert_eq!(block["monitor"].is_null(), block["policy"] == "off");
    }
    let reacted = blocks
        .iter()
        .filter(|block| block["monitor"]["reactions"].as_u64() > Some(0));
    assert!(reacted.count() > 0, "{blocks:?}");
    let frozen = json["rows"].as_array().unwrap().iter();
    let frozen: Vec<_> = frozen
        .filter(|row| row["measure"] == "left_frozen")
        .collect();
    assert_eq!(frozen[0]["verdict"], "pass");
    assert_eq!(groups(&owner), 0);
    assert_eq!(
        fs::read_dir(directory.path().join("work")).unwrap().count(),
        0
    );
}

/// The processes that watch the groups of `owner`.
fn monitors(owner: &str) -> Vec<i32> {
    let group = format!("probecost-pressure-{owner}/");
    let watches = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        command.contains("--threshold-us") && command.contains(&group)
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(watches).collect()
}

/// A monitor is killed amid its block, which is not the first.
#[test]
fn what_was_measured_before_a_failure_is_judged_all_the_same() {
    let Some((_directory, child, owner)) = started() else {
        return;
    };
    let begin = Instant::now();
    let next = |than: Option<i32>| {
        loop {
            assert!(begin.elapsed() < Duration::from_secs(60), "none watches");
            let found = monitors(&owner).into_iter().find(|pid| Some(*pid) != than);
            if let Some(pid) = found {
                return pid;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let second = rustix::process::Pid::from_raw(next(Some(next(None))));
    rustix::process::kill_process(second.unwrap(), rustix::process::Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let blocks = json["blocks"].as_array().unwrap().len();
    assert!((1..4).contains(&blocks), "{blocks} blocks");
    let rows = json["rows"].as_array().unwrap().iter();
    let cut_off: Vec<_> = rows.filter(|row| row["measure"] == "cut_off").collect();
    assert_eq!(cut_off.len(), 1, "{json}");
    assert_eq!(cut_off[0]["verdict"], "broken");
    assert_eq!(groups(&owner), 0);
}

#[test]
fn what_was_killed_leaves_no_process_and_the_next_start_removes_its_groups() {
    let Some((directory, mut killed, owner)) = started() else {
        return;
    };
    let begin = Instant::now();
    while groups(&owner) == 0 {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "no group is made"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    // Until both are touching, and perhaps one is held.
    std::thread::sleep(Duration::from_secs(3));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let output = probecost(directory.path()).output().unwrap();
    assert!(matches!(output.status.code(), Some(2 | 3)), "{output:?}");
    assert_eq!(groups(&owner), 0, "the groups of {owner} are left");
    assert_eq!(
        fs::read_dir(directory.path().join("work")).unwrap().count(),
        0
    );
}
