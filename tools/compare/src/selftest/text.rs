//! The report as Markdown that reads well in a terminal.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, Table, presets};
use probecost::schema::GatePolicy;
use probecost::stats::Interval;

use super::report::{FoundRate, StudyReport, Without};
use super::sides::SideRuns;
use crate::report;

/// Benchmarks that are listed, at most.
const LISTED: usize = 40;

/// The tables, and in sentences what they mean.
pub fn render(report: &StudyReport) -> String {
    let tables = [
        head(report),
        rules(report),
        as_made(report),
        benchmarks(report),
        by_sides(report),
    ];
    tables.join("\n")
}

fn head(report: &StudyReport) -> String {
    let policy = match report.policy {
        GatePolicy::Strict => "strict",
        GatePolicy::Advisory => "advisory",
    };
    let SideRuns { baseline, current } = report.sides;
    let mut text = format!(
        "{} in {} unchanged runs, judged by {}, policy {policy}: slower by more than {} %.\n\
         {} suites drawn from these runs: {baseline} as the baseline, {current} held against it; \
         seed {}.\n",
        several(report.benchmarks.len(), "benchmark"),
        report.unchanged_runs,
        report.gate.as_deref().unwrap_or("the shipped gate.toml"),
        report.threshold_pct,
        report.suites,
        report.seed,
    );
    if report.sides.total() == report.unchanged_runs {
        text += "Every suite takes all of the runs, so all suites are worth a single one: \
                 cargo compare run --times 40 makes more.\n";
    }
    text
}

fn rules(report: &StudyReport) -> String {
    let body = report.rules.iter().map(|rule| {
        let found = rule.found.iter().filter(|f| !f.planted);
        let mut cells = vec![rule.name.to_owned(), rate(rule.false_alarms)];
        cells.extend(found.map(|f| rate(f.rate)));
        cells
    });
    let found = report.rules.first().map_or(&[][..], |rule| &rule.found);
    let mut text = table(&heads(&["rule", "false alarms"], found, false), body);
    let _ = write!(
        text,
        "\nFalse alarms: suites in which nothing changed and some benchmark is called slower. Finds: one \
         benchmark at a\ntime is made slower, by multiplying its times, and is called slower. In brackets \
         the {:.0} % interval: all suites\nshare the same {} runs, and no rate is more exact than these \
         allow.\n",
        100.0 * report.confidence,
        report.unchanged_runs,
    );
    if let Some(undecided) = report.undecided.filter(|u| u.est > 0.0) {
        let _ = writeln!(
            text,
            "In another {} of suites in which nothing changed, this gate cannot decide about some \
             benchmark\n(exit code 3 under --policy strict).",
            rate(Some(undecided))
        );
    }
    text
}

/// What multiplied times and random order leave out.
fn as_made(report: &StudyReport) -> String {
    let body = report.rules.iter().map(|rule| {
        let planted = rule.found.iter().filter(|f| f.planted);
        let mut cells = vec![rule.name.to_owned(), rate(rule.false_alarms_in_order)];
        cells.extend(planted.map(|f| rate(f.rate)));
        cells
    });
    let found = report.rules.first().map_or(&[][..], |rule| &rule.found);
    let kinds = report.planted_runs.iter();
    let kinds: Vec<String> = kinds
        .map(|kind| format!("+{} % in {}", kind.percent, several(kind.runs, "run")))
        .collect();
    let (title, planted) = match kinds.is_empty() {
        true => ("in the order they were made", String::new()),
        false => (
            "in the order they were made, and with slowdowns that were really made",
            format!("Slowdowns: {}.\n", kinds.join(", ")),
        ),
    };
    format!(
        "The same with runs {title}:\n\n{}\nIn order: every {} runs that follow each other, {} times; \
         worth {:.1} suites that share no run.\n{planted}",
        table(
            &heads(&["rule", "false alarms, in order"], found, true),
            body
        ),
        report.sides.total(),
        report.suites_in_order,
        report.unchanged_runs as f64 / report.sides.total() as f64,
    )
}

