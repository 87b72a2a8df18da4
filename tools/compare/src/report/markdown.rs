//! For the summary of a pull request.

use probecost::schema::{BudgetRow, Outcome, Status, Verdict, VerdictRow};

use super::figures;

/// GitHub cuts a step's summary off at 1 MiB; what is left is for the end of the report.
const LIMIT: usize = (1 << 20) - 4096;

/// The verdict: what needs reading in the open, the rest folded.
pub fn render(verdict: &Verdict) -> String {
    let mark = match u8::from(verdict.exit) {
        0 => "✅",
        1 => "❌",
        2 => "⚠️",
        _ => "❔",
    };
    let mut text = format!(
        "### {mark} Benchmarks {}\n\n**{}** · {}",
        figures::outcome(verdict),
        figures::counts(verdict),
        escape(&figures::sides(verdict)),
    );
    if let Some(host) = &verdict.host {
        text += &format!(" · on `{}`", host.class());
    }
    text += "\n";
    let columns = figures::columns(verdict);
    let (open, folded): (Vec<&VerdictRow>, Vec<&VerdictRow>) = verdict
        .rows
        .iter()
        .partition(|r| !matches!(r.status, Status::Unchanged | Status::Filtered));
    if !open.is_empty() {
        text += "\n";
        text += &table(columns, &open, LIMIT / 2);
    }
    text += &budgets(&verdict.budgets, LIMIT / 4);
    for note in figures::shift(verdict).iter().chain(&verdict.notes) {
        text += &format!("\n> {}\n", escape(note));
    }
    if !folded.is_empty() {
        let room = LIMIT.saturating_sub(text.len());
        text += &format!(
            "\n<details><summary>{} unchanged or filtered</summary>\n\n",
            folded.len()
        );
        text += &table(columns, &folded, room);
        text += "\n</details>\n";
    }
    text
}

/// The budgets, where there are any: what needs reading in the open, the rest folded.
fn budgets(budgets: &[BudgetRow], room: usize) -> String {
    let (judged, not_run) = figures::judged(budgets);
    let (kept, open): (Vec<&BudgetRow>, Vec<&BudgetRow>) =
        judged.into_iter().partition(|b| b.verdict == Outcome::Pass);
    let mut text = String::new();
    if !open.is_empty() {
        text += &format!("\n{}", budget_table(&open, room / 2));
    }
    if !kept.is_empty() {
        text += &format!(
            "\n<details><summary>{} budgets kept</summary>\n\n{}\n</details>\n",
            kept.len(),
            budget_table(&kept, room / 2)
        );
    }
    if let Some(sentence) = not_run {
        text += &format!("\n{}\n", escape(&sentence));
    }
    text
}

fn budget_table(budgets: &[&BudgetRow], room: usize) -> String {
    let head = "| budget | limit | now | interval | verdict | why |\n|:--|--:|--:|--:|:--|:--|\n";
    let lines = budgets.iter().map(|budget| {
        let verdict = match budget.verdict {
            Outcome::Pass => figures::outcome_of(budget),
            _ => format!("**{}**", figures::outcome_of(budget)),
        };
        let cells = figures::budget_cells(budget).map(|cell| escape(&cell));
        let (id, reason) = (escape(&budget.id), escape(&budget.reason));
        format!("| {id} | {} | {verdict} | {reason} |\n", cells.join(" | "))
    });
    fill(head, lines, room)
}

fn table(columns: [&str; 5], rows: &[&VerdictRow], room: usize) -> String {
    let head = format!(
        "| benchmark | {} | verdict | why |\n|:--|--:|--:|--:|--:|--:|:--|:--|\n",
        columns.join(" | ")
    );
    let lines = rows.iter().map(|row| {
        let verdict = match row.status {
            Status::Unchanged | Status::Filtered => figures::status(row),
            _ => format!("**{}**", figures::status(row)),
        };
        let cells = figures::cells(row).join(" | ");
        let reason = escape(&row.reason);
        format!("| {} | {cells} | {verdict} | {reason} |\n", escape(&row.id))
    });
    fill(&head, lines, room)
}

/// The lines below their head, as many as there is room for, and how many there was none
/// for.
fn fill(head: &str, lines: impl ExactSizeIterator<Item = String>, room: usize) -> String {
    let mut text = head.to_owned();
    let all = lines.len();
    for (number, line) in lines.enumerate() {
        if text.len() + line.len() > room {
            text += &format!("\n{} more rows: the JSON report has them.\n", all - number);
            break;
        }
        text += &line;
    }
    text
}

/// Text that stays text inside a table.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\r' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_break_the_table() {
        assert_eq!(escape("a|b\n`c` <d>"), "a\\|b \\`c\\` \\<d\\>");
    }
}
