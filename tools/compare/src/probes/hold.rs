//! The machine of now against that of the baseline, as its probes tell them apart.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use probecost::gate::Times;
use probecost::schema::{ProbeKind, ProbeRow, Unit};
use probecost::stats::{CONFIDENCE, Reference, holm, median};

use super::{ALL, Probe};
use crate::baseline::{Baseline, BenchmarkRuns};
use crate::input::Run;
use crate::verdict::{FLOOR_CONFIDENCE, percent, thousandths};

/// A benchmark whose process spends this share of its time in the kernel, in percent, is
/// taken to resemble the probes that do: Criterion's own statistics dilute the share of a
/// benchmark that does nothing else, and one of user space stays below 5 %.
const KERNEL_PCT: f64 = 20.0;

/// So much more of the machine, in percent, that others take, can make a benchmark as much
/// slower; the probes are over in moments and look for the quiet ones among them.
const BUSIER_PCT: f64 = 10.0;

/// The machine of the current runs.
#[derive(Debug, Default)]
pub struct Machine {
    /// Each probe that both sides have: as it moved where it did, else as most benchmarks
    /// are held to it.
    pub probes: Vec<ProbeRow>,
    /// It against each set of sessions that timed a benchmark, that of most benchmarks first.
    sides: Vec<Sides>,
    /// The share of its time that a benchmark spends in the kernel, in percent, by id.
    system_pct: BTreeMap<String, f64>,
}

/// The machine of now against that of some sessions.
#[derive(Debug)]
struct Sides {
    /// The sessions, by their place in the baseline.
    sessions: Vec<usize>,
    /// Each probe that both sides have.
    probes: Vec<ProbeRow>,
    /// Where others took much more of it than in those sessions: how that is said.
    busier: Option<String>,
}

impl Machine {
    /// Holds the probes of the runs to those of the baseline: for each benchmark those of the
    /// sessions that timed it, since others may have seen the machine in another state.
    pub fn of(baseline: &Baseline, runs: &[Run], times: &Times, threshold_pct: f64) -> Self {
        let sides = |sessions: Vec<usize>| Sides {
            probes: probes(baseline, &sessions, runs, times, threshold_pct),
            busier: busier(baseline, &sessions, runs),
            sessions,
        };
        let sides: Vec<Sides> = (timing_sessions(baseline, runs).into_iter())
            .map(sides)
            .collect();
        let overall = |probe: &Probe| {
            let rows = sides.iter().flat_map(|side| &side.probes);
            rows.filter(|row| row.name == probe.name)
                .min_by_key(|row| !row.moved)
                .cloned()
        };
        Self {
            probes: ALL.iter().filter_map(overall).collect(),
            sides,
            system_pct: system_pct(runs),
        }
    }

