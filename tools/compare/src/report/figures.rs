//! Numbers as people read them.

use crate::input::Unit;
use crate::verdict::{Exit, Policy, Row, Status, Verdict};

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
        Unit::Instructions | Unit::Bytes | Unit::Allocations => grouped(value),
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
    format!("{:+.1} %", if value == 0.0 { 0.0 } else { value })
}

/// The cells that every table of rows has: before, now, change, interval, noise floor.
pub fn cells(row: &Row) -> [String; 5] {
    let some = |value: Option<f64>| value.map_or("–".to_owned(), |v| quantity(v, row.unit));
    [
        some(row.baseline),
        some(row.current),
        row.change_pct.map_or(String::new(), percent),
        row.ci_pct
            .map_or(String::new(), |[lo, hi]| format!("{lo:+.1} … {hi:+.1}")),
        row.noise_floor_pct
            .map_or(String::new(), |floor| format!("{floor:.1} %")),
    ]
}

/// `regressed (minor)`, or just the status.
pub fn status(row: &Row) -> String {
    match row.status {
        Status::Regressed => format!("{} ({})", row.status.word(), row.severity.word()),
        status => status.word().to_owned(),
    }
}

/// `1 regressed, 7 unchanged`.
pub fn counts(verdict: &Verdict) -> String {
    let parts: Vec<String> = Status::ALL
        .into_iter()
        .map(|status| (verdict.summary.count(status), status.word()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match parts.is_empty() {
        true => "nothing compared".to_owned(),
        false => parts.join(", "),
    }
}

/// What the exit code means, in words.
pub fn outcome(verdict: &Verdict) -> &'static str {
    match (verdict.exit, verdict.policy) {
        (Exit::Passed, Policy::Advisory) if verdict.summary.regressed > 0 => {
            "passed: slower, but this policy only advises"
        }
        (Exit::Passed, Policy::Advisory)
            if verdict.summary.inconclusive + verdict.summary.incomparable > 0 =>
        {
            "passed: undecided, but this policy only advises"
        }
        (Exit::Passed, _) => "passed",
        (Exit::Regressed, _) => "failed: slower than the baseline",
        (Exit::Broken, _) if verdict.summary.broken > 0 => "broken: results that cannot be read",
        (Exit::Broken, _) if verdict.summary.missing > 0 => {
            "broken: benchmarks of the baseline were not measured"
        }
        (Exit::Broken, _) => "broken: nothing was compared",
        (Exit::Undecided, _) if verdict.summary.inconclusive == 0 => {
            "undecided: the baseline is of another machine"
        }
        (Exit::Undecided, _) => "undecided: these runs cannot tell",
    }
}

/// `5 runs against 10 in baselines/x.json (commit 1234567)`.
pub fn sides(verdict: &Verdict) -> String {
    let baseline = &verdict.baseline;
    let current = verdict
        .rows
        .iter()
        .map(|r| r.runs.current)
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
