//! What a bench uses while it runs, kept for each side: cargo has one place for both sides, and
//! by then the other's lies there.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Message, TargetKind};
use walkdir::WalkDir;

/// Where it is kept. Both sides' places have paths of one length, since benches know them.
const PLACE: &str = "PROBECOST_DUET_OWN";

/// Where cargo tells a crate that its package's binaries lie.
const BINARY: &[u8] = b"CARGO_BIN_EXE_";

/// Where cargo tells a crate that its build script's files lie.
const MADE: &str = "OUT_DIR";

/// What the compiler alone is told, besides what begins with [`OURS`], or what we tell a bench
/// ourselves.
const NOT_NOTED: [&str; 6] = [
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "CRITERION_HOME",
    "LD_LIBRARY_PATH",
    "RUSTC_WRAPPER",
];

/// What our variables begin with.
const OURS: &[u8] = b"PROBECOST_DUET_";

/// Has the crates that `cargo` compiles know `place`.
///
/// # Errors
/// There is no room for it.
pub fn take_part(cargo: &mut Command, place: &Path) -> io::Result<()> {
    fs::create_dir_all(made(place))?;
    fs::create_dir_all(told(place))?;
    cargo.env(PLACE, place);
    Ok(())
}

/// Has the crate that `compiler` compiles know its side's own, and none that the next build
/// puts in its place. What cargo tells it in the environment is noted for the executable that
/// will be called `name`.
///
/// # Errors
/// There is no room.
pub fn point(compiler: &mut Command, name: &str) -> io::Result<()> {
    let Some(place) = env::var_os(PLACE).map(PathBuf::from) else {
        return Ok(());
    };
    let out = env::var_os(MADE).map(PathBuf::from);
    let out = out.and_then(|out| Some((made(&place).join(out.parent()?.file_name()?), out)));
    if let Some((link, out)) = &out {
        // The compiler reads what lies there; it is copied as soon as all is built.
        match symlink(out, link) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    let out = out.as_ref();
    let out = out.map(|(link, out)| [link, out].map(|path| path.as_path()));
    let mut noted = Vec::new();
    for (variable, value) in env::vars_os() {
        let own = own(&place, out, &variable, &value);
        if let Some(own) = &own {
            compiler.env(&variable, own);
        }
        let known = NOT_NOTED.iter().any(|name| variable == *name);
        if !known && !variable.as_bytes().starts_with(OURS) {
            let value = own.unwrap_or(value);
            noted.extend_from_slice(&[variable.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
    }
    fs::write(told(&place).join(name), noted)
}

/// What cargo told the crate of the bench `executable` in its environment, as it would tell the
/// bench.
pub fn environment(place: &Path, executable: &Path) -> BTreeMap<OsString, OsString> {
    let name = executable.file_name().unwrap_or_default();
    let noted = fs::read(told(place).join(name)).unwrap_or_default();
    let variable = |noted: &[u8]| {
        let end = noted.iter().position(|b| *b == b'=')?;
        let parts = [&noted[..end], &noted[end + 1..]];
        let [name, value] = parts.map(|part| OsStr::from_bytes(part).to_owned());
        Some((name, value))
    };
    noted.split(|b| *b == 0).filter_map(variable).collect()
}

/// What a variable says of its side's own, where it says anything of it; `out` is where the
/// files of the build script will lie, and where they lie now.
fn own(place: &Path, out: Option<[&Path; 2]>, name: &OsStr, value: &OsStr) -> Option<OsString> {
    if let Some(binary) = name.as_bytes().strip_prefix(BINARY) {
        return Some(binaries(place).join(OsStr::from_bytes(binary)).into());
    }
    moved(out?, value)
}

/// A path in a directory, by where the directory will lie and where it lies now.
fn moved(directory: [&Path; 2], path: &OsStr) -> Option<OsString> {
    let [own, now] = directory.map(|path| path.as_os_str().as_bytes());
    let inside = path.as_bytes().strip_prefix(now)?;
    let whole = inside.is_empty() || inside.starts_with(b"/");
    whole.then(|| OsString::from_vec([own, inside].concat()))
}

/// The directories of build scripts that a side keeps: where each is kept, and where cargo has
/// it for both sides.
pub struct Made(pub Vec<[PathBuf; 2]>);

impl Made {
    /// Those of which cargo said `messages`, as far as `place` has them.
    pub fn of(place: &Path, messages: &[Message]) -> Self {
        let directories = messages.iter().filter_map(|message| match message {
            Message::BuildScriptExecuted(script) => Some(script.out_dir.as_std_path()),
            _ => None,
        });
        let kept = directories.filter_map(|out| {
            let own = made(place).join(out.parent()?.file_name()?);
            own.is_dir().then(|| [own, out.to_owned()])
        });
        Self(kept.collect())
    }

    /// The side's own of what `said` names, where it names anything of it. Behind what stands
    /// before it, such as `-L`, that is a path.
    pub fn own(&self, said: &OsStr) -> Option<OsString> {
        let at = said.as_bytes().iter().position(|byte| *byte == b'/')?;
        let (before, path) = said.as_bytes().split_at(at);
        let path = OsStr::from_bytes(path);
        let mut kept = self.0.iter();
        let own = kept.find_map(|[own, now]| moved([own, now], path))?;
        Some(OsString::from_vec([before, own.as_bytes()].concat()))
    }
}

/// Keeps in `place` what a build has left of the packages in `tree`, by what cargo said of it.
///
/// # Errors
/// There is no room.
pub fn keep(place: &Path, tree: &Path, messages: &[Message]) -> io::Result<()> {
    for message in messages {
        let Message::CompilerArtifact(made) = message else {
            continue;
        };
        // Of a binary there may be its unit tests as well.
        if made.profile.test || !made.manifest_path.starts_with(tree) {
            continue;
        }
        let is = |kind| made.target.kind.contains(&kind);
        if let (true, Some(binary)) = (is(TargetKind::Bin), &made.executable) {
            copy(
                binary.as_std_path(),
                &binaries(place).join(&made.target.name),
            )?;
        }
        if is(TargetKind::DyLib) || is(TargetKind::CDyLib) {
            let files = made.filenames.iter().map(|file| file.as_std_path());
            for library in files.filter(|file| file.extension() == Some(OsStr::new("so"))) {
                copy(
                    library,
                    &libraries(place).join(library.file_name().unwrap_or_default()),
                )?;
            }
        }
    }
    let Ok(links) = fs::read_dir(made(place)) else {
        return Ok(());
    };
    let links: Vec<PathBuf> = links
        .map(|link| Ok(link?.path()))
        .collect::<io::Result<_>>()?;
    for link in links {
        let original = fs::read_link(&link)?;
        fs::remove_file(&link)?;
        copy_all(&original, &link)?;
    }
    Ok(())
}

/// Where libraries of a side's packages are kept.
pub fn libraries(place: &Path) -> PathBuf {
    place.join("lib")
}

fn binaries(place: &Path) -> PathBuf {
    place.join("exe")
}

/// Where what build scripts made is kept, by package.
fn made(place: &Path) -> PathBuf {
    place.join("out")
}

/// Where what cargo told crates is noted, by executable.
fn told(place: &Path) -> PathBuf {
    place.join("env")
}

fn copy(file: &Path, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(file, to).map(drop)
}

/// Copies a directory with all that is in it and can be read.
///
/// # Errors
/// There is no room.
pub fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in WalkDir::new(from).follow_links(true).into_iter().flatten() {
        let inside = entry.path().strip_prefix(from).unwrap_or(entry.path());
        let to = to.join(inside);
        match entry.file_type().is_dir() {
            true => fs::create_dir_all(to)?,
            false => fs::copy(entry.path(), to).map(drop)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_at_one_place_for_both_is_a_sides_own() {
        let place = Path::new("/t/base");
        let out = ["/t/base/out/p-1", "/t/build/p-1/out"].map(Path::new);
        for (name, value, expected) in [
            (
                "CARGO_BIN_EXE_a-tool",
                "/t/a-tool",
                Some("/t/base/exe/a-tool"),
            ),
            ("OUT_DIR", "/t/build/p-1/out", Some("/t/base/out/p-1")),
            ("GENERATED", "/t/build/p-1/out/", Some("/t/base/out/p-1/")),
            (
                "TABLE",
                "/t/build/p-1/out/t.bin",
                Some("/t/base/out/p-1/t.bin"),
            ),
            ("OTHER", "/t/build/p-1/output", None),
            ("HOME", "/root", None),
        ] {
            let own = own(place, Some(out), name.as_ref(), value.as_ref());
            assert_eq!(own, expected.map(Into::into), "{name}");
        }
        assert_eq!(own(place, None, "HOME".as_ref(), "/root".as_ref()), None);
    }

    #[test]
    fn what_a_build_script_had_linked_is_a_sides_own_where_it_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let ours = made(place.path()).join("p-1");
        fs::create_dir_all(&ours).unwrap();
        let script = |package: &str| {
            serde_json::from_value(serde_json::json!({
                "reason": "build-script-executed", "package_id": "p", "linked_libs": [],
                "linked_paths": [], "cfgs": [], "env": [],
                "out_dir": format!("/t/build/{package}/out"),
            }))
            .unwrap()
        };
        let made = Made::of(place.path(), &["p-1", "dependency-2"].map(script));
        let ours = ours.display();
        for (said, expected) in [
            ("/t/build/p-1/out", Some(format!("{ours}"))),
            ("/t/build/p-1/out/lib", Some(format!("{ours}/lib"))),
            ("-L/t/build/p-1/out", Some(format!("-L{ours}"))),
            ("/t/build/p-1/outer", None),
            ("/t/build/dependency-2/out", None),
            ("-lfoo", None),
        ] {
            assert_eq!(made.own(said.as_ref()), expected.map(Into::into), "{said}");
        }
    }
}
