//! Where the files of both revisions lie: outside of the project, since cargo reads the
//! configuration and the workspace of every directory above.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use probecost::schema::fingerprint;

/// Where they lie for what is built in `root`: the same place each time, so that what was
/// compiled there is found again.
pub(super) fn checkouts(root: &Path) -> PathBuf {
    let name = fingerprint(root.as_os_str().as_encoded_bytes());
    cache(|name| env::var_os(name))
        .join("probecost/duet")
        .join(format!("{name:016x}"))
}

/// The user's cache, by what the environment says.
fn cache(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let place = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    place("XDG_CACHE_HOME")
        .or_else(|| Some(place("HOME")?.join(".cache")))
        .unwrap_or_else(env::temp_dir)
}

/// Options that have cargo read what it would read above the repository in `repository` and
/// does not read above `checkouts`.
pub(super) fn settings(repository: &Path, checkouts: &Path) -> Vec<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")));
    let read = |directory: &Path| {
        checkouts.starts_with(directory) || home.as_deref() == Some(&directory.join(".cargo"))
    };
    // The nearest comes last: of what is set twice the last counts.
    let mut above: Vec<&Path> = repository.ancestors().skip(1).collect();
    above.reverse();
    let files = above.into_iter().filter(|directory| !read(directory));
    let files = files.filter_map(|directory| {
        let names = ["config", "config.toml"].map(|name| directory.join(".cargo").join(name));
        names.into_iter().find(|file| file.is_file())
    });
    files
        .flat_map(|file| ["--config".to_owned(), file.display().to_string()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn trees_lie_in_the_users_cache_or_at_least_outside_of_the_project() {
        let cache = |set: &[(&str, &str)]| {
            cache(|name| set.iter().find(|s| s.0 == name).map(|s| s.1.into()))
        };
        let home = ("HOME", "/home/a");
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "/c")]), Path::new("/c"));
        // What is relative is relative to anything.
        for none in ["", "c"] {
            let asked = cache(&[home, ("XDG_CACHE_HOME", none)]);
            assert_eq!(asked, Path::new("/home/a/.cache"));
        }
        assert_eq!(cache(&[]), env::temp_dir());
    }

    #[test]
    fn each_place_has_trees_of_its_own_by_paths_of_one_length() {
        let [one, other] = ["/a/target/duet", "/b/b/target/duet"].map(|p| checkouts(Path::new(p)));
        assert_ne!(one, other);
        assert_eq!(one.as_os_str().len(), other.as_os_str().len());
    }

    #[test]
    fn what_lies_above_the_repository_is_read_once() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let write = |directory: &str, name: &str| {
            let directory = place.join(directory).join(".cargo");
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(name), "").unwrap();
            directory.join(name).display().to_string()
        };
        let outer = write("work", "config");
        let inner = write("work/team", "config.toml");
        // Cargo finds these by itself.
        write(".", "config.toml");
        write("work/team/repository", "config.toml");
        let repository = place.join("work/team/repository");
        let asked = settings(&repository, &place.join("cache/x"));
        assert_eq!(asked, ["--config", &outer, "--config", &inner]);
    }
}
