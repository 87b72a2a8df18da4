//! `--format` and `--out`.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;
use probecost::schema::{Exit, Verdict};
use serde::Serialize;

use super::{ReportFormat, json, render, summarise};
use crate::destination::Destination;
use crate::failure::Failure;

/// How a verdict is written, and where.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// Write to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Where a verdict will be written.
#[derive(Debug)]
pub struct Output {
    format: ReportFormat,
    destination: Destination,
}

impl OutputArgs {
    /// Makes sure that a verdict can be written before there is one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(&self) -> Result<Output, Failure> {
        Ok(Output {
            format: self.format,
            destination: Destination::open(self.out.as_deref())?,
        })
    }
}

impl Output {
    /// Writes a document as JSON.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_json(self, document: &impl Serialize) -> Result<(), Failure> {
        self.destination.write(&json(document)?)
    }

    /// Writes the verdict, and gives what it ends with.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(self, verdict: &Verdict) -> Result<Exit, Failure> {
        let text = render(verdict, self.format, self.destination.wants_colour())?;
        self.destination.write(&text)?;
        if self.format == ReportFormat::Github
            && let Some(path) = env::var_os("GITHUB_STEP_SUMMARY")
        {
            summarise(verdict, Path::new(&path))?;
        }
        Ok(verdict.exit)
    }
}
