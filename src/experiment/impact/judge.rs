//! From blocks to rows: ratios and differences of pairs, and what they come to.

use std::collections::{BTreeMap, BTreeSet};

use super::log::{ArmLog, ProgramBlock, ProgramMeasured};
use crate::gate::{ImpactLimits, Limit, judge};
use crate::schema::Outcome;
use crate::schema::impact::{ImpactMeasure, ImpactRow};
use crate::stats::{
    CONFIDENCE, Interval, fisher, median, median_interval, runs_for_median_interval,
};

/// The share of an arm's blocks above which it matters that their latencies are left out.
const MISLED: f64 = 0.1;

/// How many times that of `off` the share then is, where the arm may have held the load up.
const OFTENER: f64 = 2.0;

/// The rows of one program.
pub fn rows(measured: &ProgramMeasured, cpus: usize, limits: &ImpactLimits) -> Vec<ImpactRow> {
    let Some((off, arms)) = measured.arms.split_first() else {
        return Vec::new();
    };
    let judged = |arm| Judged {
        measured,
        off,
        arm,
        cpus,
        limits,
    };
    arms.iter().flat_map(|arm| judged(arm).rows()).collect()
}

/// One arm against `off`.
struct Judged<'a> {
    measured: &'a ProgramMeasured,
    off: &'a ArmLog,
    arm: &'a ArmLog,
    cpus: usize,
    limits: &'a ImpactLimits,
}

