//! The digests of all files of a strict run, as `sha256sum --check` reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::file::{self, hexadecimal};
use crate::host::Obstacle;

/// The file's name.
pub const FILE: &str = "SHA256SUMS";

/// The digest of these bytes.
pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Writes the digests of the files of these names in `place`.
///
/// # Errors
/// One cannot be read, or the list not be written.
pub fn write(place: &Path, names: &[String]) -> Result<(), Obstacle> {
    let mut text = String::new();
    for name in names.iter().filter(|name| *name != FILE) {
        let path = place.join(name);
        let bytes = fs::read(&path).map_err(|error| {
            Obstacle::new(format!("{}: {error}", path.display()), "tools/strict-run")
        })?;
        text += &format!("{}  {name}\n", digest(&bytes));
    }
    file::replace(&place.join(FILE), text.as_bytes())
}

/// What the list says of the files of these names in `place` and is not so, a line each.
pub fn flaws(place: &Path, names: &[String]) -> Vec<String> {
    let list = place.join(FILE);
    let text = match fs::read_to_string(&list) {
        Ok(text) => text,
        Err(error) => return vec![format!("{}: {error}", list.display())],
    };
    let said: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name, digest))
        .collect();
    let files = names.iter().filter(|name| *name != FILE);
    let mut flaws: Vec<String> = files
        .filter_map(|name| {
            let path = place.join(name);
            let found = fs::read(&path).map(|bytes| digest(&bytes));
            match (said.get(name.as_str()), found) {
                (_, Err(error)) => Some(format!("{}: {error}", path.display())),
                (None, Ok(_)) => Some(format!("{}: {FILE} does not list it", path.display())),
                (Some(said), Ok(found)) => (found != **said)
                    .then(|| format!("{}: is not what {FILE} says it is", path.display())),
            }
        })
        .collect();
    if said.len() != text.lines().count() || said.len() + 1 != names.len() {
        flaws.push(format!(
            "{}: has lines that belong to no file",
            list.display()
        ));
    }
    flaws
}
