//! What a command's calls are by somebody else's count.

use std::collections::BTreeMap;
use std::path::Path;

use crate::host::Obstacle;

/// The environment variable with the file into which a program that knows its own
/// calls writes them, a line `name count` each.
pub const OWN_COUNTS: &str = "PROBECOST_OWN_CALLS";

/// Calls by name.
pub(super) type Expected = BTreeMap<String, u64>;

/// What a program wrote down itself.
pub(super) fn read_own(path: &Path) -> Result<Expected, Obstacle> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let (name, times) = line.split_once(' ')?;
            Some((name.to_owned(), times.parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            Obstacle::new(
                format!("what the program wrote to ${OWN_COUNTS} is no list of calls"),
                "write a line `name count` for each",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_own_list_is_read_or_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "read 3\nwrite 4\n").unwrap();
        assert_eq!(read_own(file.path()).unwrap()["write"], 4);
        std::fs::write(file.path(), "read three\n").unwrap();
        let obstacle = read_own(file.path()).unwrap_err();
        assert!(obstacle.why.contains("no list of calls"), "{obstacle}");
    }
}
