//! A verdict, rendered. One file a format.

mod bmf;
mod figures;
mod github;
mod markdown;
mod output;
mod smaller;
mod text;

use probecost::schema::Verdict;
use serde::Serialize;

use crate::failure::Failure;

pub use figures::{named, percent, quantity};
pub use github::summarise;
pub use output::{Output, OutputArgs};
pub use text::{by_reason, table};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// A table for a terminal.
    Text,
    /// For the summary of a pull request.
    Markdown,
    /// The verdict itself.
    Json,
    /// An annotation, and the table in the job's summary.
    Github,
    /// The current figures in Bencher's metric format.
    Bmf,
    /// The current figures for github-action-benchmark.
    #[value(name = "customSmallerIsBetter")]
    CustomSmallerIsBetter,
}

/// The verdict in this format, with or without colours.
///
/// # Errors
/// The verdict cannot be written as JSON.
pub fn render(verdict: &Verdict, format: ReportFormat, colour: bool) -> Result<String, Failure> {
    match format {
        ReportFormat::Text => Ok(text::render(verdict, colour)),
        ReportFormat::Markdown => Ok(markdown::render(verdict)),
        ReportFormat::Json => json(verdict),
        ReportFormat::Github => Ok(github::render(verdict)),
        ReportFormat::Bmf => json(&bmf::metrics(verdict)),
        ReportFormat::CustomSmallerIsBetter => json(&smaller::entries(verdict)),
    }
}

/// A document as JSON that people can read, too.
///
/// # Errors
/// It holds what JSON cannot.
pub fn json(document: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Failure::new(format!("cannot write JSON: {e}")))?;
    Ok(text + "\n")
}
