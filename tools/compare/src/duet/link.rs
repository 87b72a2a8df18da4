//! An executable's link, kept so that it can be made again with its functions elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::own::Made;

/// A function as an executable has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// In words, without what differs from build to build.
    pub name: String,
    /// As the linker calls it.
    pub symbol: String,
    /// In bytes.
    pub size: u64,
    /// Where it lies.
    pub address: u64,
}

/// How an executable was linked.
#[derive(Debug, Clone)]
pub struct Link {
    linker: OsString,
    /// Where it was called: arguments may be paths from there.
    directory: PathBuf,
    arguments: Vec<OsString>,
}

/// Before an argument that is a file which was kept.
const KEPT: &[u8] = b"kept:";

/// The file with the linker, the place where it was called, and its arguments.
const ARGUMENTS: &str = "arguments";

/// Where a link's parts are kept.
fn place(executable: &Path) -> PathBuf {
    let mut name = executable.as_os_str().to_owned();
    name.push(".link");
    name.into()
}

/// Whether a linker takes arguments as a C compiler does, and so `-fuse-ld`.
pub fn is_driver(linker: &str, flavor: Option<&str>) -> bool {
    let flavor = flavor.is_none_or(|f| f == "gcc" || f.ends_with("-cc"));
    let name = Path::new(linker).file_name().and_then(OsStr::to_str);
    let bare = ["ld", "lld", "mold", "wild", "link"];
    let ends = |name: &str| {
        let stem = name.rsplit(['-', '.']).next().unwrap_or(name);
        bare.contains(&stem) || name.starts_with("ld.")
    };
    flavor && name.is_some_and(|name| !ends(name))
}

/// Keeps what an executable was linked from, in `directory`: rustc removes half of it, and the
/// other side's build may replace the rest.
///
/// # Errors
/// There is no room.
pub fn keep(linker: &OsStr, directory: &Path, arguments: &[OsString]) -> io::Result<()> {
    let Some(out) = output(arguments) else {
        return Ok(());
    };
    let place = place(&directory.join(&arguments[out]));
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place)?;
    let mut kept = [linker.as_bytes(), b"\0", directory.as_os_str().as_bytes()].concat();
    for (i, argument) in arguments.iter().enumerate() {
        let path = Path::new(argument);
        let mut argument = argument.clone();
        if i != out && path.is_absolute() && path.is_file() {
            let copy = place.join(format!("{i}-{}", name(path)));
            if fs::hard_link(path, &copy).is_err() {
                fs::copy(path, &copy)?;
            }
            argument = OsString::from_vec(KEPT.to_vec());
            argument.push(copy.file_name().unwrap_or_default());
        }
        kept.push(0);
        kept.extend_from_slice(argument.as_bytes());
    }
    fs::write(place.join(ARGUMENTS), kept)
}

fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Which argument is the output.
fn output(arguments: &[OsString]) -> Option<usize> {
    let flag = arguments.iter().position(|a| a == "-o")?;
    (flag + 1 < arguments.len()).then_some(flag + 1)
}

/// Moves an executable and what it was linked from, where that was kept. Of what build scripts
/// `made` it is linked with its side's own from then on.
///
/// # Errors
/// There is no room.
pub fn rescue(executable: &Path, to: &Path, made: &Made) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(executable, to)?;
    let kept = place(executable);
    if !kept.is_dir() {
        return Ok(());
    }
    let arguments = kept.join(ARGUMENTS);
    let parts = fs::read(&arguments)?;
    let parts = parts.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let own: Vec<OsString> = parts
        .map(|part| made.own(part).unwrap_or_else(|| part.to_owned()))
        .collect();
    fs::write(&arguments, own.join(OsStr::new("\0")).as_bytes())?;
    fs::rename(kept, place(to))
}

impl Link {
    /// How `executable` was linked, where that was kept.
    pub fn of(executable: &Path) -> Option<Self> {
        let place = place(executable);
        let kept = fs::read(place.join(ARGUMENTS)).ok()?;
        let mut parts = kept.split(|b| *b == 0).map(|b| match b.strip_prefix(KEPT) {
            Some(name) => place.join(OsStr::from_bytes(name)).into_os_string(),
            None => OsString::from_vec(b.to_vec()),
        });
        Some(Self {
            linker: parts.next()?,
            directory: parts.next()?.into(),
            arguments: parts.collect(),
        })
    }

