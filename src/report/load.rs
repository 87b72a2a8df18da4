//! `load.json` as a person reads it.

use std::fmt::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

use crate::schema::load::{Load, LoadStep, PaceSource};

/// The figures, the ladder, and what a reader must know of them.
pub fn render(load: &Load) -> String {
    let mut text = String::new();
    write(load, &mut text).expect("a string takes any text");
    text
}

fn write(load: &Load, f: &mut String) -> fmt::Result {
    let asked = match (load.pace, load.rate.asked) {
        (PaceSource::Rate, Some(rate)) => format!("{rate} requests a second"),
        _ => "as fast as it answers".to_owned(),
    };
    writeln!(
        f,
        "{}: {asked} over {} connections for {} s\n",
        load.url, load.connections, load.seconds
    )?;
    let requests = &load.requests;
    let errors: Vec<String> = requests
        .errors
        .iter()
        .map(|(kind, count)| format!("{count} {}", kind.word()))
        .collect();
    line(
        f,
        "requests",
        format_args!(
            "{} due, {} sent, {} answered, {}",
            requests.due,
            requests.sent,
            requests.answered,
            match errors.as_slice() {
                [] => "no errors".to_owned(),
                some => format!("errors: {}", some.join(", ")),
            }
        ),
    )?;
    line(
        f,
        "throughput",
        format_args!("{:.1} a second", load.rate.reached),
    )?;
    match &load.latency_us {
        Some(us) => line(
            f,
            "latency",
            format_args!(
                "mean {}, p50 {}, p95 {}, p99 {}, min {}, max {}",
                time(us.mean),
                time(us.p50),
                time(us.p95),
                time(us.p99),
                time(us.min),
                time(us.max)
            ),
        )?,
        None => line(f, "latency", format_args!("none: nothing was answered"))?,
    }
    let lag = &load.generator_lag_us;
    line(
        f,
        "generator",
        format_args!(
            "late by p50 {}, p99 {}, max {}",
            time(lag.p50),
            time(lag.p99),
            time(lag.max)
        ),
    )?;
    if !load.ladder.is_empty() {
        writeln!(f, "\n{}", ladder(&load.ladder))?;
        match load.knee {
            Some(rate) => writeln!(f, "\nThe knee: {rate} requests a second.")?,
            None => writeln!(f, "\nNo knee.")?,
        }
    }
    for note in &load.notes {
        writeln!(f, "\nNote: {note}.")?;
    }
    Ok(())
}

fn line(f: &mut String, name: &str, what: fmt::Arguments) -> fmt::Result {
    writeln!(f, "  {name:<11} {what}")
}

fn ladder(rungs: &[LoadStep]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["  asked/s", "reached/s", "failed", "p50", "p99", "kept up"]);
    let shown = |us: Option<f64>| us.map_or_else(|| "-".to_owned(), time);
    for rung in rungs {
        table.add_row([
            rung.rate
                .asked
                .map_or_else(String::new, |rate| format!("{rate:.0}")),
            format!("{:.0}", rung.rate.reached),
            rung.failed.to_string(),
            shown(rung.p50_us),
            shown(rung.p99_us),
            if rung.kept_up { "yes" } else { "no" }.to_owned(),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A time in the unit in which it is easiest to read.
fn time(us: f64) -> String {
    match us {
        ..1e3 => format!("{us:.0} µs"),
        ..1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}
