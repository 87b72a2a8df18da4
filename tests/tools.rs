//! The scripts under `tools`: what they leave where a part of them fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

#[path = "support/program.rs"]
mod program;

use program::program;

/// A copy of one script, beside commands that stand in for the real ones.
struct Bench(TempDir);

impl Bench {
    fn new(tool: &str, stand_ins: &[(&str, &str)]) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tools")
            .join(tool);
        fs::create_dir(bench.path("tmp")).unwrap();
        program(&bench.path("tools").join(tool), fs::read(script).unwrap());
        for (name, text) in stand_ins {
            let file = bench.path("bin").join(name);
            program(&file, format!("#!/bin/bash\n{text}\n"));
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, tool: &str, arguments: &[&str]) -> Command {
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut script = Command::new(self.path("tools").join(tool));
        script.args(arguments).env("PATH", path);
        script.env("TMPDIR", self.path("tmp"));
        script
    }

    fn run(&self, tool: &str, arguments: &[&str]) -> Output {
        self.command(tool, arguments).output().unwrap()
    }
}

/// 1 would be taken for a budget that was exceeded.
#[test]
fn what_is_broken_is_no_verdict() {
    for (tool, arguments, cargo) in [
        ("knobs", &[][..], "exit 2"),
        ("knobs", &[], "exit 101"),
        ("repeat-null", &[], "exit 2"),
        ("strict-run", &["--out", "/proc/none"], "exit 0"),
    ] {
        let bench = Bench::new(tool, &[("cargo", cargo)]);
        let output = bench.run(tool, arguments);
        assert_eq!(output.status.code(), Some(2), "{tool}: {output:?}");
        let left = fs::read_dir(bench.path("tmp")).unwrap().count();
        assert_eq!(left, 0, "{tool}");
    }
}

/// `tools/results`, where nothing differs from the commit.
fn results(probecost: &str, cargo: &str) -> Bench {
    let git = "[[ $1 != rev-parse ]] || echo 0123456";
    let stand_ins = [("probecost", probecost), ("cargo", cargo), ("git", git)];
    Bench::new("results", &stand_ins)
}

