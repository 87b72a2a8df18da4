//! What went wrong, in words that lead on.

use std::error::Error;
use std::fmt;
use std::path::Path;

use probecost::host::Obstacle;

/// The path, the cause, and what to type next.
#[derive(Debug, thiserror::Error)]
#[error("{words}{}", NextCommand(remedy.as_deref()))]
pub struct Failure {
    words: String,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
    remedy: Option<String>,
}

impl Failure {
    /// A failure that no single file is the place of.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        Self {
            words: cause.to_string(),
            cause,
            remedy: None,
        }
    }

    /// A failure at a file or a directory.
    pub fn at(path: &Path, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        Self {
            words: format!("{}: {cause}", path.display()),
            cause,
            remedy: None,
        }
    }

    /// The same, with what to type next.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

impl From<Obstacle> for Failure {
    fn from(obstacle: Obstacle) -> Self {
        Self {
            words: obstacle.why.clone(),
            remedy: Some(obstacle.remedy.clone()),
            cause: obstacle.into(),
        }
    }
}

/// What to type next, on a line of its own.
struct NextCommand<'a>(Option<&'a str>);

impl fmt::Display for NextCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(remedy) => write!(f, "\n  try: {remedy}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_path_the_cause_and_the_remedy_are_said_and_the_cause_is_kept() {
        let lost = io::Error::from(io::ErrorKind::NotFound);
        let failure = Failure::at(Path::new("a.json"), lost).remedy("cargo bench");
        assert_eq!(
            failure.to_string(),
            "a.json: entity not found\n  try: cargo bench"
        );
        let source = failure.source().and_then(|e| e.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::NotFound));
    }
}
