//! The committed eBPF objects are what their sources compile to.

use std::path::Path;
use std::process::Command;

const SCRIPT: &str = "tools/build-bpf";

#[test]
fn the_committed_objects_are_what_the_sources_give() {
    let script = std::fs::read_to_string(SCRIPT).unwrap();
    let version = script
        .lines()
        .find_map(|line| line.strip_prefix("version="))
        .expect("tools/build-bpf names its version of clang");
    if !there(&format!("clang-{version}")) || !there(&format!("llvm-strip-{version}")) {
        eprintln!("skipped: clang-{version} and llvm-strip-{version} are not installed");
        return;
    }
    let fresh = tempfile::tempdir().unwrap();
    let built = Command::new(SCRIPT).arg(fresh.path()).output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let mut compared = 0;
    for file in std::fs::read_dir(fresh.path()).unwrap() {
        let name = file.unwrap().file_name();
        let committed = Path::new("src/agent/bpf").join(&name);
        assert!(
            std::fs::read(&committed).unwrap() == std::fs::read(fresh.path().join(&name)).unwrap(),
            "{} is not what its source gives; run {SCRIPT} and commit what it writes",
            committed.display()
        );
        compared += 1;
    }
    assert!(compared >= 2, "{SCRIPT} wrote {compared} objects");
}

fn there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}