#[test]
fn one_broken_row_keeps_no_page_from_being_written() {
    let probecost =
        "case $1 in host) echo class ;; *) echo page >target/report/report.html; exit 2 ;; esac";
    let bench = results(
        probecost,
        "mkdir -p target/release target/report; cp \"${0%/*}/probecost\" target/release",
    );
    fs::create_dir_all(bench.path("docs/results/class")).unwrap();
    fs::write(bench.path("docs/results/class/load.md"), "#\n\n``\n\nnew\n").unwrap();
    for document in ["README.md", "PERFORMANCE.md"] {
        let text = "<!-- results: load -->\nold\n<!-- end -->\n";
        fs::write(bench.path(document), text).unwrap();
    }
    let output = bench.run("results", &["report"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("report: exit status 2"), "{said}");
    let page = fs::read_to_string(bench.path("docs/report-example.html")).unwrap();
    let readme = fs::read_to_string(bench.path("README.md")).unwrap();
    let wanted = "<!-- results: load -->\nnew\n<!-- end -->\n";
    assert_eq!((&*page, &*readme), ("page\n", wanted));
}

#[test]
fn only_the_page_asks_the_gate_and_what_fails_leaves_no_older_one() {
    let probecost = "case $1 in host) echo class ;; *) exit 2 ;; esac";
    let cargo = r#"echo "$1" >>"${0%/*}/said"
case $1 in
build) mkdir -p target/release; cp "${0%/*}/probecost" target/release ;;
compare) exit 2 ;;
esac"#;
    let bench = results(probecost, cargo);
    for directory in [
        "target/runs",
        "target/results/gate",
        "target/report",
        "baselines",
        "docs",
    ] {
        fs::create_dir_all(bench.path(directory)).unwrap();
    }
    let older = [
        "target/results/gate/verdict.json",
        "target/results/gate/history.json",
        "target/report/report.html",
    ];
    let empty = ["baselines/class.json", "README.md", "PERFORMANCE.md"];
    for file in older.iter().chain(&empty) {
        fs::write(bench.path(file), "").unwrap();
    }
    let output = bench.run("results", &["load"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = fs::read_to_string(bench.path("bin/said")).unwrap();
    assert_eq!(said, "build\nrun\n");
    let output = bench.run("results", &["report"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    for file in older.iter().chain(&["docs/report-example.html"]) {
        assert!(!bench.path(file).exists(), "{file}");
    }
}

#[test]
fn a_measurement_over_its_budget_is_a_row_of_knobs() {
    let over = "echo; echo ' workload  arm'; echo ' open_close event'; exit 1";
    let bench = Bench::new("knobs", &[("cargo", over)]);
    let output = bench.run("knobs", &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.matches(" workload  arm").count(), 8, "{said}");
}

#[test]
fn a_machine_that_audits_goes_on_auditing() {
    for enabled in ["0", "1"] {
        let auditctl = format!(
            "case $1 in -s) echo enabled {enabled} ;; *) printf %s\\\\n \"$*\" >>\"${{0%/*}}/said\" ;; esac"
        );
        let stand_ins = [("auditctl", &*auditctl), ("cargo", "exit 2")];
        let bench = Bench::new("moved-machine", &stand_ins);
        assert_ne!(bench.run("moved-machine", &[]).status.code(), Some(0));
        let said = fs::read_to_string(bench.path("bin/said")).unwrap();
        assert!(said.ends_with(&format!("-e {enabled}\n")), "{said}");
    }
}

#[test]
fn an_older_profile_is_not_taken_for_this_one() {
    let cargo = r#"case $* in
*message-format*) echo '"kind":["bench"]... "executable":"/bin/true"' ;;
*) exit 2 ;;
esac"#;
    let bench = Bench::new("profile", &[("cargo", cargo), ("valgrind", "exit 1")]);
    let out = bench.path("target/profile/open_close");
    fs::create_dir_all(&out).unwrap();
    for name in ["flame.svg", "heap.txt"] {
        fs::write(out.join(name), "old").unwrap();
    }
    assert_ne!(bench.run("profile", &["open_close"]).status.code(), Some(0));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn a_kernel_that_no_list_names_is_said_before_anything_is_built() {
    let stand_ins = [
        ("qemu-system-x86_64", ""),
        ("cpio", ""),
        ("apt-cache", ""),
        ("cargo", "exit 9"),
    ];
    let bench = Bench::new("kernels", &stand_ins);
    let output = bench.run("kernels", &["6.99"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let named = said.starts_with("error: Debian's lists name no kernel 6.99");
    assert_eq!((output.status.code(), named), (Some(2), true), "{said}");
}

/// Five emulators, with the target directory elsewhere.
#[test]
fn no_emulator_outlives_its_script() {
    let cargo = r#"case $1 in
build) mkdir -p "$CARGO_TARGET_DIR/debug"; cp /bin/true "$CARGO_TARGET_DIR/debug/probecost" ;;
*) echo "Executable tests/some.rs (/bin/true)" ;;
esac"#;
    let stand_ins = [
        (
            "qemu-system-x86_64",
            "echo $$ >>\"${0%/*}/pids\"; exec sleep 1000",
        ),
        ("apt-cache", "echo linux-image-6.1.0-1-cloud-amd64"),
        ("cargo", cargo),
        ("cpio", "cat >/dev/null"),
        ("strip", "cp \"$3\" \"$2\""),
        ("ldd", "echo \"some => ${0%/*}/some.so\""),
        ("some.so", ""),
        ("mkfs.erofs", ""),
        ("mke2fs", ""),
        ("dash", ""),
        ("gawk", ""),
        ("sqlite3", ""),
    ];
    let bench = Bench::new("kernels", &stand_ins);
    fs::write(bench.path("tools/kernels.init"), "").unwrap();
    fs::create_dir(bench.path("src")).unwrap();
    let kept = bench.path("elsewhere/kernels");
    fs::create_dir_all(kept.join("linux-image-6.1.0-1-cloud-amd64")).unwrap();
    fs::create_dir_all(kept.join("busybox-static/bin")).unwrap();
    fs::write(kept.join("busybox-static/bin/busybox"), "").unwrap();
    let mut script = bench
        .command("kernels", &["6.1"])
        .env("CARGO_TARGET_DIR", bench.path("elsewhere"))
        // It misses the kernel's modules, which nothing here loads.
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let pids = loop {
        let pids = fs::read_to_string(bench.path("bin/pids")).unwrap_or_default();
        if pids.lines().count() == 5 {
            break pids;
        }
        assert!(script.try_wait().unwrap().is_none(), "it boots nothing");
        assert!(begin.elapsed() < Duration::from_secs(60), "{pids}");
        std::thread::sleep(Duration::from_millis(10));
    };
    kill_process(Pid::from_child(&script), Signal::TERM).unwrap();
    script.wait().unwrap();
    // Signals take a moment, and so does whoever waits for orphans.
    let begin = Instant::now();
    for pid in pids.lines() {
        while Path::new("/proc").join(pid).exists() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{pid} runs on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 0);
}

#[test]
fn who_names_no_command_is_told_so() {
    let is_root = rustix::process::geteuid().is_root();
    // Nothing is mounted yet, and not every root may make namespaces.
    let stand_ins = [("unshare", "exec \"${@:2}\"")];
    let bench = Bench::new("unprivileged", &stand_ins);
    for (arguments, words) in [
        (&["--with", "bpf"][..], "usage, as root: "),
        (
            &["--with", "bpf", "nowhere"],
            "error: nowhere: no such command",
        ),
        (&["nowhere"], "error: nowhere: no such command"),
    ] {
        let output = bench.run("unprivileged", arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = if is_root { words } else { "usage, as root: " };
        let named = said.starts_with(wanted);
        assert_eq!((output.status.code(), named), (Some(2), true), "{said}");
    }
}
