//! `coverage.json` as a person reads it.

use comfy_table::{CellAlignment, Table, presets};

use crate::schema::coverage::{Coverage, Witness};

/// The table, and what it comes to.
pub fn render(coverage: &Coverage) -> String {
    let witness = match coverage.expected_by {
        Some(Witness::Program) => "the program",
        Some(Witness::Strace) => "strace",
        None => "nobody else",
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["call", "seen", witness, "missed"]);
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for call in &coverage.calls {
        let expected = call.expected.map_or("–".to_owned(), |n| n.to_string());
        let missed = match call.expected.map(|n| n.saturating_sub(call.seen)) {
            None => String::new(),
            Some(missed) => missed.to_string(),
        };
        table.add_row([call.name.clone(), call.seen.to_string(), expected, missed]);
    }
    let seen: u64 = coverage.calls.iter().map(|call| call.seen).sum();
    let mut text = format!(
        "System calls of {}\n{table}\n\n{seen} calls of {} kinds in {} process{}, by {}\n",
        words(&coverage.command),
        coverage.calls.iter().filter(|call| call.seen > 0).count(),
        coverage.processes,
        if coverage.processes == 1 { "" } else { "es" },
        coverage.rung,
    );
    text += &match coverage.share {
        Some(share) => format!(
            "{:.3} % of what {witness} counted was seen\n",
            100.0 * share
        ),
        None => "nobody else counted: install strace, or let the program write its counts \
                 to $PROBECOST_OWN_CALLS\n"
            .to_owned(),
    };
    text += &format!(
        "the kernel ran the hook {} times; {} of them are counted, here or as others'\n",
        coverage.kernel.runs, coverage.kernel.counted
    );
    for sentence in &coverage.missed {
        text += &format!("missed: {sentence}\n");
    }
    text
}

/// The command, its program by its name alone.
fn words(command: &[String]) -> String {
    let directories = command.first().and_then(|program| program.rfind('/'));
    command
        .join(" ")
        .split_off(directories.map_or(0, |slash| slash + 1))
}
