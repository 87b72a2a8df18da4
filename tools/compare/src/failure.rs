//! What went wrong, in words that lead on.

use std::fmt;
use std::path::Path;

/// The path, the cause, and what to type next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    words: String,
    remedy: Option<String>,
}

impl Failure {
    /// A failure that no single file is the place of.
    pub fn new(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            remedy: None,
        }
    }

    /// A failure at a file or a directory.
    pub fn at(path: &Path, cause: impl fmt::Display) -> Self {
        Self::new(format!("{}: {cause}", path.display()))
    }

    /// The same, with what to type next.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  try: {remedy}"),
            None => Ok(()),
        }
    }
}