    /// Why a benchmark that moved by `change_pct` cannot be told from its machine, where
    /// that is so: a probe that resembles it moved the same way. It resembles the probes
    /// that spend their time where it does; where that is not known, all of them. Or it became
    /// slower where others take more of the machine than they did.
    pub fn explains(&self, id: &str, history: &BenchmarkRuns, change_pct: f64) -> Option<String> {
        let sessions = history.sessions();
        let sides = self.sides.iter().find(|s| s.sessions == sessions)?;
        let system_pct = self.system_pct.get(id).copied();
        let kind = system_pct.map(|share| match share >= KERNEL_PCT {
            true => ProbeKind::Kernel,
            false => ProbeKind::User,
        });
        let like = sides.probes.iter().filter(|probe| {
            probe.moved
                && kind.is_none_or(|kind| probe.kind == kind)
                && probe.change_pct.signum() == change_pct.signum()
        });
        let mut like: Vec<&ProbeRow> = like.collect();
        // Of several the one that moved most as it did tells most; the remark has them all.
        let apart = |probe: &ProbeRow| (probe.change_pct - change_pct).abs();
        like.sort_by(|a, b| apart(a).total_cmp(&apart(b)));
        let Some((nearest, others)) = like.split_first() else {
            let busier = sides.busier.as_ref().filter(|_| change_pct > 0.0)?;
            return Some(format!("{change_pct:+.1} %, and {busier}"));
        };
        let others = match others.len() {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        let why = match system_pct {
            Some(share) if share >= KERNEL_PCT => {
                format!("{share:.0} % of its time is the kernel's, as with that probe")
            }
            Some(share) => {
                let own = 100.0 - share;
                format!("{own:.0} % of its time is its own, as with that probe")
            }
            None => "where it spends its time is not known".to_owned(),
        };
        Some(format!(
            "{change_pct:+.1} %, and the machine itself moved: probe {} {:+.1} %{others} ({why})",
            nearest.name, nearest.change_pct
        ))
    }

    /// What a reader of the whole should know, where both sides timed something.
    pub fn remark(&self, baseline: &Baseline, runs: &[Run]) -> Option<String> {
        if self.sides.is_empty() {
            return None;
        }
        let moved = self.probes.iter().filter(|p| p.moved).enumerate();
        let moved: Vec<String> = moved.map(|(k, probe)| figures(probe, k == 0)).collect();
        let all = self.probes.len();
        if !moved.is_empty() {
            return Some(format!(
                "The machine is not as it was: {} of {all} frozen probes moved: {}.",
                moved.len(),
                moved.join(", ")
            ));
        }
        if let Some(busier) = self.sides.iter().find_map(|s| s.busier.as_ref()) {
            return Some(format!(
                "What became slower cannot be told from its surroundings: {busier}. \
                 Run it again when they are quiet."
            ));
        }
        let without = |who: &str, how: &str| {
            Some(format!(
                "Whether this machine is as it was cannot be known: {who} no probes. {how}"
            ))
        };
        let probed = |run: &Run| ALL.iter().any(|probe| run.probe(probe.name).is_some());
        match (all, baseline.probes.is_empty() || runs.iter().any(probed)) {
            (0, true) => without(
                "the baseline has",
                "One that is refreshed from runs of `cargo compare run` has them.",
            ),
            (0, false) => without("the runs have", "Those of `cargo compare run` have them."),
            _ => Some(format!(
                "{all} frozen probes hold: the machine is as it was."
            )),
        }
    }
}

/// `open_close +16.4 % (its own spread explains 2.1 %)`, and of those after it `stat +9.3 % (2.4 %)`
fn figures(probe: &ProbeRow, is_first: bool) -> String {
    let spread = probe.noise_floor_pct.unwrap_or(0.0);
    let words = if is_first {
        "its own spread explains "
    } else {
        ""
    };
    format!(
        "{} {:+.1} % ({words}{spread:.1} %)",
        probe.name, probe.change_pct
    )
}

/// The sets of sessions that timed benchmarks which the runs time as well, that of most first.
fn timing_sessions(baseline: &Baseline, runs: &[Run]) -> Vec<Vec<usize>> {
    let mut sets: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    for (id, history) in &baseline.benchmarks {
        if history.unit == Unit::Ns && runs.iter().any(|run| run.time(id).is_some()) {
            *sets.entry(history.sessions()).or_default() += 1;
        }
    }
    let mut sets: Vec<(Vec<usize>, usize)> = sets.into_iter().collect();
    sets.sort_by_key(|(_, benchmarks)| Reverse(*benchmarks));
    sets.into_iter().map(|(sessions, _)| sessions).collect()
}

/// The probes that the runs and these sessions have. One moved where it lies further off than
/// its own spread lets one see, further than chance moves any of the probes (Holm, both
/// directions), and further than half of `threshold_pct`.
fn probes(
    baseline: &Baseline,
    sessions: &[usize],
    runs: &[Run],
    times: &Times,
    threshold_pct: f64,
) -> Vec<ProbeRow> {
    let mut rows = Vec::new();
    let mut p_values = Vec::new();
    for probe in &ALL {
        let Some(old) = baseline.probe(probe.name, sessions) else {
            continue;
        };
        let new: Vec<f64> = runs.iter().filter_map(|r| r.probe(probe.name)).collect();
        if let Some((row, p_value)) = held(probe.name, probe.kind, &old, &new, times) {
            rows.push(row);
            p_values.push(2.0 * p_value);
        }
    }
    let (rare, _) = holm(&p_values, times.family_error);
    for (row, rare) in rows.iter_mut().zip(rare) {
        let size = row.change_pct.abs();
        let seen = row.noise_floor_pct.is_some_and(|floor| size > floor);
        row.moved = rare && seen && size > threshold_pct / 2.0;
    }
    rows
}

/// A probe of both sides, and how rarely chance moves it as far to that side.
fn held(
    name: &str,
    kind: ProbeKind,
    old: &[Vec<f64>],
    new: &[f64],
    times: &Times,
) -> Option<(ProbeRow, f64)> {
    let logs = |values: &[f64]| values.iter().map(|v| v.ln()).collect::<Vec<f64>>();
    let sessions: Vec<Vec<f64>> = old.iter().map(|s| logs(s)).collect();
    let reference = Reference {
        sessions: &sessions,
        drift: (times.session_drift_pct / 100.0).ln_1p(),
    };
    let (before, now) = (median(&old.concat())?, median(new)?);
    let change = reference.change(&logs(new));
    let floor = reference.noise_floor(new.len(), FLOOR_CONFIDENCE);
    let least = (times.noise_floor_min_pct / 100.0).ln_1p();
    let interval = change.and_then(|c| c.interval(CONFIDENCE)).map(percent);
    let row = ProbeRow {
        name: name.to_owned(),
        kind,
        baseline_ns: thousandths(before),
        current_ns: thousandths(now),
        change_pct: thousandths(100.0 * (now / before - 1.0)),
        ci_pct: interval.map(|i| [i.lo, i.hi].map(thousandths)),
        noise_floor_pct: floor.map(|f| thousandths(100.0 * f.max(least).exp_m1())),
        moved: false,
    };
    Some((row, change.map_or(1.0, |c| c.p_value())))
}

/// Whether others took much more of the machine than in these sessions.
fn busier(baseline: &Baseline, sessions: &[usize], runs: &[Run]) -> Option<String> {
    let then: Vec<f64> = (sessions.iter())
        .filter_map(|s| baseline.sessions.get(*s)?.taken_pct)
        .collect();
    let (now, then) = (taken_pct(runs)?, median(&then)?);
    (now > then + BUSIER_PCT).then(|| {
        format!("others took {now:.0} % of the machine, {then:.0} % when the baseline was made")
    })
}

/// What others took of the machine, in percent: the median over the runs that say.
pub fn taken_pct(runs: &[Run]) -> Option<f64> {
    let records = runs.iter().filter_map(|run| run.record.as_ref());
    let taken: Vec<f64> = (records)
        .filter_map(|record| record.surroundings.taken_pct())
        .collect();
    median(&taken)
}

/// The share of its time that each benchmark spends in the kernel, the median over the runs.
fn system_pct(runs: &[Run]) -> BTreeMap<String, f64> {
    let mut shares: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for record in runs.iter().filter_map(|run| run.record.as_ref()) {
        for (id, share) in &record.system_pct {
            shares.entry(id).or_default().push(*share);
        }
    }
    let middle = shares.into_iter();
    middle
        .filter_map(|(id, shares)| Some((id.to_owned(), median(&shares)?)))
        .collect()
}
