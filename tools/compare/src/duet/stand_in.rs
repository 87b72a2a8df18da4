//! What cargo calls in place of rustc, and rustc in place of the linker, while both sides
//! are built: this program by two other names.
//!
//! Whatever flags, profile or linker a project asks for stay; what makes two builds of one
//! source alike comes behind them. Each side's crates are told of what is their side's own.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::{link, own};

const RUSTC: &str = "duet-rustc";
const LINKER: &str = "duet-link";

/// The directory whose packages are ours to lay out; all others are dependencies.
const TREE: &str = "PROBECOST_DUET_TREE";

/// Set where both sides are built as cargo builds them.
const AS_BUILT: &str = "PROBECOST_DUET_AS_BUILT";

/// The linker that the project wants.
const THEIR_LINKER: &str = "PROBECOST_DUET_LINKER";

/// Does the compiler's or the linker's work where a process with these arguments was called
/// by its name.
pub fn stand_in(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    let called = PathBuf::from(arguments.next()?);
    let arguments: Vec<OsString> = arguments.collect();
    let error = match called.file_name()?.to_str()? {
        RUSTC => compile(&called, arguments),
        LINKER => match link_and_keep(&arguments) {
            Ok(code) => return Some(code),
            Err(e) => e,
        },
        _ => return None,
    };
    eprintln!("error: {}: {error}", called.display());
    Some(ExitCode::FAILURE)
}

/// Has `cargo` call us in place of the compiler, for the packages in `tree`; `tools` is
/// where our names lie. What is built as cargo builds it gets no layout.
///
/// # Errors
/// There is no room for them.
pub fn take_part(cargo: &mut Command, tools: &Path, tree: &Path, as_built: bool) -> io::Result<()> {
    fs::create_dir_all(tools)?;
    let program = env::current_exe()?;
    for name in [RUSTC, LINKER] {
        let path = tools.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => symlink(&program, &path)?,
        }
    }
    cargo
        .env("RUSTC_WRAPPER", tools.join(RUSTC))
        .env(TREE, tree);
    if as_built {
        cargo.env(AS_BUILT, "1");
    }
    Ok(())
}

/// Becomes the compiler.
fn compile(called: &Path, mut arguments: Vec<OsString>) -> io::Error {
    if arguments.is_empty() {
        return io::Error::other("called without a compiler");
    }
    let compiler = arguments.remove(0);
    let mut command = Command::new(compiler);
    let text: Vec<&str> = arguments.iter().filter_map(|a| a.to_str()).collect();
    // A question about the compiler, not a crate; or an argument that no crate has.
    if text.len() < arguments.len() || value(&text, "--crate-name").is_none_or(|n| n == "___") {
        return command.args(arguments).exec();
    }
    let ours = env::var_os(TREE)
        .zip(env::var_os("CARGO_MANIFEST_DIR"))
        .and_then(|(tree, package)| {
            let inside = Path::new(&package).strip_prefix(&tree).ok()?;
            Some((PathBuf::from(&tree), inside.to_owned()))
        });
    if ours.is_some() {
        let name = value(&text, "--crate-name").unwrap_or_default();
        let name = format!(
            "{name}{}",
            codegen(&text, "extra-filename").unwrap_or_default()
        );
        if let Err(e) = own::point(&mut command, &name) {
            return e;
        }
    }
    if env::var_os(AS_BUILT).is_some() {
        return command.args(arguments).exec();
    }
    let linker = codegen(&text, "linker").unwrap_or("cc").to_owned();
    let to_link = called.with_file_name(LINKER);
    command
        .args(alike(
            &text,
            ours.as_ref().map(|(t, i)| (t.as_path(), i.as_path())),
        ))
        .env(THEIR_LINKER, &linker);
    if link::is_driver(&linker, codegen(&text, "linker-flavor")) {
        command.arg(format!("-Clinker={}", to_link.display()));
    }
    command.exec()
}

/// The arguments with what makes two builds alike behind them. `ours` are the tree and the
/// package's place in it, where the crate is no dependency: its functions are named by what
/// it is and not by its version or its place on the disk, and lie in one unit, since a change
/// elsewhere in the crate would cut it into others.
fn alike(arguments: &[&str], ours: Option<(&Path, &Path)>) -> Vec<String> {
    let mut alike: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    if let Some((tree, package)) = ours {
        // Of all other options the last one counts; all of these do.
        without_codegen(&mut alike, "metadata");
        let identity = identity(arguments, tree, package);
        alike.push(format!("-Cmetadata={identity:016x}"));
        alike.push("-Ccodegen-units=1".to_owned());
    }
    alike.push("-Csymbol-mangling-version=v0".to_owned());
    alike.push("-Cllvm-args=-align-all-functions=6".to_owned());
    alike
}

