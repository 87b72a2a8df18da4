//! Pulls of images as a person reads them.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::findings::findings;
use crate::schema::image::{ImageReport, Pulls};
use crate::stats::Interval;

/// The figures of every pull, the rows with their verdicts, and what cannot be done here.
pub fn render(image: &ImageReport) -> String {
    let mut text = String::new();
    let mut figures = Table::new();
    figures.load_style(presets::NOTHING);
    figures.set_header([
        "image",
        "by",
        "at once",
        "pull ms",
        "mount ms",
        "first read ms",
        "read all ms",
        "pull MB/s",
        "read MB/s",
        "disk MB",
    ]);
    for pulls in &image.pulls {
        figures.add_row(row(pulls));
    }
    for column in figures.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let cache = if image.settings.cold {
        "cold: the page cache is dropped before each pull and each reading"
    } else {
        "warm: the page cache is left as it is"
    };
    let _ = writeln!(text, "{figures}\n\n{}", findings(&image.rows));
    let _ = writeln!(
        text,
        "\nMedians over {} rounds on {}; {cache}. Intervals hold with 99 %.",
        image.settings.rounds, image.settings.file_system
    );
    for way in &image.ways {
        let by = way.by.as_deref().unwrap_or("cannot be done here");
        let _ = write!(text, "{}: {by}", way.how);
        if !way.reason.is_empty() {
            let _ = write!(text, " ({})", way.reason);
        }
        text.push('\n');
    }
    text
}

fn row(pulls: &Pulls) -> Vec<String> {
    let number = |value: &Option<Interval>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{:.digits$}", value.est))
    };
    vec![
        pulls.image.clone(),
        pulls.how.to_string(),
        if pulls.again {
            "again".into()
        } else {
            pulls.at_once.to_string()
        },
        number(&pulls.pull_ms, 1),
        number(&pulls.mount_ms, 2),
        number(&pulls.first_read_ms, 2),
        number(&pulls.read_ms, 1),
        number(&pulls.pull_mb_s, 0),
        number(&pulls.read_mb_s, 0),
        pulls
            .storage_mb
            .map_or_else(|| "-".to_owned(), |mb| format!("{mb:.1}")),
    ]
}
