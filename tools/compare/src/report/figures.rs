//! Numbers as people read them.

use probecost::schema::{
    BudgetRow, Exit, GatePolicy, Measure, Outcome, Severity, Status, Unit, Verdict, VerdictRow,
};

use crate::budget;

/// Names that are listed where there may be many.
const NAMED: usize = 3;

/// A quantity in the unit that suits its size, to four digits.
pub fn quantity(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns => {
            let (scaled, name) = match value {
                v if v < 1e3 => (v, "ns"),
                v if v < 1e6 => (v / 1e3, "µs"),
                v if v < 1e9 => (v / 1e6, "ms"),
                v => (v / 1e9, "s"),
            };
            format!("{scaled:.*} {name}", decimals(scaled))
        }
        Unit::Ratio => format!("{value:.3}×"),
        Unit::Other => format!("{value:.*}", decimals(value)),
        Unit::Instructions | Unit::Bytes | Unit::Allocations => number(value),
    }
}

/// Whole with its thousands apart, and else to four digits, as what is counted for one
/// operation of many.
fn number(value: f64) -> String {
    match value.fract() == 0.0 {
        true => grouped(value),
        false => format!("{value:.*}", decimals(value)),
    }
}

/// Decimals that make four digits.
fn decimals(value: f64) -> usize {
    match value {
        v if v < 9.9995 => 3,
        v if v < 99.995 => 2,
        v if v < 999.95 => 1,
        _ => 0,
    }
}

/// A limit or a figure of a budget.
fn amount(budget: &BudgetRow, value: f64) -> String {
    let number = number(value);
    match (budget.measure, budget.unit.as_str()) {
        (Measure::Time, _) => quantity(value, Unit::Ns),
        (Measure::Share, _) => format!("{number} %"),
        (_, "count") => number,
        (_, unit) => format!("{number} {unit}"),
    }
}

/// The cells of a budget: limit, now, interval. A figure that is exact has no interval.
pub fn budget_cells(budget: &BudgetRow) -> [String; 3] {
    let sign = match budget.measure {
        Measure::Rate => "≥",
        Measure::Time | Measure::Count | Measure::Share => "≤",
    };
    let amount = |value| amount(budget, value);
    let ends = budget.measured.filter(|i| i.lo < i.hi);
    [
        format!("{sign} {}", amount(budget.limit)),
        budget.measured.map_or(String::new(), |i| amount(i.est)),
        ends.map_or(String::new(), |i| {
            format!("{} … {}", amount(i.lo), amount(i.hi))
        }),
    ]
}

/// `fail (critical)`, or just the word.
pub fn outcome_of(budget: &BudgetRow) -> String {
    match budget.severity {
        Severity::Critical => format!("{} (critical)", budget.verdict.word()),
        _ => budget.verdict.word().to_owned(),
    }
}

/// The budgets that were judged, and in a sentence those that were not.
pub fn judged(budgets: &[BudgetRow]) -> (Vec<&BudgetRow>, Option<String>) {
    let (idle, judged): (Vec<&BudgetRow>, Vec<&BudgetRow>) =
        budgets.iter().partition(|b| b.verdict == Outcome::Skipped);
    let names: Vec<&str> = idle.iter().map(|b| b.id.as_str()).collect();
    let sentence = (!names.is_empty()).then(|| format!("Budgets skipped: {}.", named(&names)));
    (judged, sentence)
}

