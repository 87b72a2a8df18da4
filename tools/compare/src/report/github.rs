//! For GitHub Actions: one annotation, and the table in the job's summary.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use probecost::schema::{BudgetRow, Exit, Outcome, Status, Verdict, VerdictRow};

use super::{figures, markdown, text};
use crate::failure::Failure;

/// Rows and budgets that the annotation names.
const NAMED: usize = 5;

/// One workflow command that rolls all rows up, and the table for the log.
pub fn render(verdict: &Verdict) -> String {
    let told: Vec<&BudgetRow> = verdict
        .budgets
        .iter()
        .filter(|b| !matches!(b.verdict, Outcome::Pass | Outcome::Skipped))
        .collect();
    let findings = verdict.summary.regressed + verdict.summary.inconclusive + told.len();
    let level = match verdict.exit {
        Exit::Passed if findings > 0 => "warning",
        Exit::Passed => "notice",
        Exit::Undecided => "warning",
        Exit::Failed | Exit::Broken => "error",
    };
    let rows = verdict.rows.iter().filter(|r| r.status < Status::Improved);
    let worst: Vec<String> = rows
        .map(of_row)
        .chain(told.into_iter().map(of_budget))
        .collect();
    let mut lines = vec![figures::counts(verdict)];
    lines.extend(worst.iter().take(NAMED).cloned());
    if worst.len() > NAMED {
        lines.push(format!("and {} more", worst.len() - NAMED));
    }
    format!(
        "::{level} title={}::{}\n\n{}",
        property(&format!("Benchmarks {}", figures::outcome(verdict))),
        data(&lines.join("\n")),
        text::render(verdict, false)
    )
}

fn of_row(row: &VerdictRow) -> String {
    let change = row
        .change_pct
        .map_or(String::new(), |c| format!(" {}", figures::percent(c)));
    format!("{}: {}{change}", row.id, figures::status(row))
}

fn of_budget(budget: &BudgetRow) -> String {
    let [limit, now, _] = figures::budget_cells(budget);
    format!(
        "{}: {}, {now}, {limit}",
        budget.id,
        figures::outcome_of(budget)
    )
}

/// Adds the table to the job's summary at `path`.
///
/// # Errors
/// The file cannot be written.
pub fn summarise(verdict: &Verdict, path: &Path) -> Result<(), Failure> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(markdown::render(verdict).as_bytes()))
        .map_err(|e| Failure::at(path, format!("the job's summary: {e}")))
}

/// The text of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_commands_stay_on_one_line() {
        assert_eq!(data("50 %\nb"), "50 %25%0Ab");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
