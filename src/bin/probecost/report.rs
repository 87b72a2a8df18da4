//! All results on one page.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use probecost::file;
use probecost::gate::Gate;
use probecost::report::{page, print};
use probecost::schema::Exit;

/// `probecost report`
#[derive(Args)]
pub struct ReportCommand {
    /// Where results lie, and those before them
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Leave out what is older, e.g. 2026-11-14
    #[arg(long, value_name = "DATE", value_parser = page::day)]
    since: Option<Timestamp>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Leave report.html, report.md and report.json there as well
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Form {
    /// For people and repositories
    #[default]
    Markdown,
    /// For a browser: one file
    Html,
    /// For programs
    Json,
}

/// Reads, prints and writes it.
///
/// # Errors
/// There is no result.
pub fn run(command: &ReportCommand) -> Result<Exit, Box<dyn Error>> {
    let gate = Gate::here()?;
    let reading = page::read(&command.directories, command.since)?;
    let page = page::page(&reading, &gate.report);
    if let Some(out) = &command.out {
        file::write_json(&out.join("report.json"), &page)?;
        file::replace(&out.join("report.html"), page::html(&page).as_bytes())?;
        file::replace(&out.join("report.md"), page::markdown(&page).as_bytes())?;
    }
    let text = match command.format {
        Form::Markdown => page::markdown(&page),
        Form::Html => page::html(&page),
        Form::Json => serde_json::to_string_pretty(&page)?,
    };
    print(&(text + "\n"));
    let rows = page.streams.iter().flat_map(|stream| &stream.rows);
    Ok(Exit::of(rows.map(|row| row.verdict)))
}
