//! `duet --profile` and `compare profile`: the function that became slower is named.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::{DUET, Place, program};

/// A bench executable that measures: two functions, of which `--cfg slow` makes one do more.
const BENCH: &str = r##"
use std::hint::black_box;
use std::time::{Duration, Instant};

#[inline(never)]
fn steady(seed: u64) -> u64 {
    (0..2000).fold(seed, |sum, n| black_box(sum.rotate_left(5) ^ n))
}

#[inline(never)]
fn planted(seed: u64) -> u64 {
    let times = if cfg!(slow) { 20_000 } else { 1000 };
    (0..times).fold(seed, |sum, n| black_box(sum.rotate_left(7) ^ n))
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "--list") {
        return println!("both: benchmark");
    }
    if let Some(at) = words.iter().position(|word| word == "--profile-time") {
        let end = Instant::now() + Duration::from_secs(words[at + 1].parse().unwrap());
        while Instant::now() < end {
            black_box(steady(1) + planted(2));
        }
        return;
    }
    let times: Vec<String> = (0..5)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..100 {
                black_box(steady(1) + planted(2));
            }
            started.elapsed().as_nanos().to_string()
        })
        .collect();
    let new = std::path::Path::new(&std::env::var("CRITERION_HOME").unwrap()).join("both/new");
    std::fs::create_dir_all(&new).unwrap();
    std::fs::write(new.join("benchmark.json"), r#"{"full_id":"both","directory_name":"both"}"#).unwrap();
    let sample = format!(r#"{{"iters":[100,100,100,100,100],"times":[{}]}}"#, times.join(","));
    std::fs::write(new.join("sample.json"), sample).unwrap();
    eprintln!("Benchmarking both: Analyzing");
}
"##;

/// Why nothing can be sampled here, where that is so.
fn obstacle() -> Option<String> {
    let perf = [
        "record",
        "--quiet",
        "--event",
        "cpu-clock:u",
        "--output",
        "/dev/null",
        "true",
    ];
    match Command::new("perf").args(perf).output() {
        Err(e) => Some(format!("perf: {e}")),
        Ok(output) if !output.status.success() => {
            Some(String::from_utf8_lossy(&output.stderr).into_owned())
        }
        Ok(_) => None,
    }
}

/// Whether ordinary users may not sample the kernel.
fn kernel_is_closed() -> bool {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap();
    level.trim().parse::<i32>().unwrap() > 1
}

/// What a profile by an ordinary user says, who has or lacks a right.
fn as_nobody(place: &Place, right: &str) -> String {
    // Where they may read it, and write.
    let directory = place.path("nobody");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    let compare = directory.join("compare");
    let bytes = fs::read(env!("CARGO_BIN_EXE_cargo-compare")).unwrap();
    program(&compare, bytes);
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups"])
        .args(["inh", "ambient"].map(|set| format!("--{set}-caps=-all,{right}")))
        .arg(compare)
        .args(["profile", "../new", "--seconds", "1", "--out", "one"])
        .current_dir(&directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn build(place: &Place, name: &str, more: &[&str]) {
    fs::write(place.path("bench.rs"), BENCH).unwrap();
    let output = Command::new("rustc")
        .args(["--edition", "2021", "-O", "--crate-name", "bench", "-o"])
        .arg(place.path(name))
        .arg(place.path("bench.rs"))
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_planted_slowdown_is_named_by_its_function() {
    if let Some(why) = obstacle() {
        assert!(
            std::env::var_os("PROBECOST_REQUIRE_AGENT").is_none(),
            "{why}"
        );
        return eprintln!("skipped: {why}");
    }
    let place = Place::new();
    build(&place, "old", &[]);
    build(&place, "new", &["--cfg", "slow"]);
    let asked = [&DUET[..], &["--profile", "profiles"]].concat();
    let text = place.compare(&asked).exits(1).out;
    let said = text.lines().find(|line| line.starts_with("both: grew in "));
    let said = said.unwrap_or_else(|| panic!("{text}"));
    let first = said.split([' ', ',']).nth(3).unwrap();
    assert_eq!(first, "bench::planted", "{said}");
    for picture in ["base", "head", "differential"] {
        let svg = fs::read_to_string(place.path(&format!("profiles/both/{picture}.svg"))).unwrap();
        assert!(
            svg.contains("bench::planted") && svg.contains("</svg>"),
            "{picture}"
        );
    }
    // Of one executable by itself.
    let said = place
        .compare(&["profile", "new", "--seconds", "1", "--out", "one"])
        .exits(0)
        .out;
    assert!(said.contains("bench::planted"), "{said}");
    assert!(said.contains("no eBPF program is shown: "), "{said}");
    assert!(place.path("one/flame.svg").exists() && place.path("one/stacks.txt").exists());
    if rustix::process::geteuid().is_root() && kernel_is_closed() {
        for (right, seen) in [("+perfmon", true), ("-perfmon", false)] {
            let said = as_nobody(&place, right);
            let refused = said.contains("the kernel does not let this user look at it");
            assert!(refused != seen, "{right}: {said}");
        }
    }
    place
        .compare(&["profile", "lost"])
        .breaks("lost", "No such file");
    place
        .compare(&["profile", "/bin/false"])
        .breaks("perf record", "exit status: 1");
}
