//! A `gate.toml` that cannot be used, and what may have been meant.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What serde says of an unknown key (``unknown field `a`, expected one of `b`, `c` ``),
/// with the nearest known key instead of all of them.
pub(super) fn suggest(message: &str) -> Option<String> {
    let mut names = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    let unknown = names.next()?;
    Some(match nearest(unknown, names) {
        Some(known) => format!("unknown key `{unknown}`; did you mean `{known}`?"),
        None => format!("unknown key `{unknown}`; the shipped gate.toml documents all keys"),
    })
}

/// The name among `known` that is most like `name`, if any is like it at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

/// A `gate.toml` that cannot be used.
#[derive(Debug)]
pub struct GateError {
    pub(super) path: PathBuf,
    pub(super) cause: Cause,
}

#[derive(Debug)]
pub(super) enum Cause {
    Unreadable(io::Error),
    Invalid(String),
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.cause {
            Cause::Unreadable(error) => write!(f, "{error}"),
            Cause::Invalid(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for GateError {}