/// A number for a crate that is the same on both sides.
fn identity(arguments: &[&str], tree: &Path, package: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    package.hash(&mut hasher);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--out-dir" | "-L" | "--extern" | "--check-cfg" | "--diagnostic-width" => {
                arguments.next();
            }
            "-C" => {
                let option = arguments.next().unwrap_or(&"");
                let own = ["metadata=", "extra-filename=", "incremental="];
                if !own.iter().any(|own| option.starts_with(own)) {
                    option.hash(&mut hasher);
                }
            }
            other => other
                .replace(&*tree.to_string_lossy(), "")
                .hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// The value behind an argument.
fn value<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|a| *a == name)?;
    arguments.get(at + 1).copied()
}

/// What codegen option `name` is set to last, in any of its spellings.
fn codegen<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let mut last = None;
    for (i, argument) in arguments.iter().enumerate() {
        let option = match *argument {
            "-C" | "--codegen" => arguments.get(i + 1).copied().unwrap_or_default(),
            other => other.strip_prefix("-C").unwrap_or_default(),
        };
        if let Some(value) = option.strip_prefix(name).and_then(|v| v.strip_prefix('=')) {
            last = Some(value);
        }
    }
    last
}

/// Takes codegen option `name` out, where cargo set it.
fn without_codegen(arguments: &mut Vec<String>, name: &str) {
    let set = format!("{name}=");
    while let Some(at) = arguments
        .windows(2)
        .position(|pair| pair[0] == "-C" && pair[1].starts_with(&set))
    {
        arguments.drain(at..at + 2);
    }
}

/// Links as the project wants it, and keeps what it was made of where it is an executable.
fn link_and_keep(arguments: &[OsString]) -> io::Result<ExitCode> {
    let linker = env::var_os(THEIR_LINKER).unwrap_or_else(|| "cc".into());
    let status = Command::new(&linker).args(arguments).status()?;
    let ours = env::var_os(TREE)
        .zip(env::var_os("CARGO_MANIFEST_DIR"))
        .is_some_and(|(tree, package)| Path::new(&package).starts_with(tree));
    let shared = arguments.iter().any(|a| a == "-shared");
    if status.success() && ours && !shared {
        link::keep(&linker, &env::current_dir()?, arguments)?;
    }
    let code = status.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: [&str; 14] = [
        "--crate-name",
        "p",
        "src/lib.rs",
        "-C",
        "opt-level=3",
        "-C",
        "metadata=11",
        "-C",
        "extra-filename=-11",
        "--out-dir",
        "/base/x",
        "--cfg",
        "feature=\"f\"",
        "-Clinker=clang",
    ];

    #[test]
    fn our_crates_are_named_alike_on_both_sides() {
        let ours = Some((Path::new("/base"), Path::new("crates/p")));
        let base = alike(&CALL, ours);
        let head = CALL.map(|a| match a {
            "metadata=11" => "metadata=22",
            "extra-filename=-11" => "extra-filename=-22",
            "/base/x" => "/head/x",
            other => other,
        });
        let head = alike(&head, Some((Path::new("/head"), Path::new("crates/p"))));
        let named = |all: &[String]| {
            let named: Vec<String> = (all.iter())
                .filter(|a| a.contains("metadata="))
                .cloned()
                .collect();
            named
        };
        assert_eq!(named(&base), named(&head));
        assert_eq!(named(&base).len(), 1, "cargo's own is gone: {base:?}");
        assert!(base.contains(&"-Ccodegen-units=1".to_owned()));
        let other = CALL.map(|a| {
            if a.starts_with("feature") {
                "feature=\"g\""
            } else {
                a
            }
        });
        assert_ne!(named(&base), named(&alike(&other, ours)));
    }

    #[test]
    fn dependencies_keep_their_names_and_units() {
        let alike = alike(&CALL, None);
        assert!(alike.contains(&"metadata=11".to_owned()));
        assert!(!alike.contains(&"-Ccodegen-units=1".to_owned()));
        assert!(alike.contains(&"-Csymbol-mangling-version=v0".to_owned()));
    }

    #[test]
    fn options_are_found_in_any_spelling_and_the_last_counts() {
        let arguments = [
            "-Clinker=a",
            "-C",
            "linker=b",
            "--codegen",
            "linker-flavor=gcc",
        ];
        assert_eq!(codegen(&arguments, "linker"), Some("b"));
        assert_eq!(codegen(&arguments, "linker-flavor"), Some("gcc"));
        assert_eq!(codegen(&arguments, "lto"), None);
    }
}