fn benchmarks(report: &StudyReport) -> String {
    let found = report.benchmarks.first().map_or(&[][..], |b| &b.found);
    let heads = heads(
        &["benchmark", "spread of runs", "false alarms"],
        found,
        false,
    );
    let counted = report.benchmarks.iter().map(|bench| {
        let found = bench.found.iter().filter(|f| !f.planted);
        let spread = format!("{:.1} %", bench.spread_pct);
        let mut cells = vec![bench.id.clone(), spread, rate(bench.false_alarms)];
        cells.extend(found.map(|f| rate(f.rate)));
        cells
    });
    let aside = report.aside.iter().map(|aside| {
        let mut cells = vec!["–".to_owned(); heads.len()];
        cells[0].clone_from(&aside.id);
        cells[2] = "not counted".into();
        cells
    });
    let mut text = format!(
        "By benchmark, this gate only, what costs most first:\n\n{}\n",
        table(&heads, counted.chain(aside).take(LISTED))
    );
    let all = report.benchmarks.len() + report.aside.len();
    if all > LISTED {
        let _ = writeln!(
            text,
            "… and {} more: --format json lists all.",
            all - LISTED
        );
    }
    let reasons = report
        .aside
        .iter()
        .map(|a| (a.id.as_str(), a.reason.as_str()));
    for (ids, reason) in report::by_reason(reasons) {
        let _ = writeln!(text, "Not counted: {ids} ({reason}).");
    }
    text + &report.without.as_ref().map(without).unwrap_or_default()
}

/// How much better the suite would be without its worst benchmarks.
fn without(without: &Without) -> String {
    let them = match without.ids.len() {
        1 => "it",
        _ => "them",
    };
    let [with, alone] = without.false_alarms.map(rate);
    let [found_with, found_alone] = without.found_in_others.map(rate);
    format!(
        "Costs most: {}.\nDrawn again without {them}, false alarms come in {alone} of suites instead of {with},\n\
         and +{} % is found in {found_alone} of the others instead of {found_with}.\n",
        without.ids.join(", "),
        without.percent,
    )
}

fn by_sides(report: &StudyReport) -> String {
    let body = report.by_sides.iter().map(|row| {
        let mut cells = vec![sides(row.sides), rate(row.false_alarms)];
        cells.extend(row.found.iter().map(|f| rate(f.rate)));
        cells
    });
    let found = report.by_sides.first().map_or(&[][..], |row| &row.found);
    let mut text = format!(
        "What more runs would buy, this gate only:\n\n{}",
        table(
            &heads(&["baseline + new runs", "false alarms"], found, false),
            body
        )
    );
    if let Some(most) = report.too_few_runs_for.iter().map(|s| s.total()).max() {
        let names: Vec<String> = report.too_few_runs_for.iter().map(|s| sides(*s)).collect();
        let _ = writeln!(
            text,
            "\nToo few unchanged runs for {}: cargo compare run --times {most} makes enough.",
            names.join(", ")
        );
    }
    text
}

/// `10 + 5`
fn sides(sides: SideRuns) -> String {
    format!("{} + {}", sides.baseline, sides.current)
}

/// `1 run`, `2 runs`
fn several(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// The heads of the first columns, and one for each slowdown.
fn heads(first: &[&str], found: &[FoundRate], planted: bool) -> Vec<String> {
    let first = first.iter().map(|head| (*head).to_owned());
    let found = found.iter().filter(|f| f.planted == planted);
    first
        .chain(found.map(|f| format!("finds +{} %", f.percent)))
        .collect()
}

/// `0.3 % (0–2.1)`
fn rate(rate: Option<Interval>) -> String {
    let Some(rate) = rate.map(|r| r.map(|share| 100.0 * share)) else {
        return "–".to_owned();
    };
    let end = |percent: f64| match percent {
        p if p < 0.05 => "0".to_owned(),
        p if p < 9.95 => format!("{p:.1}"),
        p => format!("{p:.0}"),
    };
    format!("{:.1} % ({}–{})", rate.est, end(rate.lo), end(rate.hi))
}

/// A Markdown table in columns, all but the first on the right.
fn table(heads: &[String], body: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(heads)
        .add_rows(body.map(|row| {
            row.into_iter()
                .map(|cell| Cell::new(cell.replace('|', "\\|")))
        }))
        .force_no_tty();
    for column in 1..heads.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.trim_fmt();
    // The second line says on which side a column stands: by a colon.
    let lines = text.lines().enumerate().map(|(number, line)| match number {
        1 => {
            line.replacen("-|", ":|", heads.len())
                .replacen(":|", "-|", 1)
                + "\n"
        }
        _ => line.to_owned() + "\n",
    });
    lines.collect()
}
