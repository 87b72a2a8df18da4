//! Where a bench runs, and with what: as cargo would run it.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::Message;

/// Where the loader looks for libraries.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// A bench's directory, and what cargo says in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchPlace {
    directory: PathBuf,
    /// Where libraries are looked for, where cargo built it.
    libraries: Option<OsString>,
}

impl BenchPlace {
    /// A directory, for what cargo has no part in.
    pub fn directory(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            libraries: None,
        }
    }

    /// That of the bench `executable`, which cargo built in the package that lies in `package`
    /// and of which it said `messages`.
    pub fn built(package: &Path, executable: &Path, messages: &[Message]) -> Self {
        let mut places = linked(messages, executable);
        places.extend(executable.ancestors().skip(1).take(2).map(Path::to_owned));
        places.extend(target_libraries());
        let before = env::var_os(LIBRARIES).unwrap_or_default();
        Self {
            directory: package.to_owned(),
            libraries: Some(joined(places, &before)),
        }
    }

    /// The same with libraries looked for in `first`, where there are any.
    pub fn with_libraries(self, first: &Path) -> Self {
        let before = self.libraries.as_deref().filter(|_| first.is_dir());
        let libraries = before.map(|before| joined(vec![first.to_owned()], before));
        Self {
            libraries: libraries.or(self.libraries),
            ..self
        }
    }

    /// Has `command` run there.
    pub fn apply(&self, command: &mut Command) {
        command.current_dir(&self.directory);
        if let Some(libraries) = &self.libraries {
            command
                .env("CARGO_MANIFEST_DIR", &self.directory)
                .env(LIBRARIES, libraries);
        }
    }
}

/// Makes what all of them find on their stacks as long: it moves addresses.
pub fn level<'a>(places: impl IntoIterator<Item = &'a mut BenchPlace>) {
    let mut all: Vec<&mut OsString> = places
        .into_iter()
        .filter_map(|place| place.libraries.as_mut())
        .collect();
    let longest = all.iter().map(|l| l.len()).max().unwrap_or_default();
    for libraries in &mut all {
        // The last one is a directory, however many of these stand behind it.
        libraries.push("/".repeat(longest - libraries.len()));
    }
}

/// Where build scripts left what they linked, below the directory that all is built in: what
/// lies elsewhere cargo leaves to the system.
fn linked(messages: &[Message], executable: &Path) -> Vec<PathBuf> {
    let root = executable.ancestors().nth(2);
    let paths = messages.iter().flat_map(|message| match message {
        Message::BuildScriptExecuted(script) => &script.linked_paths[..],
        _ => &[],
    });
    let paths: BTreeSet<&Path> = paths
        .map(|path| path.as_str())
        // A kind may stand before it.
        .map(|path| Path::new(path.split_once('=').map_or(path, |(_, path)| path)))
        .filter(|path| root.is_some_and(|root| path.starts_with(root)))
        .collect();
    paths.into_iter().map(Path::to_owned).collect()
}

/// Paths as the loader reads them, and behind them those that were there before.
fn joined(places: Vec<PathBuf>, before: &OsStr) -> OsString {
    let more =
        env::split_paths(before).filter(|p| !p.as_os_str().is_empty() && !places.contains(p));
    let all = places.iter().cloned().chain(more);
    // One with a colon in it cannot be said.
    let all = all.filter(|path| env::join_paths([path]).is_ok());
    env::join_paths(all).unwrap_or_default()
}

/// Where rustc keeps its libraries, where there is a rustc.
pub fn target_libraries() -> Option<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then(|| said.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_looked_for_where_the_build_left_them() {
        let script = serde_json::json!({
            "reason": "build-script-executed", "package_id": "p", "linked_libs": [],
            "linked_paths": ["native=/t/release/build/p-1/out", "/usr/lib", "/t/release/build/a-2/out"],
            "cfgs": [], "env": [], "out_dir": "/t/release/build/p-1/out",
        });
        let messages = [serde_json::from_value(script).unwrap()];
        let found = linked(&messages, Path::new("/t/release/deps/bench-1"));
        let expected = ["/t/release/build/a-2/out", "/t/release/build/p-1/out"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn what_was_there_before_comes_last_and_once() {
        let ours = ["/a", "/b:c", "/d"].map(PathBuf::from);
        let said = joined(ours.to_vec(), OsStr::new("/d::/e"));
        assert_eq!(said, "/a:/d:/e");
    }

    #[test]
    fn both_sides_find_as_much_on_their_stacks() {
        let place = |libraries: &str| BenchPlace {
            directory: "/".into(),
            libraries: Some(libraries.into()),
        };
        let mut both = [place("/a:/b"), place("/a")];
        level(&mut both);
        assert_eq!(both, [place("/a:/b"), place("/a///")]);
    }
}
