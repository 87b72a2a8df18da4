//! What the pulls come to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ImageFailure;
use super::observation::{Key, PullTimes};
use super::plant::Fault;
use crate::gate::{self, Limit};
use crate::schema::image::{How, Made, PullWay, Pulls};
use crate::schema::{Bound, Finding, Outcome};
use crate::stats::{CONFIDENCE, Interval, median_interval, runs_for_median_interval};

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct TreeTally {
    observed: BTreeMap<Key, Vec<PullTimes>>,
    /// Tar a second time in each round, by image.
    control: BTreeMap<usize, Vec<PullTimes>>,
    /// Trees compared with their source, and what differed.
    compared: BTreeMap<How, (usize, Vec<PathBuf>)>,
    /// Why the same image could not be mounted again.
    failed: BTreeMap<How, Vec<String>>,
    planted: BTreeMap<How, Vec<(Fault, bool)>>,
    pub(super) left_mounted: usize,
}

impl TreeTally {
    pub(super) fn add(
        &mut self,
        image: usize,
        at_once: usize,
        how: How,
        control: bool,
        observation: PullTimes,
    ) {
        if control {
            self.control.entry(image).or_default().push(observation);
            return;
        }
        let key = Key {
            image,
            at_once,
            again: false,
            how,
        };
        self.observed.entry(key).or_default().push(observation);
    }

    /// Whether no pull came to its end.
    pub(super) fn is_empty(&self) -> bool {
        self.observed.is_empty()
    }

    pub(super) fn compared(&mut self, how: How, differences: &[PathBuf]) {
        let (trees, all) = self.compared.entry(how).or_default();
        *trees += 1;
        all.extend_from_slice(differences);
    }

    pub(super) fn opened_again(&mut self, how: How, observation: PullTimes) {
        let key = Key {
            image: 0,
            at_once: 1,
            again: true,
            how,
        };
        self.observed.entry(key).or_default().push(observation);
        self.failed.entry(how).or_default();
    }

    pub(super) fn failed_again(&mut self, how: How, failure: &ImageFailure) {
        self.failed
            .entry(how)
            .or_default()
            .push(failure.to_string());
    }

    pub(super) fn planted(&mut self, how: How, fault: Fault, found: bool) {
        self.planted.entry(how).or_default().push((fault, found));
    }

