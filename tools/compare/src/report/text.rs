//! A table for a terminal.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, Color, LineStyle, Table, presets};
use probecost::schema::{BudgetRow, Exit, Outcome, Status, Verdict, VerdictRow};

use super::figures;

/// Rows of which nothing needs saying are listed up to this many.
const PLAIN_ROWS: usize = 40;

/// The verdict, what matters most first.
pub fn render(verdict: &Verdict, colour: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{}: {}",
        figures::outcome(verdict),
        figures::counts(verdict)
    );
    let _ = writeln!(text, "{}", figures::sides(verdict));
    if let Some(host) = &verdict.host {
        let _ = writeln!(text, "on {}", host.class());
    }
    let (said, plain): (Vec<&VerdictRow>, Vec<&VerdictRow>) = verdict
        .rows
        .iter()
        .partition(|r| !r.reason.is_empty() && r.status != Status::Filtered);
    let shown = said.iter().chain(plain.iter().take(PLAIN_ROWS)).copied();
    let _ = writeln!(
        text,
        "\n{}",
        rows_table(figures::columns(verdict), shown, colour)
    );
    if plain.len() > PLAIN_ROWS {
        let more = plain.len() - PLAIN_ROWS;
        let _ = writeln!(
            text,
            "… and {more} more, unchanged or filtered: --format json lists all"
        );
    }
    if !said.is_empty() {
        text.push('\n');
    }
    for (ids, reason) in by_reason(said.iter().map(|r| (r.id.as_str(), r.reason.as_str()))) {
        let _ = writeln!(text, "{ids}: {reason}");
    }
    text += &budgets(&verdict.budgets, colour);
    for note in figures::shift(verdict).iter().chain(&verdict.notes) {
        let _ = writeln!(text, "\n{note}");
    }
    let against_a_file = verdict.duet.is_none();
    if against_a_file && verdict.exit == Exit::Failed && verdict.summary.regressed > 0 {
        let _ = writeln!(
            text,
            "\nIf it is meant: cargo compare run --times 10 --out DIR -- COMMAND && cargo compare refresh --run DIR --why TEXT"
        );
    }
    text
}

/// Each reason once, behind the first of the benchmarks that it holds for.
pub fn by_reason<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, &'a str)> {
    let mut reasons: Vec<(Vec<&str>, &str)> = Vec::new();
    for (id, reason) in rows {
        match reasons.iter_mut().find(|(_, known)| *known == reason) {
            Some((ids, _)) => ids.push(id),
            None => reasons.push((vec![id], reason)),
        }
    }
    reasons
        .into_iter()
        .map(|(ids, reason)| (figures::named(&ids), reason))
        .collect()
}

/// The budgets, where there are any.
fn budgets(budgets: &[BudgetRow], colour: bool) -> String {
    let (judged, not_run) = figures::judged(budgets);
    let mut text = String::new();
    if !judged.is_empty() {
        let body = judged.iter().map(|budget| {
            let mut cells: Vec<Cell> = vec![Cell::new(&budget.id)];
            cells.extend(figures::budget_cells(budget).map(Cell::new));
            let outcome = Cell::new(figures::outcome_of(budget));
            cells.push(match budget.verdict {
                Outcome::Fail if colour => outcome.fg(Color::Red),
                Outcome::Inconclusive if colour => outcome.fg(Color::Yellow),
                _ => outcome,
            });
            cells
        });
        let head = ["budget", "limit", "now", "interval", "verdict"];
        let _ = writeln!(text, "\n{}", table(&head, body, colour));
    }
    let said = judged.iter().filter(|b| !b.reason.is_empty());
    let reasons = by_reason(said.map(|b| (b.id.as_str(), b.reason.as_str())));
    if !reasons.is_empty() {
        text.push('\n');
    }
    for (ids, reason) in reasons {
        let _ = writeln!(text, "{ids}: {reason}");
    }
    if let Some(sentence) = not_run {
        let _ = writeln!(text, "\n{sentence}");
    }
    text
}

fn rows_table<'a>(
    columns: [&str; 5],
    rows: impl Iterator<Item = &'a VerdictRow>,
    colour: bool,
) -> String {
    let head = [&["benchmark"], &columns[..], &["verdict"]].concat();
    let body = rows.map(|row| {
        let mut cells: Vec<Cell> = vec![Cell::new(&row.id)];
        cells.extend(figures::cells(row).map(Cell::new));
        let status = Cell::new(figures::status(row));
        cells.push(match hue(row.status) {
            Some(hue) if colour => status.fg(hue),
            _ => status,
        });
        cells
    });
    table(&head, body, colour)
}

/// A table whose figures stand on the right: all columns but the first and the last.
pub fn table(head: &[&str], body: impl Iterator<Item = Vec<Cell>>, colour: bool) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')))
        .set_header(head)
        .add_rows(body);
    match colour {
        true => table.enforce_styling(),
        false => table.force_no_tty(),
    };
    for column in 1..head.len().saturating_sub(1) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn hue(status: Status) -> Option<Color> {
    match status {
        Status::Regressed | Status::Broken | Status::Missing => Some(Color::Red),
        Status::Inconclusive | Status::Incomparable => Some(Color::Yellow),
        Status::Improved => Some(Color::Green),
        Status::New => Some(Color::Cyan),
        Status::Unchanged | Status::Filtered => None,
    }
}
