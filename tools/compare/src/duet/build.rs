//! Two revisions, built alike: the same profile, the same dependencies, paths of one length.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::harness::Executable;
use super::interrupt::Interrupt;
use crate::failure::Failure;
use crate::repository;

/// Where everything is built, kept between runs for its dependencies, and locked while
/// one runs.
pub struct BuildDir {
    root: PathBuf,
    /// Held until we are done.
    _lock: File,
}

/// A revision, built: its bench executables by target.
#[derive(Debug)]
pub struct Built {
    pub commit: String,
    pub benches: BTreeMap<String, Executable>,
}

/// A build's name, of one length for all, since it is part of their paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Base,
    Head,
    /// Base once more, its functions in another order.
    Null,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Base => "base",
            Side::Head => "head",
            Side::Null => "null",
        }
    }
}

/// What cargo says of the project, as far as it matters.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

/// A line of `cargo --message-format json`.
#[derive(Deserialize)]
struct CargoMessage {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl BuildDir {
    /// The directory of the project around the current directory.
    ///
    /// # Errors
    /// No project here, or somebody else is building in it.
    pub fn enter() -> Result<Self, Failure> {
        let output = Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .map_err(|e| Failure::new(format!("cargo: {e}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("cargo metadata: {}", said.trim()))
                .remedy("cd to a Rust project, or --bin-base EXE --bin-head EXE"));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|e| Failure::new(format!("cargo metadata: {e}")))?;
        let root = metadata.target_directory.join("duet");
        fs::create_dir_all(&root).map_err(|e| Failure::at(&root, e))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|e| Failure::at(&path, e))?;
        lock.try_lock().map_err(|e| {
            Failure::at(&path, format!("another duet runs here ({e})"))
                .remedy("wait for it; two would measure each other")
        })?;
        let directory = Self { root, _lock: lock };
        directory.clear();
        Ok(directory)
    }

    /// Builds the benches of a revision: all, or those named.
    ///
    /// # Errors
    /// No such revision, it does not build, or it has no benches.
    pub fn build(
        &self,
        side: Side,
        revision: &str,
        names: &[String],
        interrupt: &Interrupt,
    ) -> Result<Built, Failure> {
        let tree = self.root.join(side.name());
        let (commit, inside) = repository::export(Path::new("."), revision, &tree)?;
        let project = tree.join(inside);
        keep_lock_file(&project)?;
        let messages = self.cargo(side, revision, &project, names, interrupt)?;
        let place = self.root.join("bin").join(side.name());
        fs::create_dir_all(&place).map_err(|e| Failure::at(&place, e))?;
        let mut benches = BTreeMap::new();
        for (name, made, directory) in executables(&messages) {
            let path = place.join(&name);
            // The next side's build may put its own in the same place.
            fs::copy(&made, &path).map_err(|e| {
                Failure::at(&path, format!("cannot keep the executable: {e}"))
                    .remedy(format!("df -h {}", place.display()))
            })?;
            benches.insert(name, Executable { path, directory });
        }
        if benches.is_empty() {
            return Err(
                Failure::new(format!("{revision}: builds, and has no benches"))
                    .remedy("cd to the package with the benches"),
            );
        }
        Ok(Built { commit, benches })
    }

    fn cargo(
        &self,
        side: Side,
        revision: &str,
        project: &Path,
        names: &[String],
        interrupt: &Interrupt,
    ) -> Result<String, Failure> {
        let mut command = Command::new("cargo");
        command
            .args([
                "bench",
                "--no-run",
                "--message-format",
                "json-render-diagnostics",
            ])
            .current_dir(project)
            .env("CARGO_TARGET_DIR", self.root.join("build"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        match names {
            [] => command.arg("--benches"),
            names => command.args(names.iter().flat_map(|n| ["--bench", n])),
        };
        if side == Side::Null {
            other_order(&mut command);
        }
        let failed = |cause: &str| {
            Failure::new(format!("{} {revision}: {cause}", side.name())).remedy(format!(
                "git stash; git checkout {revision} && cargo bench --no-run"
            ))
        };
        let mut child = command
            .spawn()
            .map_err(|e| failed(&format!("cargo: {e}")))?;
        let mut said = String::new();
        let read = child
            .stdout
            .take()
            .map(|mut out| out.read_to_string(&mut said));
        let status = child.wait().map_err(|e| failed(&format!("cargo: {e}")))?;
        if interrupt.came() {
            return Err(Failure::new(format!(
                "interrupted while building {} {revision}",
                side.name()
            )));
        }
        match (status.success(), read) {
            (true, Some(Ok(_))) => Ok(said),
            (true, _) => Err(failed("cargo said nothing that can be read")),
            (false, _) => Err(failed(&format!(
                "does not build (cargo bench --no-run ended with {status}; its errors stand above)"
            ))),
        }
    }

    /// Removes the trees; what was compiled of the dependencies stays.
    fn clear(&self) {
        for side in [Side::Base, Side::Head, Side::Null] {
            // One that is not there needs no removing.
            let _ = fs::remove_dir_all(self.root.join(side.name()));
        }
        let _ = fs::remove_dir_all(self.root.join("bin"));
    }
}

impl Drop for BuildDir {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Libraries often leave their Cargo.lock out of git; without one both sides could get
/// other dependencies.
fn keep_lock_file(project: &Path) -> Result<(), Failure> {
    let (ours, theirs) = (Path::new("Cargo.lock"), project.join("Cargo.lock"));
    match theirs.exists() || !ours.exists() {
        true => Ok(()),
        false => fs::copy(ours, &theirs)
            .map(drop)
            .map_err(|e| Failure::at(&theirs, e)),
    }
}

/// Has the compiler name all functions anew, so that they are laid out in another order:
/// what differs then between two builds of one source is the layout's doing.
fn other_order(command: &mut Command) {
    const FLAG: &str = "-Cmetadata=null";
    match std::env::var("RUSTFLAGS") {
        Ok(flags) => command.env("RUSTFLAGS", format!("{flags} {FLAG}")),
        Err(_) => command.args(["--config", &format!("build.rustflags=['{FLAG}']")]),
    };
}

/// The bench targets in cargo's messages: name, executable, and the package's directory.
fn executables(messages: &str) -> impl Iterator<Item = (String, PathBuf, PathBuf)> {
    messages.lines().filter_map(|line| {
        let message: CargoMessage = serde_json::from_str(line).ok()?;
        let target = message.target?;
        let directory = message.manifest_path?.parent()?.to_owned();
        let executable = message.executable?;
        let is_bench = target.kind.iter().any(|kind| kind == "bench");
        is_bench.then_some((target.name, executable, directory))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bench_targets_are_taken_from_cargos_messages() {
        let line = |kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","target":{{"kind":["{kind}"],"name":"n"}},"executable":{executable}}}"#
            )
        };
        let messages = [
            line("bench", "\"/t/n-1\""),
            line("bench", "null"),
            line("lib", "\"/t/l-1\""),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ]
        .join("\n");
        let found: Vec<_> = executables(&messages).collect();
        assert_eq!(
            found,
            [("n".to_owned(), PathBuf::from("/t/n-1"), PathBuf::from("/p"))]
        );
    }

    #[test]
    fn all_sides_have_names_of_one_length() {
        assert!(
            [Side::Base, Side::Head, Side::Null]
                .iter()
                .all(|s| s.name().len() == 4)
        );
    }
}