/// The first of `names`, and how many more there are.
pub fn named(names: &[&str]) -> String {
    match names.len().checked_sub(NAMED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

/// A whole number with a thin space between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A change in percent, with its sign.
pub fn percent(value: f64) -> String {
    let tenths = (10.0 * value).round() / 10.0;
    // Zero has no sign.
    format!("{:+.1} %", if tenths == 0.0 { 0.0 } else { tenths })
}

/// What the columns of [`cells`] are called, behind the benchmark's name.
pub fn columns(verdict: &Verdict) -> [&'static str; 5] {
    // What a baseline's own runs hide has no meaning where each round is a pair.
    let last = match verdict.duet {
        Some(_) => "slower in",
        None => "noise floor",
    };
    ["before", "now", "change", "99 % interval", last]
}

/// The cells that every table of rows has: before, now, change, interval, and the noise floor
/// or in how many of its rounds head was slower.
pub fn cells(row: &VerdictRow) -> [String; 5] {
    let some = |value: Option<f64>| value.map_or("–".to_owned(), |v| quantity(v, row.unit));
    [
        some(row.baseline),
        some(row.current),
        row.change_pct.map_or(String::new(), percent),
        row.ci_pct
            .map_or(String::new(), |[lo, hi]| format!("{lo:+.1} … {hi:+.1}")),
        match (&row.paired, row.noise_floor_pct) {
            (Some(paired), _) => format!("{} of {}", paired.slower, row.runs.current),
            (None, Some(floor)) => format!("{floor:.1} %"),
            (None, None) => String::new(),
        },
    ]
}

/// `regressed (minor)`, or just the status.
pub fn status(row: &VerdictRow) -> String {
    match row.status {
        Status::Regressed if row.severity > Severity::Acceptable => {
            format!("{} ({})", row.status.word(), row.severity.word())
        }
        status => status.word().to_owned(),
    }
}

/// `1 regressed, 7 unchanged; budgets: 2 pass`.
pub fn counts(verdict: &Verdict) -> String {
    let rows = Status::ALL.map(|status| (verdict.summary.count(status), status.word()));
    let budgets = budget::OUTCOMES.map(|outcome| (verdict.budgets_that(outcome), outcome.word()));
    let rows = tally(&rows).unwrap_or_else(|| "nothing compared".to_owned());
    match tally(&budgets) {
        Some(budgets) => format!("{rows}; budgets: {budgets}"),
        None => rows,
    }
}

/// What there is any of, and how many.
fn tally(counts: &[(usize, &str)]) -> Option<String> {
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What the exit code means, in words.
pub fn outcome(verdict: &Verdict) -> &'static str {
    let over = verdict.budgets_that(Outcome::Fail);
    let open = verdict.summary.inconclusive + verdict.budgets_that(Outcome::Inconclusive);
    match (verdict.exit, verdict.policy) {
        (Exit::Passed, GatePolicy::Advisory) if verdict.summary.regressed > 0 => {
            "passed: slower, but this policy only advises"
        }
        (Exit::Passed, GatePolicy::Advisory) if over > 0 => {
            "passed: over budget, but this policy only advises"
        }
        (Exit::Passed, GatePolicy::Advisory) if open + verdict.summary.incomparable > 0 => {
            "passed: undecided, but this policy only advises"
        }
        (Exit::Passed, _) => "passed",
        (Exit::Failed, _) if verdict.summary.regressed == 0 => "failed: over budget",
        (Exit::Failed, _) if over > 0 => "failed: slower than the baseline, and over budget",
        (Exit::Failed, _) if verdict.duet.is_some() => "failed: slower than base",
        (Exit::Failed, _) => "failed: slower than the baseline",
        (Exit::Broken, _) if verdict.summary.broken > 0 => "broken: results that cannot be read",
        (Exit::Broken, _) if verdict.summary.missing > 0 && verdict.duet.is_some() => {
            "broken: benchmarks of base were not measured to the end"
        }
        (Exit::Broken, _) if verdict.summary.missing > 0 => {
            "broken: benchmarks of the baseline were not measured"
        }
        (Exit::Broken, _) if verdict.budgets_that(Outcome::Broken) > 0 => {
            "broken: budgets that nothing was held to"
        }
        (Exit::Broken, _) => "broken: nothing was compared",
        (Exit::Undecided, _) if open == 0 && same_class(verdict) => {
            "undecided: the machine is not as it was"
        }
        (Exit::Undecided, _) if open == 0 => "undecided: the baseline is of another machine",
        (Exit::Undecided, _) if verdict.duet.is_some() => "undecided: these rounds cannot tell",
        (Exit::Undecided, _) => "undecided: these runs cannot tell",
    }
}

/// Whether both sides say that they were measured on machines of one class.
fn same_class(verdict: &Verdict) -> bool {
    let ours = verdict.host.as_ref().map(|host| host.class());
    ours.is_some() && ours == verdict.baseline.host
}

/// `5 runs against 10 in baselines/x.json (commit 1234567)`, or
/// `head HEAD (1234567) against base main (89abcde), 42 s and 12 s to build`.
pub fn sides(verdict: &Verdict) -> String {
    let short = |commit: &Option<String>| match commit {
        Some(commit) => format!(" ({})", commit.get(..7).unwrap_or(commit)),
        None => String::new(),
    };
    if let Some(duet) = &verdict.duet {
        let built = match duet.base_commit {
            Some(_) => format!(" and {:.0} s to build", duet.build_seconds),
            None => String::new(),
        };
        return format!(
            "head {}{} against base {}{}, {:.0} s{built}",
            duet.head,
            short(&duet.head_commit),
            duet.base,
            short(&duet.base_commit),
            duet.measure_seconds
        );
    }
    let baseline = &verdict.baseline;
    let current = verdict
        .rows
        .iter()
        .map(|r| r.runs.current)
        .chain(verdict.budgets.iter().map(|b| b.runs))
        .max()
        .unwrap_or(0);
    let commit = match &baseline.commit {
        Some(commit) => format!(" (commit {})", commit.get(..7).unwrap_or(commit)),
        None => String::new(),
    };
    let plural = if current == 1 { "run" } else { "runs" };
    format!(
        "{current} {plural} against {} in {}{commit}",
        baseline.runs, baseline.file
    )
}

/// A shift that most rows share, in a sentence.
pub fn shift(verdict: &Verdict) -> Option<String> {
    let shift = verdict.shift?;
    Some(format!(
        "{} of {} times moved together, by {} in the middle: more likely the machine, the compiler, \
         or something that all of them use, than each row by itself. Nothing was subtracted.",
        shift.rows,
        shift.of,
        percent(shift.median_pct)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_in_the_unit_that_suits() {
        for (ns, text) in [
            (0.5, "0.500 ns"),
            (12.345, "12.35 ns"),
            (999.96, "1000 ns"),
            (1_234.0, "1.234 µs"),
            (45_678.0, "45.68 µs"),
            (12_345_678.0, "12.35 ms"),
            (2.5e9, "2.500 s"),
            (1e15, "1000000 s"),
        ] {
            assert_eq!(quantity(ns, Unit::Ns), text);
        }
        assert_eq!(
            quantity(1_234_567.0, Unit::Instructions),
            "1\u{202f}234\u{202f}567"
        );
        assert_eq!(quantity(1.1613, Unit::Ratio), "1.161×");
        assert_eq!(
            (percent(-0.0), percent(12.34)),
            ("+0.0 %".into(), "+12.3 %".into())
        );
    }
}
