//! The scripts under `tools`: what they leave where a part of them fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A copy of one script, beside commands that stand in for the real ones.
struct Bench(TempDir);

impl Bench {
    fn new(tool: &str, stand_ins: &[(&str, &str)]) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tools")
            .join(tool);
        for place in ["bin", "tools"] {
            fs::create_dir(bench.path(place)).unwrap();
        }
        fs::copy(script, bench.path("tools").join(tool)).unwrap();
        for (name, text) in stand_ins {
            let file = bench.path("bin").join(name);
            fs::write(&file, format!("#!/bin/bash\n{text}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, tool: &str, arguments: &[&str]) -> Output {
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut script = Command::new(self.path("tools").join(tool));
        script.args(arguments).env("PATH", path).output().unwrap()
    }
}

#[test]
fn a_measurement_that_panicked_is_no_row_of_knobs() {
    let bench = Bench::new("knobs", &[("cargo", "exit 101")]);
    assert_ne!(bench.run("knobs", &[]).status.code(), Some(0));
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
