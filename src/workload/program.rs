//! Programs of the distribution: where they lie, or which package brings them.

use std::path::{Path, PathBuf};

use crate::host::Obstacle;

/// Where the program `name` lies; otherwise the package to install.
pub fn find(name: &str, package: &str) -> Result<PathBuf, Obstacle> {
    program_path(name).ok_or_else(|| {
        Obstacle::new(
            format!("{name} is not installed"),
            format!("install it: apt-get install {package}"),
        )
    })
}

/// Where the program `name` lies, if it is installed; a whole path stays what it is.
pub fn program_path(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Path::new(name).exists().then(|| name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An ordinary user's PATH lacks where servers lie.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// What a command is called: its file, without the directories.
pub fn file_name(program: &str) -> &str {
    let name = Path::new(program).file_name();
    name.and_then(|name| name.to_str()).unwrap_or("command")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package() {
        assert!(find("sh", "dash").unwrap().ends_with("sh"));
        let error = find("no-such-server", "some-package").unwrap_err();
        assert!(
            error.remedy.contains("apt-get install some-package"),
            "{error}"
        );
    }
}
