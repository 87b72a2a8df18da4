//! `compare profile`: where a bench executable spends its time, as a flame graph; and of two
//! of them, which functions grew.
//!
//! record → fold → picture. `perf` records on the clock of the CPU, which every machine has.

mod fold;
mod growth;
mod picture;
mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use probecost::file;
use regex::Regex;

use crate::bench_place::BenchPlace;
use crate::failure::Failure;

pub use fold::Stacks;
pub use growth::{Growth, growth};
pub use record::{Recording, record};

/// `cargo compare profile`
#[derive(Debug, Args)]
#[command(after_help = crate::EXIT_CODES)]
pub struct ProfileArgs {
    /// The bench executable, as `cargo bench --no-run` names it
    #[arg(value_name = "EXE")]
    pub executable: PathBuf,
    /// Only benchmarks that match
    #[arg(long, value_name = "REGEX")]
    pub only: Option<Regex>,
    /// How long to run each benchmark, in seconds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Where to leave flame.svg and stacks.txt
    #[arg(long, value_name = "DIR", default_value = "target/profile")]
    pub out: PathBuf,
}

/// Profiles an executable, and says what the picture shows.
///
/// # Errors
/// It cannot be recorded, or the picture not be kept.
pub fn profile(args: &ProfileArgs) -> Result<String, Failure> {
    make_directory(&args.out)?;
    let only = args.only.as_ref().map_or(".", Regex::as_str);
    let here = BenchPlace::directory(Path::new("."));
    let seconds = Duration::from_secs(u64::from(args.seconds));
    let recording = record(&args.executable, &here, only, seconds)?;
    let name = args.executable.file_stem().unwrap_or_default();
    keep(
        &recording.stacks,
        &name.to_string_lossy(),
        &args.out,
        "flame",
        "stacks",
    )?;
    let shown = args.out.join("flame.svg");
    let mut said = format!(
        "{}: {} samples\n",
        shown.display(),
        recording.stacks.samples()
    );
    for (function, share) in recording.stacks.hottest(10) {
        said += &format!("{:5.1} %  {function}\n", 100.0 * share);
    }
    Ok(said + &recording.kernel_side())
}

/// Leaves a picture of stacks, and the stacks.
///
/// # Errors
/// They cannot be written.
pub fn keep(
    stacks: &Stacks,
    title: &str,
    place: &Path,
    picture: &str,
    text: &str,
) -> Result<(), Failure> {
    let svg = picture::flame_graph(stacks, title)?;
    file::replace(&place.join(format!("{picture}.svg")), &svg)?;
    let text = place.join(format!("{text}.txt"));
    Ok(file::replace(&text, stacks.text().as_bytes())?)
}

/// Leaves the profiles of both sides of a benchmark below `place`, and a flame graph of head
/// that is red where head has more. Gives the functions that grew, most first.
///
/// # Errors
/// They cannot be written.
pub fn keep_both(
    [base, head]: [&Stacks; 2],
    times_ns: [f64; 2],
    title: &str,
    place: &Path,
) -> Result<Vec<Growth>, Failure> {
    make_directory(place)?;
    keep(base, &format!("{title}, base"), place, "base", "base")?;
    keep(head, &format!("{title}, head"), place, "head", "head")?;
    let svg = picture::differential([base, head], title)?;
    file::replace(&place.join("differential.svg"), &svg)?;
    Ok(growth([base, head], times_ns))
}

fn make_directory(place: &Path) -> Result<(), Failure> {
    fs::create_dir_all(place).map_err(|e| Failure::at(place, e))
}
