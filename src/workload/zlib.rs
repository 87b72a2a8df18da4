//! The source of a real C library, from where cargo keeps the crates it has built.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::host::Obstacle;

/// The crate that brings zlib's source along, in the version that this project is built
/// with: wherever it was built from its own source, cargo has it already.
const CRATE: &str = "libz-sys";
const VERSION: &str = "1.1.31";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// The directory with zlib's `.c` and `.h` files. A manifest below `directory` asks cargo
/// for it, first without the network.
pub(super) fn source(directory: &Path) -> Result<PathBuf, Obstacle> {
    let project = directory.join("zlib-source");
    let manifest = project.join("Cargo.toml");
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(&project)?;
        std::fs::write(project.join("lib.rs"), "")?;
        std::fs::write(
            &manifest,
            format!(
                "[package]\nname = \"zlib-source\"\nedition = \"2024\"\n\
                 [lib]\npath = \"lib.rs\"\n[workspace]\n\
                 [dependencies]\n{CRATE} = \"={VERSION}\"\n"
            ),
        )
    };
    write().map_err(super::no_fixture)?;
    let found = ask(&manifest, true).or_else(|_| ask(&manifest, false));
    let zlib = found.map(|manifest| manifest.with_file_name("src").join("zlib"));
    match zlib {
        Ok(zlib) if zlib.join("deflate.c").is_file() => Ok(zlib),
        Ok(zlib) => Err(no_source(&format!("{} lacks deflate.c", zlib.display()))),
        Err(why) => Err(no_source(&why)),
    }
}

/// Where cargo keeps the crate's manifest.
fn ask(manifest: &Path, offline: bool) -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--manifest-path"]);
    cargo.arg(manifest);
    if offline {
        cargo.arg("--offline");
    }
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.trim().lines().next().unwrap_or_default().to_owned());
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let package = metadata.packages.into_iter().find(|p| p.name == CRATE);
    Ok(package.ok_or("cargo does not name it")?.manifest_path)
}

fn no_source(why: &str) -> Obstacle {
    Obstacle::new(
        format!("the source of zlib (crate {CRATE} {VERSION}) cannot be had: {why}"),
        "see that cargo is installed and reaches its registry, or measure your own build: \
         probecost impact -- make -C DIR -B",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_cargo_has_anyway() {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        let entry = format!("name = \"{CRATE}\"\nversion = \"{VERSION}\"");
        assert!(lock.contains(&entry), "Cargo.lock has another {CRATE}");
    }
}
