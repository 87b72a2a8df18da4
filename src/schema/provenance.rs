//! Where a document comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What made a document: enough to make it again, and to know when not to believe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// The commit of the work tree that the program was built in, or else of the one of this
    /// project that it was started in; none where there is neither.
    pub commit: Option<String>,
    /// Whether that work tree differs from its commit.
    pub dirty: Option<bool>,
    /// When it was made, RFC 3339, UTC.
    pub date: String,
    /// The compiler that built the program.
    pub toolchain: String,
    /// The program's version.
    pub version: String,
    /// The command line.
    pub command: Vec<String>,
}