impl Judged<'_> {
    fn rows(&self) -> Vec<ImpactRow> {
        if self.pairs().is_empty() {
            return vec![ImpactRow {
                verdict: Outcome::Broken,
                reason: Some(self.why_nothing()),
                ..self.row(self.first_measure())
            }];
        }
        let mut rows: Vec<ImpactRow> = self.measures().into_iter().map(|m| self.ratio(m)).collect();
        rows.extend(self.cpu());
        if self.arm.is_agent() {
            rows.extend(self.memory());
        }
        rows.push(self.errors());
        rows.extend(self.captured());
        if let Some(obstacle) = self.arm.ended.as_ref().or(self.measured.ended.as_ref()) {
            // What was measured is shown, and passes nothing.
            for row in &mut rows {
                row.verdict = Outcome::Broken;
                row.reason = Some(obstacle.to_string());
            }
        }
        rows
    }

    /// Why there is nothing to compare.
    fn why_nothing(&self) -> String {
        let ended = self.measured.ended.as_ref().map(ToString::to_string);
        (self.arm.ended.as_ref().map(ToString::to_string))
            .or(ended)
            .or_else(|| self.arm.doubt())
            .unwrap_or_else(|| "interrupted before there was a pair to compare".into())
    }

    /// Blocks of either side whose latencies are left out.
    fn misled(&self) -> usize {
        self.off.misled + self.arm.misled
    }

    /// Blocks of `off` and of the arm beside each other: two pairs a round.
    fn pairs(&self) -> Vec<[&ProgramBlock; 2]> {
        let blocks = self.arm.blocks.iter();
        blocks
            .filter_map(|with| Some([self.off.beside(with)?, with]))
            .collect()
    }

    /// Those of them in which the work was done. A run that failed may have ended early, or
    /// taken the time of other work: nothing of it is compared but that it failed.
    fn worked(&self) -> Vec<[&ProgramBlock; 2]> {
        let has_worked = |pair: &[&ProgramBlock; 2]| !pair.iter().any(|block| block.is_failed());
        self.pairs().into_iter().filter(has_worked).collect()
    }

    /// What was wanted, and what either side gave: an arm so slow that it gave nothing has
    /// a row that says so.
    fn measures(&self) -> BTreeSet<ImpactMeasure> {
        let blocks = self.off.blocks.iter().chain(&self.arm.blocks);
        let given = blocks.flat_map(|block| block.values.keys());
        self.measured.wanted.iter().chain(given).copied().collect()
    }

    fn first_measure(&self) -> ImpactMeasure {
        let first = self.measured.wanted.first().copied();
        first.unwrap_or(ImpactMeasure::Seconds)
    }

    fn row(&self, measure: ImpactMeasure) -> ImpactRow {
        ImpactRow {
            program: self.measured.program.clone(),
            arm: self.arm.name.clone(),
            measure,
            off: None,
            with: None,
            unit: measure.unit().into(),
            ratio: None,
            difference: None,
            observations: 0,
            limit: None,
            fail_limit: None,
            verdict: Outcome::Inconclusive,
            reason: None,
            errors: BTreeMap::new(),
        }
    }

    /// A row whose ratio, with over without, is judged.
    fn ratio(&self, measure: ImpactMeasure) -> ImpactRow {
        let value = |block: &ProgramBlock| block.values.get(&measure).copied();
        let pairs: Vec<(f64, f64)> = self
            .worked()
            .into_iter()
            .filter_map(|[off, with]| Some((value(off)?, value(with)?)))
            .filter(|(off, _)| *off > 0.0)
            .collect();
        let ratios: Vec<f64> = pairs.iter().map(|(off, with)| with / off).collect();
        let interval = median_interval(&ratios, CONFIDENCE);
        let limit = self.limits.of(measure);
        let change = interval.map(|ratio| measure.change_pct(ratio));
        let middle =
            |side: fn(&(f64, f64)) -> f64| median(&pairs.iter().map(side).collect::<Vec<_>>());
        let row = ImpactRow {
            off: middle(|pair| pair.0),
            with: middle(|pair| pair.1),
            ratio: interval,
            observations: ratios.len(),
            ..self.row(measure)
        };
        self.with_control(self.unless_misled(self.decided(row, change, limit)))
    }

    /// Latencies of those blocks alone in which the load kept pace decide nothing where the
    /// arm may be why it did not in others. What fails even there fails.
    fn unless_misled(&self, row: ImpactRow) -> ImpactRow {
        let share = |log: &ArmLog| log.misled as f64 / log.rated.max(1) as f64;
        let (off, with) = (share(self.off), share(self.arm));
        let is_misled = with > MISLED && with >= OFTENER * off;
        let is_kept = row.verdict == Outcome::Fail || row.reason.is_some();
        if !is_misled || !row.measure.is_latency() || is_kept {
            return row;
        }
        ImpactRow {
            // No budget is met by it.
            ratio: None,
            verdict: Outcome::Inconclusive,
            reason: Some(format!(
                "the load fell behind by itself in {} of {} blocks, and in {} of {} without the \
                 agent, which may be what held it up: let nothing else run on the load's CPU",
                self.arm.misled, self.arm.rated, self.off.misled, self.off.rated
            )),
            ..row
        }
    }

    /// What the negative control says of everything else, where the program is one.
    fn with_control(&self, row: ImpactRow) -> ImpactRow {
        let is_control = self.measured.is_control && row.measure == ImpactMeasure::Seconds;
        let Some(ratio) = row.ratio.filter(|_| is_control && row.reason.is_none()) else {
            return row;
        };
        let says = match ratio.lo <= 1.0 && 1.0 <= ratio.hi {
            true => "the negative control holds: it makes hardly a system call, and takes as long",
            false => {
                "the negative control does not hold: it makes hardly a system call, and its time \
                 changed; what the agent takes of the machine besides, or the machine itself, is \
                 part of every other row, too"
            }
        };
        ImpactRow {
            reason: Some(says.into()),
            ..row
        }
    }

    /// CPU time beyond that without the agent, as a share of what all CPUs had in the time
    /// that the same work takes without it.
    fn cpu(&self) -> Vec<ImpactRow> {
        let points =
            |cpu: f64, block: &ProgramBlock| 100.0 * cpu / (self.cpus as f64 * block.seconds);
        let pairs = self.worked();
        let shares: Vec<(f64, f64)> = pairs
            .iter()
            .filter_map(|&[off, with]| Some((points(off.cpu?, off), points(with.cpu?, off))))
            .collect();
        let side =
            |side: fn(&(f64, f64)) -> f64| median(&shares.iter().map(side).collect::<Vec<_>>());
        let differences: Vec<f64> = shares.iter().map(|(off, with)| with - off).collect();
        let difference = median_interval(&differences, CONFIDENCE);
        let mut rows = vec![self.decided(
            ImpactRow {
                off: side(|share| share.0),
                with: side(|share| share.1),
                difference,
                observations: differences.len(),
                ..self.row(ImpactMeasure::CpuPoints)
            },
            difference,
            self.limits.of(ImpactMeasure::CpuPoints),
        )];
        let own: Vec<f64> = pairs
            .iter()
            .filter_map(|&[_, with]| Some(points(with.agent_cpu?, with)))
            .collect();
        if self.arm.is_agent() && !own.is_empty() {
            let interval = median_interval(&own, CONFIDENCE);
            rows.push(self.shown(ImpactRow {
                with: median(&own),
                difference: interval,
                observations: own.len(),
                ..self.row(ImpactMeasure::AgentCpuPoints)
            }));
        }
        rows
    }

    /// Memory only ever has to fit: the most that was seen counts. What of it are maps is
    /// shown beside it.
    fn memory(&self) -> [ImpactRow; 2] {
        let row = |measure, bytes: fn(&ProgramBlock) -> u64| {
            let most = self.arm.blocks.iter().map(bytes).max().unwrap_or(0) as f64 / 1e6;
            ImpactRow {
                with: Some(most),
                difference: Some(Interval::exact(most)),
                observations: self.arm.blocks.len(),
                ..self.row(measure)
            }
        };
        let all = row(ImpactMeasure::MemoryMb, |block| block.memory);
        let (most, limit) = (all.difference, self.limits.of(ImpactMeasure::MemoryMb));
        [
            self.decided(all, most, limit),
            self.shown(row(ImpactMeasure::MapsMb, |block| block.maps)),
        ]
    }

    /// Errors of each kind, and all of them together where there are several.
    fn errors(&self) -> ImpactRow {
        let tries = |log: &ArmLog| log.blocks.iter().map(|b| b.tries).sum::<u64>();
        let (off_tries, with_tries) = (tries(self.off), tries(self.arm));
        let mut kinds: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        for (side, log) in [self.off, self.arm].into_iter().enumerate() {
            for (kind, count) in log.blocks.iter().flat_map(|b| &b.failed) {
                kinds.entry(kind).or_default()[side] += count;
            }
        }
        let sum = |side: usize| kinds.values().map(|counts| counts[side]).sum::<u64>();
        let all = [sum(0), sum(1)];
        let together = Some(("errors", all)).filter(|_| kinds.len() != 1);
        let tested: Vec<_> = kinds
            .iter()
            .map(|(k, c)| (*k, *c))
            .chain(together)
            .collect();
        // The rarest finding, every one that was looked for counted (Bonferroni).
        let rarest = tested
            .iter()
            .filter_map(|&(kind, [off, with])| {
                let p_value = fisher((off, off_tries), (with, with_tries))?;
                Some((kind, off, with, p_value * tested.len() as f64))
            })
            .min_by(|a, b| a.3.total_cmp(&b.3));
        let more = |[off, with]: [u64; 2]| with * off_tries > off * with_tries;
        let (verdict, reason) = match rarest {
            _ if with_tries == 0 => (Outcome::Inconclusive, Some("nothing was tried".to_owned())),
            Some((kind, off, with, p_value)) if p_value < 1.0 - CONFIDENCE => (
                Outcome::Fail,
                Some(format!(
                    "{kind}: {with} of {with_tries} against {off} of {off_tries}; the chance of \
                     so many more by accident is {p_value:.2e}"
                )),
            ),
            Some((kind, off, with, _)) if kinds.values().copied().any(more) => (
                Outcome::Inconclusive,
                Some(format!(
                    "{kind}: {with} of {with_tries} against {off} of {off_tries}; too few to tell \
                     from accident"
                )),
            ),
            _ => (Outcome::Pass, None),
        };
        let row = ImpactRow {
            off: Some(all[0] as f64),
            with: Some(all[1] as f64),
            observations: with_tries as usize,
            limit: Some(0.0),
            verdict,
            reason,
            errors: kinds.into_iter().map(|(k, c)| (k.to_owned(), c)).collect(),
            ..self.row(ImpactMeasure::Errors)
        };
        self.unless_in_doubt(row)
    }

    /// What our own agent saw of what there was, and what it lost.
    fn captured(&self) -> Vec<ImpactRow> {
        let counted = self.arm.counted;
        if counted.wanted == 0 {
            return Vec::new();
        }
        let share = Interval::exact(100.0 * counted.arrived as f64 / counted.wanted as f64);
        let captured = ImpactRow {
            with: Some(share.est),
            difference: Some(share),
            observations: counted.wanted as usize,
            ..self.row(ImpactMeasure::CapturedPct)
        };
        let dropped = ImpactRow {
            with: Some(counted.lost as f64),
            observations: counted.wanted as usize,
            ..self.row(ImpactMeasure::Dropped)
        };
        vec![
            self.decided(
                captured,
                Some(share),
                self.limits.of(ImpactMeasure::CapturedPct),
            ),
            self.shown(dropped),
        ]
    }

    /// A row held against its limit; without a limit it is only shown.
    fn decided(
        &self,
        row: ImpactRow,
        measured: Option<Interval>,
        limit: Option<Limit>,
    ) -> ImpactRow {
        let (Some(measured), Some(limit)) = (measured, limit) else {
            return match measured {
                Some(_) => self.shown(row),
                None => self.unless_in_doubt(ImpactRow {
                    verdict: Outcome::Inconclusive,
                    reason: Some(self.too_few(&row)),
                    ..row
                }),
            };
        };
        let verdict = judge(measured, limit);
        self.unless_in_doubt(ImpactRow {
            limit: Some(match limit {
                Limit::AtMost(limit) | Limit::AtLeast(limit) => limit,
                Limit::Steps { pass: limit, .. } | Limit::Within { most: limit, .. } => limit,
            }),
            fail_limit: match limit {
                Limit::Steps { pass, fail } if fail > pass => Some(fail),
                _ => None,
            },
            verdict,
            ..row
        })
    }

    /// What it would take to have an interval: more time, unless all that there was gave none.
    fn too_few(&self, row: &ImpactRow) -> String {
        let pairs = row.observations;
        let fewest = runs_for_median_interval(CONFIDENCE);
        let have = format!("{pairs} of the {fewest} pairs that an interval takes");
        let misled = self.misled();
        if misled > 0 && row.measure.is_latency() {
            return format!(
                "{have}: the latencies of {misled} blocks are left out, in which the load fell \
                 behind by itself; let nothing else run on its CPU"
            );
        }
        if pairs == 0 {
            let why = match row.measure {
                _ if self.worked().is_empty() => {
                    "in every pair a run failed; run it by hand and see"
                }
                ImpactMeasure::CpuPoints => {
                    "CPU time is counted by cgroup, and there is none; run as root"
                }
                _ => "no two blocks beside each other have a value; see its notes and errors",
            };
            return format!("{have}: {why}");
        }
        let minutes = self.measured.length.as_secs_f64() / 60.0 * fewest as f64;
        let minutes = (10.0 * minutes / pairs as f64).ceil() / 10.0;
        format!("{have}: give it --minutes {minutes:.1}")
    }

    /// A row without a limit.
    fn shown(&self, row: ImpactRow) -> ImpactRow {
        ImpactRow {
            verdict: Outcome::Skipped,
            ..row
        }
    }

    /// What is not proven passes nothing.
    fn unless_in_doubt(&self, row: ImpactRow) -> ImpactRow {
        match self.arm.doubt() {
            Some(doubt) => ImpactRow {
                verdict: Outcome::Inconclusive,
                reason: Some(doubt),
                ..row
            },
            None => row,
        }
    }
}
