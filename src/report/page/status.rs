//! How a row stands: its verdict, and where its last results lead.

use super::row::Row;
use crate::gate;
use crate::schema::Outcome;
use crate::schema::page::PageStatus;
use crate::stats::{CONFIDENCE, slope};

/// How a row stands, from its newest result and the values of all that are kept.
pub(super) fn of(row: &Row, kept: &[f64], rules: &gate::Report) -> PageStatus {
    match row.verdict {
        Outcome::Fail | Outcome::Broken => PageStatus::Failed,
        Outcome::Marginal | Outcome::Inconclusive | Outcome::Unenforceable => PageStatus::AtRisk,
        Outcome::Skipped if row.value.is_some() => PageStatus::NoLimit,
        Outcome::Skipped => PageStatus::NotMeasured,
        Outcome::Pass if heads_out(row, kept, rules) => PageStatus::AtRisk,
        Outcome::Pass => PageStatus::OnTrack,
    }
}

/// Whether the line through the results rises or falls for sure, and would cross the limit.
fn heads_out(row: &Row, kept: &[f64], rules: &gate::Report) -> bool {
    let (Some(limit), Some(last)) = (row.limit, kept.last()) else {
        return false;
    };
    if kept.len() < rules.results {
        return false;
    }
    let points: Vec<(f64, f64)> = kept
        .iter()
        .enumerate()
        .map(|(k, v)| (k as f64, *v))
        .collect();
    let Some(line) = slope(&points, CONFIDENCE) else {
        return false;
    };
    let then = last + line.est * rules.ahead as f64;
    if row.at_least {
        line.hi < 0.0 && then < limit
    } else {
        line.lo > 0.0 && then > limit
    }
}

/// The worst of several; where nothing was measured, that.
pub(super) fn worst(all: impl Iterator<Item = PageStatus>) -> PageStatus {
    all.min().unwrap_or(PageStatus::NotMeasured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;

    const RULES: gate::Report = gate::Report {
        results: 4,
        ahead: 4,
    };

    fn row(verdict: Outcome, at_least: bool) -> Row {
        Row {
            name: "row".into(),
            measure: "mb".into(),
            value: Some(Interval::exact(9.0)),
            limit: Some(10.0),
            at_least,
            verdict,
            reason: String::new(),
        }
    }

    #[test]
    fn verdicts_and_trends_give_the_status() {
        let rising = [6.0, 7.0, 8.01, 9.0];
        let flat = [9.0, 9.1, 8.9, 9.0];
        for (verdict, at_least, kept, status) in [
            (Outcome::Pass, false, &flat[..], PageStatus::OnTrack),
            (Outcome::Pass, false, &rising[..], PageStatus::AtRisk),
            (Outcome::Pass, false, &rising[..3], PageStatus::OnTrack),
            (Outcome::Pass, true, &rising[..], PageStatus::OnTrack),
            (
                Outcome::Pass,
                true,
                &[15.0, 14.0, 13.01, 12.0][..],
                PageStatus::AtRisk,
            ),
            (Outcome::Inconclusive, false, &flat[..], PageStatus::AtRisk),
            (Outcome::Fail, false, &flat[..], PageStatus::Failed),
            (Outcome::Broken, false, &[][..], PageStatus::Failed),
            (Outcome::Skipped, false, &[][..], PageStatus::NoLimit),
        ] {
            let found = of(&row(verdict, at_least), kept, &RULES);
            assert_eq!(found, status, "{verdict} {at_least} {kept:?}");
        }
        let blank = Row {
            value: None,
            ..row(Outcome::Skipped, false)
        };
        assert_eq!(of(&blank, &[], &RULES), PageStatus::NotMeasured);
    }

    #[test]
    fn the_worst_row_is_the_streams() {
        use PageStatus::{AtRisk, Failed, NotMeasured, OnTrack};
        for (rows, status) in [
            (&[OnTrack, NotMeasured][..], OnTrack),
            (&[OnTrack, AtRisk], AtRisk),
            (&[AtRisk, Failed, OnTrack], Failed),
            (&[NotMeasured], NotMeasured),
            (&[], NotMeasured),
        ] {
            assert_eq!(worst(rows.iter().copied()), status);
        }
    }
}
