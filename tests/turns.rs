//! What `compare` relies on in a bench executable: turns for the lockstep of `duet`, and
//! figures in the first of several parts.

#![cfg(feature = "agent")]

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use probecost::schema::SHARD_VARIABLE;
use probecost::schema::turns::{GO, GREETING, READY, VARIABLE, WARM_UP};
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::Value;

/// A bench executable, built as tests are; `None` where this user may not build here.
fn bench(name: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let probe = tempfile::tempfile_in(target);
    if probe.is_err() {
        eprintln!(
            "skipped: {} is not for this user to write",
            target.display()
        );
        return None;
    }
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["test", "--no-run", "--bench", name])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the bench does not build");
    let messages = String::from_utf8(output.stdout).unwrap();
    let built = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == name;
        Some(message["executable"].as_str().filter(|_| ours)?.into())
    });
    Some(built.expect("cargo names what it built"))
}

/// The driver's side of one process.
struct Side {
    child: Child,
    hear: PipeReader,
    say: Option<PipeWriter>,
    home: tempfile::TempDir,
}

impl Side {
    fn start(bench: &Path, arguments: &[&str]) -> Self {
        let (they_read, say) = pipe().unwrap();
        let (hear, they_write) = pipe().unwrap();
        for end in [they_read.as_raw_fd(), they_write.as_raw_fd()] {
            assert!(end > 2, "standard descriptors are open");
        }
        fcntl_setfd(&they_read, FdFlags::empty()).unwrap();
        fcntl_setfd(&they_write, FdFlags::empty()).unwrap();
        let home = tempfile::tempdir().unwrap();
        let child = Command::new(bench)
            .args(arguments)
            .env(
                VARIABLE,
                format!("{},{}", they_read.as_raw_fd(), they_write.as_raw_fd()),
            )
            .env("CRITERION_HOME", home.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            hear,
            say: Some(say),
            home,
        }
    }

    fn measure(bench: &Path) -> Self {
        let warm_up = WARM_UP.as_secs_f64().to_string();
        let times = ["--warm-up-time", &warm_up, "--measurement-time", "0.05"];
        let rest = ["--sample-size", "10", "--nresamples", "1001"];
        let (what, filter) = (["--bench", "--noplot"], ["^(?:full_read/off)$"]);
        Self::start(bench, &[&what[..], &times, &rest, &filter].concat())
    }

    /// What of an agent the process holds.
    fn agent(&self) -> Vec<PathBuf> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let open = descriptors.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let ours = |name: &PathBuf| name.to_string_lossy().starts_with("anon_inode:bpf");
        open.filter(ours).collect()
    }

    fn word(&mut self) -> Option<u8> {
        let mut word = [0];
        (self.hear.read(&mut word).unwrap() == 1).then_some(word[0])
    }

    fn greet(&mut self) {
        let said: Vec<u8> = GREETING.iter().filter_map(|_| self.word()).collect();
        assert_eq!(said, GREETING);
    }
}

/// All in one test: the executable is built once.
#[test]
fn a_bench_takes_turns() {
    let Some(bench) = bench("full_read") else {
        return;
    };

    // It says so as soon as it is asked what it has.
    let mut listed = Side::start(&bench, &["--bench", "--list"]);
    listed.greet();
    assert_eq!(listed.word(), None);
    assert!(listed.child.wait().unwrap().success());

    // It waits before each block, and goes on when told, to the end.
    let mut side = Side::measure(&bench);
    side.greet();
    assert_eq!(side.word(), Some(READY));
    thread::sleep(Duration::from_millis(200));
    assert_eq!(side.child.try_wait().unwrap(), None, "it did not wait");
    assert_eq!(side.agent(), Vec::<PathBuf>::new(), "nobody asked for one");
    let mut blocks = 0;
    loop {
        side.say.as_mut().unwrap().write_all(&[GO]).unwrap();
        blocks += 1;
        match side.word() {
            Some(word) => assert_eq!(word, READY),
            None => break,
        }
    }
    assert!(side.child.wait().unwrap().success());
    let sample = side.home.path().join("full_read/off/new/sample.json");
    let sample: Value = serde_json::from_slice(&fs::read(sample).unwrap()).unwrap();
    let samples = sample["times"].as_array().unwrap().len();
    assert_eq!(samples, 10);
    assert_eq!(blocks, 1 + samples, "a turn for the warm-up, and for each");

    // Without a driver it ends, and badly.
    let mut left = Side::measure(&bench);
    left.greet();
    assert_eq!(left.word(), Some(READY));
    left.say = None;
    assert!(!left.child.wait().unwrap().success());
}

/// Figures have no names to ask for: one part of a suite counts them.
#[test]
fn figures_are_the_first_parts() {
    let Some(bench) = bench("allocation") else {
        return;
    };
    for (part, counts) in [("1/2", true), ("2/2", false)] {
        let home = tempfile::tempdir().unwrap();
        let status = Command::new(&bench)
            .args(["--bench", "^(?:nothing)$"])
            .env("CRITERION_HOME", home.path())
            .env(SHARD_VARIABLE, part)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let figures = home.path().join("figures/allocation.json");
        assert_eq!(figures.exists(), counts, "{part}");
    }
}

/// `duet` and `run --shard` ask every bench, also those whose figures are not Criterion's.
#[test]
fn what_has_no_benchmarks_lists_none() {
    for name in ["overhead", "view_overhead"] {
        let Some(bench) = bench(name) else {
            return;
        };
        let listed = Command::new(bench).args(["--bench", "--list"]).output();
        let listed = listed.unwrap();
        assert!(listed.status.success(), "{name}: {listed:?}");
        assert_eq!(listed.stdout, b"", "{name}");
    }
}
