//! Where a bench runs, and with what: as cargo would run it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::Message;

/// Where the loader looks for libraries.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// Takes the place of what another bench's environment has more.
const FILLER: &str = "PROBECOST_DUET_FILLER";

/// A bench's directory, and what cargo says in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchPlace {
    directory: PathBuf,
    /// None where cargo did not build it.
    variables: BTreeMap<OsString, OsString>,
}

impl BenchPlace {
    /// A directory, for what cargo has no part in.
    pub fn directory(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            variables: BTreeMap::new(),
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
            variables: BTreeMap::from([
                ("CARGO_MANIFEST_DIR".into(), package.into()),
                (LIBRARIES.into(), joined(places, &before)),
            ]),
        }
    }

    /// The same on one side of two: with libraries looked for in `first`, where there are any,
    /// and in the side's `own` of what is in one place for both; and with what else cargo says
    /// there.
    pub fn on_a_side(
        mut self,
        first: &Path,
        own: impl Fn(&OsStr) -> Option<OsString>,
        told: BTreeMap<OsString, OsString>,
    ) -> Self {
        if let Some(libraries) = self.variables.get_mut(OsStr::new(LIBRARIES)) {
            let mut places: Vec<PathBuf> = (first.is_dir().then(|| first.to_owned()))
                .into_iter()
                .collect();
            let rest = env::split_paths(libraries);
            places.extend(rest.map(|path| own(path.as_os_str()).map_or(path, PathBuf::from)));
            *libraries = joined(places, OsStr::new(""));
        }
        for (name, value) in told {
            self.variables.entry(name).or_insert(value);
        }
        self
    }

    /// Has `command` run there.
    pub fn apply(&self, command: &mut Command) {
        command.current_dir(&self.directory).envs(&self.variables);
    }

    /// The whole of its environment: how many variables, and how many bytes.
    fn environment(&self) -> [usize; 2] {
        let mut all: BTreeMap<OsString, OsString> = env::vars_os().collect();
        all.extend(self.variables.clone());
        let bytes = all.iter().map(|(name, value)| name.len() + value.len());
        [all.len(), bytes.sum()]
    }
}

/// Makes what all of them find on their stacks as long: it moves addresses.
pub fn level<'a>(places: impl IntoIterator<Item = &'a mut BenchPlace>) {
    let mut all: Vec<&mut BenchPlace> = places
        .into_iter()
        .filter(|place| !place.variables.is_empty())
        .collect();
    let mut libraries: Vec<&mut OsString> = (all.iter_mut())
        .filter_map(|place| place.variables.get_mut(OsStr::new(LIBRARIES)))
        .collect();
    let longest = libraries.iter().map(|l| l.len()).max().unwrap_or_default();
    for libraries in &mut libraries {
        // The last one is a directory, however many of these stand behind it.
        libraries.push("/".repeat(longest - libraries.len()));
    }
    // As many variables, which are pointed at, and as many bytes of them.
    let most = all.iter().map(|place| place.environment()[0]).max();
    let most = most.unwrap_or_default() + 1;
    for place in &mut all {
        for i in place.environment()[0]..most {
            let name = format!("{FILLER}_{:04}", most - i);
            place.variables.insert(name.into(), OsString::new());
        }
    }
    let longest = all.iter().map(|place| place.environment()[1]).max();
    let longest = longest.unwrap_or_default();
    for place in &mut all {
        let more = longest - place.environment()[1];
        let name = format!("{FILLER}_{:04}", 1);
        place.variables.insert(name.into(), "x".repeat(more).into());
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
    fn a_side_looks_for_its_own_libraries() {
        let mut place = BenchPlace::directory(Path::new("/"));
        let shared = "/t/build/p-1/out:/t/release/deps";
        (place.variables).insert(LIBRARIES.into(), shared.into());
        let own = |path: &OsStr| (path == "/t/build/p-1/out").then(|| "/t/base/out/p-1".into());
        let place = place.on_a_side(Path::new("/nowhere"), own, BTreeMap::new());
        assert_eq!(
            place.variables[OsStr::new(LIBRARIES)],
            "/t/base/out/p-1:/t/release/deps"
        );
    }

    #[test]
    fn what_was_there_before_comes_last_and_once() {
        let ours = ["/a", "/b:c", "/d"].map(PathBuf::from);
        let said = joined(ours.to_vec(), OsStr::new("/d::/e"));
        assert_eq!(said, "/a:/d:/e");
    }

    #[test]
    fn both_sides_find_as_much_on_their_stacks() {
        let place = |variables: &[(&str, &str)]| {
            let variables = variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()));
            BenchPlace {
                directory: "/".into(),
                variables: variables.collect(),
            }
        };
        let libraries = |place: &BenchPlace| place.variables[OsStr::new(LIBRARIES)].clone();
        let head = [
            (LIBRARIES, "/a"),
            ("CARGO_PKG_VERSION", "0.20.11"),
            ("NEW", "1"),
        ];
        // One that takes the place of another adds none.
        let base = [
            (LIBRARIES, "/a:/b"),
            ("CARGO_PKG_VERSION", "0.1.0"),
            ("PATH", "/bin"),
        ];
        let mut both = [place(&base), place(&head)];
        level(&mut both);
        assert_eq!(both.each_ref().map(libraries), ["/a:/b", "/a///"]);
        let [base, head] = both.each_ref().map(BenchPlace::environment);
        assert_eq!(base, head);
        // What cargo has no part in stays as it is.
        let mut given = BenchPlace::directory(Path::new("/"));
        level([&mut given]);
        assert_eq!(given, BenchPlace::directory(Path::new("/")));
    }
}
