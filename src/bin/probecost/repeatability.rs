//! Do the intervals hold when the measurement is repeated? Reads the results of
//! several overhead runs and shows how far their estimates lie apart:
//!
//!     for k in $(seq 10); do
//!         cargo bench --bench overhead -- --workload open_close --out target/repeat/$k
//!     done
//!     probecost repeatability target/repeat/*

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use probecost::file;
use probecost::host::Obstacle;
use probecost::report;
use probecost::schema::overhead::{FILE, OverheadReport, OverheadRow};
use probecost::schema::{Exit, OverheadArm};
use probecost::stats::{Interval, median};

/// `probecost repeatability`
#[derive(Args)]
pub struct RepeatabilityArgs {
    /// Directories as `--out` of the overhead instrument left them, two or more
    #[arg(required = true, num_args = 2.., value_name = "DIR")]
    directories: Vec<PathBuf>,
}

/// Prints how far their estimates lie apart.
///
/// # Errors
/// A result cannot be read.
pub fn run(args: &RepeatabilityArgs) -> Result<Exit, Box<dyn Error>> {
    let reports: Result<Vec<OverheadReport>, Obstacle> = args
        .directories
        .iter()
        .map(|directory| file::read_json(&directory.join(FILE), "cargo bench --bench overhead"))
        .collect();
    report::print(&format!("{}\n", table(&reports?)));
    Ok(Exit::Passed)
}

fn table(reports: &[OverheadReport]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "workload",
        "ratio",
        "runs",
        "median",
        "standard deviation",
        "lowest",
        "highest",
        "intervals that hold the median",
    ]);
    let mut workloads: Vec<&str> = reports[0]
        .rows
        .iter()
        .map(|row| row.workload.as_str())
        .collect();
    workloads.dedup();
    for workload in workloads {
        let of = |arm: OverheadArm, pick: fn(&OverheadRow) -> Option<Interval>| -> Vec<Interval> {
            let rows = reports.iter().flat_map(|report| &report.rows);
            rows.filter(|row| row.workload == workload && row.arm == arm)
                .filter_map(pick)
                .collect()
        };
        let off = reports
            .iter()
            .filter_map(|report| report.controls.a_a.as_ref());
        let a_a: Vec<Interval> = off
            .filter_map(|a_a| a_a.workloads.get(workload).copied())
            .collect();
        let truth_of_a_a = Some(1.0);
        for (name, ratios, truth) in [
            ("off/off", a_a, truth_of_a_a),
            (
                "hook/off",
                of(OverheadArm::Hook, |row| Some(row.vs_off?.ratio)),
                None,
            ),
            (
                "event/hook",
                of(OverheadArm::Event, |row| Some(row.vs_hook?.ratio)),
                None,
            ),
            (
                "event/off",
                of(OverheadArm::Event, |row| Some(row.vs_off?.ratio)),
                None,
            ),
        ] {
            if let Some(cells) = row(&ratios, truth) {
                table.add_row([vec![workload.to_string(), name.to_string()], cells].concat());
            }
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The spread of estimates; none where there are none.
fn row(ratios: &[Interval], truth: Option<f64>) -> Option<Vec<String>> {
    let estimates: Vec<f64> = ratios.iter().map(|ratio| ratio.est).collect();
    let centre = median(&estimates)?;
    let count = estimates.len() as f64;
    let mean = estimates.iter().sum::<f64>() / count;
    let squares: f64 = estimates.iter().map(|est| (est - mean).powi(2)).sum();
    let held = ratios
        .iter()
        .filter(|ratio| ratio.contains(truth.unwrap_or(centre)))
        .count();
    let of_what = if truth.is_some() { " hold 1" } else { "" };
    Some(vec![
        estimates.len().to_string(),
        format!("{centre:.4}"),
        format!("{:.4}", (squares / (count - 1.0)).sqrt()),
        format!(
            "{:.4}",
            estimates.iter().copied().fold(f64::INFINITY, f64::min)
        ),
        format!(
            "{:.4}",
            estimates.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        ),
        format!("{held}{of_what}"),
    ])
}
