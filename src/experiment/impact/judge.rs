//! From blocks to rows: ratios and differences by round, and what they come to.

use std::collections::BTreeSet;
use std::time::Duration;

use super::log::{ArmLog, ProgramBlock, ProgramMeasured};
use crate::gate::{ImpactLimits, Limit, judge};
use crate::schema::Outcome;
use crate::schema::impact::{ImpactMeasure, ImpactRow};
use crate::stats::{
    CONFIDENCE, Interval, fisher, median, median_interval, runs_for_median_interval,
};

/// The rows of one program.
pub fn rows(measured: &ProgramMeasured, cpus: usize, limits: &ImpactLimits) -> Vec<ImpactRow> {
    let Some((off, arms)) = measured.arms.split_first() else {
        return Vec::new();
    };
    let judged = |arm| Judged {
        program: &measured.program,
        length: measured.length,
        off,
        arm,
        cpus,
        limits,
    };
    arms.iter().flat_map(|arm| judged(arm).rows()).collect()
}

/// One arm against `off`.
struct Judged<'a> {
    program: &'a str,
    length: Duration,
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
                reason: self.arm.doubt(),
                ..self.row(self.first_measure())
            }];
        }
        let mut rows: Vec<ImpactRow> = self.measures().into_iter().map(|m| self.ratio(m)).collect();
        rows.extend(self.cpu());
        if self.arm.is_agent() {
            rows.push(self.memory());
        }
        rows.push(self.errors());
        rows.extend(self.captured());
        rows
    }

    /// The two blocks of `off` and of the arm, for each round that has all four.
    fn pairs(&self) -> Vec<[[&ProgramBlock; 2]; 2]> {
        let rounds = self.arm.blocks.iter().map(|b| b.round).max();
        (0..=rounds.unwrap_or(0))
            .filter_map(|round| Some([self.off.both(round)?, self.arm.both(round)?]))
            .collect()
    }

    fn measures(&self) -> Vec<ImpactMeasure> {
        let all = self.arm.blocks.iter().flat_map(|block| block.values.keys());
        all.copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn first_measure(&self) -> ImpactMeasure {
        let first = self.off.blocks.first().and_then(|b| b.values.keys().next());
        first.copied().unwrap_or(ImpactMeasure::Seconds)
    }

    fn row(&self, measure: ImpactMeasure) -> ImpactRow {
        ImpactRow {
            program: self.program.into(),
            arm: self.arm.name.clone(),
            measure,
            off: None,
            with: None,
            unit: measure.unit().into(),
            ratio: None,
            difference: None,
            observations: 0,
            limit: None,
            verdict: Outcome::Inconclusive,
            reason: None,
        }
    }

    /// A row whose ratio, with over without, is judged.
    fn ratio(&self, measure: ImpactMeasure) -> ImpactRow {
        let value = |block: &ProgramBlock| {
            let failed = block.failed > 0 && measure == ImpactMeasure::Seconds;
            block.values.get(&measure).copied().filter(|_| !failed)
        };
        let sum = |[a, b]: [&ProgramBlock; 2]| Some(value(a)? + value(b)?);
        let pairs: Vec<(f64, f64)> = self
            .pairs()
            .into_iter()
            .filter_map(|[off, with]| Some((sum(off)?, sum(with)?)))
            .filter(|(off, _)| *off > 0.0)
            .collect();
        let ratios: Vec<f64> = pairs.iter().map(|(off, with)| with / off).collect();
        let interval = median_interval(&ratios, CONFIDENCE);
        let limit = self.limits.of(measure);
        let change = interval.map(|ratio| change_pct(measure, ratio));
        let half = |pairs: &[(f64, f64)], side: fn(&(f64, f64)) -> f64| {
            median(&pairs.iter().map(side).collect::<Vec<_>>()).map(|sum| sum / 2.0)
        };
        let row = ImpactRow {
            off: half(&pairs, |pair| pair.0),
            with: half(&pairs, |pair| pair.1),
            ratio: interval,
            observations: ratios.len(),
            ..self.row(measure)
        };
        self.decided(row, change, limit)
    }

    /// CPU time beyond that without the agent, as a share of what all CPUs had in the time
    /// that the same work takes without it.
    fn cpu(&self) -> Vec<ImpactRow> {
        let points = |cpu: f64, [a, b]: [&ProgramBlock; 2]| {
            100.0 * cpu / (self.cpus as f64 * (a.seconds + b.seconds))
        };
        let cpu = |[a, b]: [&ProgramBlock; 2]| Some(a.cpu? + b.cpu?);
        let agent = |[a, b]: [&ProgramBlock; 2]| Some(a.agent_cpu? + b.agent_cpu?);
        let pairs = self.pairs();
        let shares: Vec<(f64, f64)> = pairs
            .iter()
            .filter_map(|&[off, with]| Some((points(cpu(off)?, off), points(cpu(with)?, off))))
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
            .filter_map(|&[_, with]| Some(points(agent(with)?, with)))
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

    /// Memory only ever has to fit: the most that was seen counts.
    fn memory(&self) -> ImpactRow {
        let most = self.arm.blocks.iter().map(|b| b.memory).max().unwrap_or(0) as f64 / 1e6;
        let interval = Interval::exact(most);
        let row = ImpactRow {
            with: Some(most),
            difference: Some(interval),
            observations: self.arm.blocks.len(),
            ..self.row(ImpactMeasure::MemoryMb)
        };
        self.decided(row, Some(interval), self.limits.of(ImpactMeasure::MemoryMb))
    }

    fn errors(&self) -> ImpactRow {
        let count = |log: &ArmLog| {
            let sum = |of: fn(&ProgramBlock) -> u64| log.blocks.iter().map(of).sum::<u64>();
            (sum(|b| b.failed), sum(|b| b.tries))
        };
        let (off, with) = (count(self.off), count(self.arm));
        let chance = fisher(off, with);
        let (verdict, reason) = match chance {
            _ if with.1 == 0 => (Outcome::Inconclusive, Some("nothing was tried".to_owned())),
            _ if with.0 == 0 => (Outcome::Pass, None),
            Some(chance) if chance < 1.0 - CONFIDENCE => (
                Outcome::Fail,
                Some(format!(
                    "the chance of so many more by accident is {chance:.2e}"
                )),
            ),
            _ if with.0 * off.1 <= off.0 * with.1 => (Outcome::Pass, None),
            _ => (
                Outcome::Inconclusive,
                Some(format!(
                    "{} of {} against {} of {}: too few to tell from accident",
                    with.0, with.1, off.0, off.1
                )),
            ),
        };
        let row = ImpactRow {
            off: Some(off.0 as f64),
            with: Some(with.0 as f64),
            observations: with.1 as usize,
            limit: Some(0.0),
            verdict,
            reason,
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
            let reason = match measured {
                None => Some(self.too_few(row.observations)),
                Some(_) => None,
            };
            return ImpactRow {
                verdict: if reason.is_some() {
                    Outcome::Inconclusive
                } else {
                    Outcome::Skipped
                },
                reason,
                ..row
            };
        };
        let verdict = judge(measured, limit);
        self.unless_in_doubt(ImpactRow {
            limit: Some(match limit {
                Limit::AtMost(limit) | Limit::AtLeast(limit) => limit,
                Limit::Steps { pass: limit, .. } | Limit::Within { most: limit, .. } => limit,
            }),
            verdict,
            ..row
        })
    }

    /// How long it would take to have an interval.
    fn too_few(&self, rounds: usize) -> String {
        let fewest = runs_for_median_interval(CONFIDENCE);
        let minutes = self.length.as_secs_f64() / 60.0 * fewest as f64 / rounds.max(1) as f64;
        format!(
            "{rounds} of the {fewest} rounds that an interval takes: give it --minutes {:.1}",
            (10.0 * minutes).ceil() / 10.0
        )
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

/// A ratio as what it costs, in percent: of a throughput what is lost, of anything else
/// what is added.
fn change_pct(measure: ImpactMeasure, ratio: Interval) -> Interval {
    if measure == ImpactMeasure::Throughput {
        Interval {
            est: 100.0 * (1.0 - ratio.est),
            lo: 100.0 * (1.0 - ratio.hi),
            hi: 100.0 * (1.0 - ratio.lo),
        }
    } else {
        ratio.map(|ratio| 100.0 * (ratio - 1.0))
    }
}
