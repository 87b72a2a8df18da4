//! What is read of an answer, whichever protocol it is of.

use std::fmt;

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerBody {
    /// So many bytes.
    Length(u64),
    /// Chunks, the next line being the size of one.
    Chunks,
    /// So many bytes of a chunk, its line end included, and then chunks.
    Chunk(u64),
    /// The lines after the last chunk, up to an empty one.
    Trailer,
    /// All until the connection closes.
    UntilClose,
}

/// Bytes that are no message of HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedAnswer(pub(super) &'static str);

impl fmt::Display for MalformedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for MalformedAnswer {}

/// A response's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Whether the connection stays open after it.
    pub keeps_open: bool,
}
