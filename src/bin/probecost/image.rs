//! How long images take from a store to a tree that can be read.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use probecost::gate::Gate;
use probecost::report::{self, Format};
use probecost::results::Results;
use probecost::schema::{Exit, image::FILE};
use probecost::stream::image::{self, ImageArgs};

use crate::list::once;

/// `probecost image`
#[derive(Args)]
pub struct ImageCommand {
    #[command(flatten)]
    args: ImageArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where each run leaves a directory of its own
    #[arg(long, default_value = "target/image")]
    out: PathBuf,
}

/// Measures, prints and writes it.
///
/// # Errors
/// Nothing can be measured here.
pub fn run(command: &ImageCommand) -> Result<Exit, Box<dyn Error>> {
    let gate = Gate::here()?;
    once("--sizes", &command.args.sizes)?;
    let results = Results::create(&command.out)?;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {elapsed}, {eta} left").expect("a valid template"),
    );
    let image = image::measure(&command.args, &gate.image, |done| {
        bar.set_position((1000.0 * done) as u64);
    })?;
    bar.finish_and_clear();
    results.write_json(FILE, &image)?;
    command.format.print(&image, |image| {
        format!("{}\n{results}\n", report::image::render(image))
    });
    Ok(Exit::of(image.rows.iter().map(|row| row.verdict)))
}