    /// The pulls of one way, round by round.
    fn rounds(&self, image: usize, at_once: usize, how: How) -> &[PullTimes] {
        let key = Key {
            image,
            at_once,
            again: false,
            how,
        };
        self.observed.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// The figures, and every limit with what became of it.
pub(super) fn judge(
    tally: &TreeTally,
    images: &[Made],
    ways: &[PullWay],
    rounds: usize,
    budgets: &gate::Image,
) -> (Vec<Pulls>, Vec<Finding>) {
    let pulls = tally
        .observed
        .iter()
        .map(|(key, observations)| figures(key, images, observations))
        .collect();
    let mut rows = Vec::new();
    let mut sets: Vec<(usize, usize)> = tally
        .observed
        .keys()
        .map(|k| (k.image, k.at_once))
        .collect();
    sets.dedup();
    sets.sort_unstable();
    sets.dedup();
    for (image, at_once) in sets {
        for (against, limit) in [
            (How::Tar, budgets.vs_tar),
            (How::Composefs, budgets.vs_composefs),
        ] {
            let name = match at_once {
                1 => format!("erofs / {against}, {}", images[image].image),
                many => format!("erofs / {against}, {}, {many} at once", images[image].image),
            };
            let sides = [How::Erofs, against].map(|how| tally.rounds(image, at_once, how));
            rows.push(faster(name, sides, limit, ways, against, rounds));
        }
    }
    // Chance may break one of all controls no more often than one alone.
    let confidence = 1.0 - (1.0 - CONFIDENCE) / tally.control.len().max(1) as f64;
    for (image, again) in &tally.control {
        let once = tally.rounds(*image, 1, How::Tar);
        rows.push(control(&images[*image], [once, again], confidence));
    }
    for (how, (trees, differences)) in &tally.compared {
        let mut row = counted(
            format!("{how}, {trees} trees"),
            "files_differing",
            differences.len(),
        );
        if let Some(first) = differences.first() {
            row.reason = format!("{} is not as in its source", first.display());
        }
        rows.push(row);
    }
    for (how, failed) in &tally.failed {
        let mut row = counted(format!("{how}, the same again"), "failures", failed.len());
        row.reason = failed.first().cloned().unwrap_or_default();
        rows.push(row);
    }
    for (how, planted) in &tally.planted {
        rows.push(teeth(*how, planted));
    }
    rows.push(counted(
        "everything".into(),
        "left_mounted",
        tally.left_mounted,
    ));
    (pulls, rows)
}

/// EROFS against another way, by the ratios of pulls of the same round.
fn faster(
    name: String,
    [erofs, other]: [&[PullTimes]; 2],
    limit: f64,
    ways: &[PullWay],
    against: How,
    rounds: usize,
) -> Finding {
    let ratios: Vec<f64> = erofs
        .iter()
        .zip(other)
        .map(|(e, o)| e.pull / o.pull)
        .collect();
    let value = median_interval(&ratios, CONFIDENCE);
    let missing = ways
        .iter()
        .find(|way| [How::Erofs, against].contains(&way.how) && way.by.is_none());
    let (verdict, reason) = match (missing, value) {
        (Some(way), _) => (Outcome::Skipped, format!("{}: {}", way.how, way.reason)),
        (None, None) => {
            let wanted = runs_for_median_interval(CONFIDENCE);
            let reason =
                format!("{rounds} rounds make no interval; take --rounds {wanted} or more");
            (Outcome::Inconclusive, reason)
        }
        (None, Some(value)) => {
            let verdict = gate::judge(value, Limit::AtMost(limit));
            let reason = match verdict {
                Outcome::Fail => format!(
                    "takes {:.0} % less time, and {:.0} % is the target",
                    (1.0 - value.est) * 100.0,
                    (1.0 - limit) * 100.0
                ),
                Outcome::Inconclusive => "the target lies inside the interval".into(),
                _ => String::new(),
            };
            (verdict, reason)
        }
    };
    Finding {
        name,
        measure: "pull_ratio".into(),
        value,
        unit: "ratio".into(),
        limit: Some(limit),
        bound: Bound::AtMost,
        verdict,
        reason,
    }
}

/// Tar against itself: the interval must hold 1.
fn control(image: &Made, [once, again]: [&[PullTimes]; 2], confidence: f64) -> Finding {
    let ratios: Vec<f64> = once
        .iter()
        .zip(again)
        .map(|(a, b)| a.pull / b.pull)
        .collect();
    let value = median_interval(&ratios, confidence);
    let (verdict, reason) = match value {
        None => (
            Outcome::Inconclusive,
            "too few rounds make no interval".into(),
        ),
        Some(value) if value.contains(1.0) => (Outcome::Pass, String::new()),
        Some(_) => (
            Outcome::Broken,
            "the same was measured twice and came out as two; nothing here is to be believed"
                .into(),
        ),
    };
    Finding {
        name: format!("tar / tar, {}", image.image),
        measure: "control".into(),
        value,
        unit: "ratio".into(),
        limit: None,
        bound: Bound::AtMost,
        verdict,
        reason,
    }
}

/// Something of which there must be none.
fn counted(name: String, measure: &str, count: usize) -> Finding {
    Finding {
        name,
        measure: measure.into(),
        value: Some(Interval::exact(count as f64)),
        unit: "count".into(),
        limit: Some(0.0),
        bound: Bound::AtMost,
        verdict: if count == 0 {
            Outcome::Pass
        } else {
            Outcome::Fail
        },
        reason: String::new(),
    }
}

/// Whether every planted fault was found.
fn teeth(how: How, planted: &[(Fault, bool)]) -> Finding {
    let missed: Vec<&str> = planted
        .iter()
        .filter(|(_, found)| !found)
        .map(|(fault, _)| fault.words())
        .collect();
    Finding {
        name: format!("{how}, planted faults found"),
        measure: "faults_found".into(),
        value: Some(Interval::exact((planted.len() - missed.len()) as f64)),
        unit: "count".into(),
        limit: Some(planted.len() as f64),
        bound: Bound::AtLeast,
        // A check that misses what was planted proves nothing by what it does not find.
        verdict: if missed.is_empty() {
            Outcome::Pass
        } else {
            Outcome::Broken
        },
        reason: if missed.is_empty() {
            String::new()
        } else {
            format!("not found: {}", missed.join(", "))
        },
    }
}

fn figures(key: &Key, images: &[Made], observations: &[PullTimes]) -> Pulls {
    let of = |value: &dyn Fn(&PullTimes) -> Option<f64>| {
        let values: Option<Vec<f64>> = observations.iter().map(value).collect();
        values.and_then(|values| median_interval(&values, CONFIDENCE))
    };
    let ms = |value: fn(&PullTimes) -> f64| of(&|o| Some(value(o) * 1e3));
    let storage: Vec<f64> = observations.iter().map(|o| o.storage / 1e6).collect();
    Pulls {
        image: images[key.image].image.clone(),
        how: key.how,
        at_once: key.at_once,
        again: key.again,
        observations: observations.len(),
        pull_ms: ms(|o| o.pull),
        mount_ms: ms(|o| o.mount),
        first_read_ms: ms(|o| o.first_read),
        read_ms: of(&|o| o.read.map(|read| read * 1e3)),
        // What is there already is not moved.
        pull_mb_s: of(&|o| (!key.again).then_some(o.bytes / 1e6 / o.pull)),
        read_mb_s: of(&|o| o.read.map(|read| o.bytes / 1e6 / read)),
        storage_mb: crate::stats::median(&storage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGETS: gate::Image = gate::Image {
        vs_tar: 0.7,
        vs_composefs: 0.7,
    };

    fn made() -> Vec<Made> {
        vec![Made {
            image: "50 MB".into(),
            bytes: 50_000_000,
            files: 10,
            tar_bytes: 1,
            erofs_bytes: 1,
            tar_seconds: 1.0,
            erofs_seconds: 1.0,
        }]
    }

    fn ways() -> Vec<PullWay> {
        [How::Tar, How::Erofs]
            .map(|how| PullWay {
                how,
                by: Some("it".into()),
                reason: String::new(),
            })
            .into_iter()
            .chain([PullWay {
                how: How::Composefs,
                by: None,
                reason: "not here".into(),
            }])
            .collect()
    }

    fn took(pull: f64) -> PullTimes {
        PullTimes {
            pull,
            mount: 0.001,
            first_read: pull,
            read: Some(0.1),
            bytes: 50e6,
            storage: 60e6,
        }
    }

    /// Twelve rounds in which EROFS takes so much of what tar takes, and tar a second
    /// time so much of what it took.
    fn tally(erofs: f64, again: f64) -> TreeTally {
        let mut tally = TreeTally::default();
        for round in 0..12 {
            let tar = 1.0 + 0.01 * f64::from(round % 5);
            tally.add(0, 1, How::Tar, false, took(tar));
            tally.add(
                0,
                1,
                How::Erofs,
                false,
                took(erofs * tar * (1.0 + 0.001 * f64::from(round))),
            );
            tally.add(
                0,
                1,
                How::Tar,
                true,
                took(tar * again * [0.99, 1.01][round as usize % 2]),
            );
        }
        for how in [How::Tar, How::Erofs] {
            tally.compared(how, &[]);
            tally.opened_again(how, took(0.001));
            for fault in Fault::ALL {
                tally.planted(how, fault, true);
            }
        }
        tally
    }

    fn outcome(tally: &TreeTally, name: &str) -> Outcome {
        let (_, rows) = judge(tally, &made(), &ways(), 12, &BUDGETS);
        let row = rows.iter().find(|row| row.name.starts_with(name));
        row.unwrap_or_else(|| panic!("no row {name}")).verdict
    }

    #[test]
    fn a_good_run_passes_and_what_is_missing_is_skipped() {
        let good = tally(0.5, 1.0);
        for row in judge(&good, &made(), &ways(), 12, &BUDGETS).1 {
            let expected = if row.name.contains("composefs") {
                Outcome::Skipped
            } else {
                Outcome::Pass
            };
            assert_eq!(row.verdict, expected, "{row:?}");
        }
    }

    #[test]
    fn each_row_turns_red() {
        assert_eq!(
            outcome(&tally(0.8, 1.0), "erofs / tar, 50 MB"),
            Outcome::Fail
        );
        assert_eq!(
            outcome(&tally(0.697, 1.0), "erofs / tar, 50 MB"),
            Outcome::Inconclusive
        );
        assert_eq!(outcome(&tally(0.5, 1.1), "tar / tar"), Outcome::Broken);
        let mut damaged = tally(0.5, 1.0);
        damaged.compared(How::Erofs, &["a/file".into()]);
        assert_eq!(outcome(&damaged, "erofs, 2 trees"), Outcome::Fail);
        let mut lazy = tally(0.5, 1.0);
        lazy.planted(How::Tar, Fault::Cut, false);
        assert_eq!(outcome(&lazy, "tar, planted"), Outcome::Broken);
        let mut failing = tally(0.5, 1.0);
        failing.failed_again(How::Tar, &std::io::Error::other("no").into());
        assert_eq!(outcome(&failing, "tar, the same again"), Outcome::Fail);
        let mut left = tally(0.5, 1.0);
        left.left_mounted = 1;
        assert_eq!(outcome(&left, "everything"), Outcome::Fail);
    }

    #[test]
    fn too_few_rounds_decide_nothing() {
        let mut few = TreeTally::default();
        few.add(0, 1, How::Tar, false, took(1.0));
        few.add(0, 1, How::Erofs, false, took(0.1));
        assert_eq!(outcome(&few, "erofs / tar"), Outcome::Inconclusive);
    }
}
