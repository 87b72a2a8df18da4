//! Memory pressure as a person reads it.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::findings::{digits, findings};
use crate::schema::pressure::{PressureArm, PressureReport};
use crate::stats::Interval;

/// The arms, the rows with their verdicts, and what a reader should know.
pub fn render(report: &PressureReport) -> String {
    let mut text = String::new();
    let mut arms = Table::new();
    arms.load_style(presets::NOTHING);
    arms.set_header([
        "policy",
        "some ms/s",
        "full ms/s",
        "high some ms/s",
        "high pages/s",
        "low pages/s",
        "swap pages/s",
        "reactions",
        "delay ms",
        "monitor CPU %",
        "MB",
        "less %",
    ]);
    for arm in &report.arms {
        arms.add_row(row(arm));
    }
    for column in arms.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let settings = &report.settings;
    let _ = writeln!(text, "{arms}\n\n{}", findings(&report.rows));
    let _ = writeln!(
        text,
        "\nTwo groups touch {} MB each and may have {} MB together (cgroup v{}); {} rounds of \
         {} s a policy. Medians; intervals hold with 99 %.",
        settings.touched_mb, settings.limit_mb, settings.cgroup, settings.rounds, settings.seconds
    );
    let _ = writeln!(
        text,
        "The monitor is woken by {} ms of stall in {} ms. throttle: the low group is held for \
         {} ms by {}. reclaim: by {}.",
        settings.threshold_ms,
        settings.window_ms,
        settings.slice_ms,
        settings.held_by,
        settings.reclaimed_by
    );
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn row(arm: &PressureArm) -> Vec<String> {
    let shown = |value: Option<Interval>, by: f64| {
        value.map_or_else(|| "-".to_owned(), |value| digits(value.est / by))
    };
    vec![
        arm.policy.to_string(),
        shown(arm.some_us_s, 1e3),
        shown(arm.full_us_s, 1e3),
        shown(arm.high_some_us_s, 1e3),
        shown(arm.high_pages_s, 1.0),
        shown(arm.low_pages_s, 1.0),
        shown(arm.swapped_pages_s, 1.0),
        arm.reactions.to_string(),
        shown(arm.delay_ms, 1.0),
        shown(arm.monitor_cpu_pct, 1.0),
        shown(arm.monitor_mb, 1.0),
        shown(arm.less_pct, 1.0),
    ]
}
