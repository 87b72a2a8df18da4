//! What the trials of `duet` change, and what they take for right.

#![allow(dead_code, reason = "the bench uses the rest of these")]

#[path = "../benches/trials/project.rs"]
mod project;
#[path = "../benches/trials/trial.rs"]
mod trial;

use probecost::schema::{Status, Unit, VerdictRow};

use project::Files;
use trial::{Kind, Trial};

/// So many rows, the first of which is `first`.
fn rows(count: usize, first: Status) -> Vec<VerdictRow> {
    let row = |k: usize| {
        let status = if k == 0 { first } else { Status::Unchanged };
        VerdictRow {
            change_pct: Some(0.1),
            ..VerdictRow::without_figures(&project::id(k), Unit::Ns, status, "")
        }
    };
    (0..count).map(row).collect()
}

#[test]
fn a_trial_is_right_where_every_row_is_decided_and_called_what_it_is() {
    let [harmless, planted] = [Kind::Harmless, Kind::Planted].map(|kind| kind.trials()[0]);
    let right = |trial: Trial, status| trial.right(&rows(trial.recipe().benchmarks, status));
    for status in Status::ALL {
        let is = |expected| status == expected;
        assert_eq!(right(harmless, status), is(Status::Unchanged), "{status:?}");
        assert_eq!(right(planted, status), is(Status::Regressed), "{status:?}");
    }
    assert!(!harmless.right(&rows(3, Status::Unchanged)));
}

#[test]
fn every_trial_finds_what_it_changes() {
    for trial in Kind::ALL.into_iter().flat_map(Kind::trials) {
        let mut files = Files::new(&trial.recipe());
        if let Some(benchmark) = trial.slower() {
            files.plant(benchmark);
        }
        files.change(trial.change(), trial.turn());
    }
}
