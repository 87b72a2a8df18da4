//! A soak as a person reads it.

use std::fmt::{self, Write};

use comfy_table::{Table, presets};

use super::format::fixed;
use crate::schema::Check;
use crate::schema::soak::{SoakReport, SoakSample};
use crate::stats::median;

/// The whole report as text.
pub fn render(report: &SoakReport) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(text: &mut String, report: &SoakReport) -> fmt::Result {
    let totals = &report.totals;
    writeln!(
        text,
        "{:.0} events/s for {:.0} s on {}: {} events, {} lost",
        totals.rate(),
        totals.seconds,
        report.host.class(),
        totals.events,
        totals.lost
    )?;
    if let Some(matched) = totals.matched {
        writeln!(
            text,
            "{matched} of them named by the policy, looked up, added up and written out"
        )?;
    }
    let middle = |value: fn(&SoakSample) -> f64| {
        median(&report.samples.iter().map(value).collect::<Vec<f64>>()).unwrap_or(0.0)
    };
    let switches: u64 = report.samples.iter().map(|s| s.context_switches).sum();
    writeln!(
        text,
        "consumer {:.1} % of one CPU, {:.0} context switches/s, age of an event p50 {:.0} µs, \
             p99 {:.0} µs",
        middle(|s| s.cpu_share * 100.0),
        switches as f64 / totals.seconds,
        middle(|s| s.age_p50_us),
        middle(|s| s.age_p99_us),
    )?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["check", "measured", "budget", "verdict"]);
    for check in &report.checks {
        let Check {
            measure,
            limit,
            measured,
            verdict,
        } = check;
        let mut shown = fixed(measured.est, 4);
        if measured.lo < measured.hi {
            let (lo, hi) = (fixed(measured.lo, 4), fixed(measured.hi, 4));
            write!(shown, " [{lo}, {hi}]")?;
        }
        table.add_row([
            measure.clone(),
            shown,
            limit.to_string(),
            verdict.shown().into(),
        ]);
    }
    write!(text, "\n{table}")?;
    for warning in &report.warnings {
        write!(text, "\nnote: {warning}")?;
    }
    Ok(())
}
