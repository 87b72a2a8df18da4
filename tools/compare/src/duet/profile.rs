//! `--profile`: where the rows that became slower spend their time, on both sides.

use std::path::{Path, PathBuf};
use std::time::Duration;

use probecost::schema::{Status, VerdictRow};

use super::benchmark::BenchmarkRun;
use super::interrupt::Interrupt;
use super::layout::Order;
use super::process::RunError;
use crate::failure::Failure;
use crate::profile::{keep_both, record};

/// How long each side of a row is sampled.
const SECONDS: Duration = Duration::from_secs(3);

/// How many functions are named.
const NAMED: usize = 3;

/// Leaves the profiles of the regressed rows below `place`, a directory for each, and says of
/// each which functions grew. A row that cannot be sampled says why, and so does one that nobody
/// waits for.
pub fn profiles(
    rows: &[VerdictRow],
    runs: &[BenchmarkRun],
    place: &Path,
    interrupt: &Interrupt,
) -> Vec<String> {
    let slower = rows.iter().filter(|row| row.status == Status::Regressed);
    slower
        .filter_map(|row| Some((row, runs.iter().find(|run| run.subject.id == row.id)?)))
        .map(|(row, run)| {
            let id = &row.id;
            let directory = place.join(directory(id));
            let profile = match interrupt.came() {
                true => Err(Failure::new("interrupted")),
                false => of_row(row, run, &directory),
            };
            match profile {
                Ok(grown) => format!("{id}: {grown} ({}).", directory.display()),
                Err(why) => format!("{id}: no profile: {why}"),
            }
        })
        .collect()
}

fn of_row(row: &VerdictRow, run: &BenchmarkRun, place: &Path) -> Result<String, Failure> {
    let subject = &run.subject;
    let executables = (subject.pair.executables([Order::Name; 2])).map_err(|e| match e {
        RunError::Failed(why) | RunError::Nothing(why) => Failure::new(why),
        RunError::Interrupted => Failure::new("interrupted"),
    })?;
    let sample = |side: usize| {
        let executable = &executables[side];
        record(
            &executable.path,
            &executable.place,
            subject.pattern.as_str(),
            SECONDS,
        )
    };
    let [base, head] = [sample(0)?.stacks, sample(1)?.stacks];
    let times = [row.baseline, row.current].map(Option::unwrap_or_default);
    // As long as the operations of either side are, relative to each other.
    let [base_ns, head_ns] = times;
    let alike = head.scaled(base.samples() as f64 * head_ns / base_ns);
    let grown = keep_both([&base, &alike], times, &row.id, place)?;
    Ok(match grown.as_slice() {
        [] => "no function grew by itself".to_owned(),
        grown => {
            let named = grown.iter().take(NAMED);
            let named: Vec<String> = named
                .map(|g| format!("{} (+{:.1} ns)", g.function, g.ns))
                .collect();
            format!("grew in {}", named.join(", "))
        }
    })
}

/// A directory's name for an id.
fn directory(id: &str) -> PathBuf {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    PathBuf::from(id.chars().map(plain).collect::<String>())
}
