//! How an answer is written.

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SelftestFormat {
    /// Markdown, for a terminal as well.
    Text,
    /// Every rate with its interval.
    Json,
}