    /// Links it again into `out`, with its functions in the order of the file `order`, or as
    /// the linker likes. `lld` is where rustc keeps it.
    ///
    /// # Errors
    /// What the linker said.
    pub fn again(&self, out: &Path, order: Option<&Path>, lld: &Path) -> Result<(), String> {
        let mut arguments = self.arguments.clone();
        if let Some(at) = output(&arguments) {
            arguments[at] = out.as_os_str().to_owned();
        }
        // Names are needed here, lines are not.
        arguments.retain(|a| a != "-Wl,--strip-all");
        let mut command = Command::new(&self.linker);
        command
            .current_dir(&self.directory)
            .args(arguments)
            .arg("-Wl,--strip-debug,--build-id=none")
            .arg("-fuse-ld=lld")
            // A Ctrl-C is for us alone: what is linked halfway is no executable.
            .process_group(0);
        if lld.is_dir() {
            command.arg(concat("-B", lld));
        }
        if let Some(order) = order {
            command
                .arg(concat("-Wl,--symbol-ordering-file=", order))
                // Code begins at one address, however much there is of everything else.
                .arg("-Wl,--no-warn-symbol-ordering,-z,separate-code,-Ttext=0x4000000");
        }
        let output = command
            .output()
            .map_err(|e| format!("{}: {e}", self.linker.display()))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let line = said.lines().find(|l| l.contains("error")).unwrap_or(&said);
                Err(line.trim().to_owned())
            }
        }
    }
}

fn concat(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}

/// The functions of an executable.
///
/// # Errors
/// It cannot be read.
pub fn functions(executable: &Path) -> Result<Vec<Function>, String> {
    let bytes = fs::read(executable).map_err(|e| e.to_string())?;
    let file = object::File::parse(&*bytes).map_err(|e| e.to_string())?;
    let code = |symbol: &object::Symbol| {
        let section = symbol.section_index()?;
        let section = file.section_by_index(section).ok()?;
        (section.kind() == SectionKind::Text && section.name() == Ok(".text")).then_some(())
    };
    let mut functions: Vec<Function> = file
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.size() > 0)
        .filter(|s| code(s).is_some())
        .filter_map(|s| {
            let symbol = s.name().ok()?;
            Some(Function {
                name: format!("{:#}", rustc_demangle::demangle(symbol)),
                symbol: symbol.to_owned(),
                size: s.size(),
                address: s.address(),
            })
        })
        .collect();
    functions.sort();
    functions.dedup_by(|a, b| a.symbol == b.symbol);
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_drive_a_linker_and_linkers_do_not() {
        for driver in ["cc", "gcc-12", "/usr/bin/clang", "x86_64-linux-gnu-gcc"] {
            assert!(is_driver(driver, None), "{driver}");
        }
        for linker in [
            "ld",
            "rust-lld",
            "ld.lld",
            "/usr/bin/mold",
            "x86_64-linux-gnu-ld",
        ] {
            assert!(!is_driver(linker, None), "{linker}");
        }
        assert!(!is_driver("cc", Some("gnu-lld")));
        assert!(is_driver("cc", Some("gnu-lld-cc")));
    }

    #[test]
    fn what_a_link_was_made_of_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let [object, out] = ["x.o", "out"].map(|name| place.path().join(name));
        fs::write(&object, "code").unwrap();
        let [directory, now] = ["safe/made", "made"].map(|name| place.path().join(name));
        let arguments = [
            object.as_os_str(),
            OsStr::new("-o"),
            out.as_os_str(),
            OsStr::new("-L"),
            now.as_os_str(),
        ];
        let here = place.path().join("here");
        keep(OsStr::new("cc"), &here, &arguments.map(OsStr::to_owned)).unwrap();
        fs::remove_file(&object).unwrap();
        fs::write(&out, "program").unwrap();
        let safe = place.path().join("safe/out");
        let made = Made(vec![[directory.clone(), now.clone()]]);
        rescue(&out, &safe, &made).unwrap();
        let link = Link::of(&safe).unwrap();
        assert_eq!((link.linker, link.directory), ("cc".into(), here));
        assert_eq!(fs::read(&link.arguments[0]).unwrap(), b"code");
        assert_eq!(link.arguments[2], out.as_os_str());
        assert_eq!(link.arguments[4], directory.as_os_str());
        assert!(Link::of(&out).is_none());
    }
}
