//! A benchmark of a suite, as far as it came.

use std::time::Duration;

use probecost::stats::median;

use super::round::{First, Round};
use super::sequential::Settled;
use super::subjects::{Gap, Subject};

/// A benchmark's rounds, as far as they came.
pub struct BenchmarkRun {
    pub subject: Subject,
    pub screen: Vec<Round>,
    pub fresh: Vec<Round>,
    pub end: End,
    pub seconds: f64,
    /// What a process spent on it in its last round, beside what it set up.
    pub measuring: Duration,
    /// Which side begins each round, from the first to the last that there may be.
    pub orders: Vec<First>,
}

/// What became of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// There is no answer yet.
    Open,
    /// It was cleared by the screen.
    Cleared,
    /// It was judged on its fresh rounds.
    Settled(Settled),
    /// It is too short to raise an alarm.
    Short,
    /// A process gave nothing.
    Broken(String),
    /// Time was up before there was an answer.
    NoTime,
    /// Somebody stopped us before there was an answer.
    Interrupted,
}

/// All benchmarks of one comparison.
pub struct DuetSuite {
    pub runs: Vec<BenchmarkRun>,
    pub gaps: Vec<Gap>,
}

impl BenchmarkRun {
    /// One of which nothing is measured yet.
    pub fn new(subject: Subject, orders: Vec<First>) -> Self {
        Self {
            subject,
            screen: Vec::new(),
            fresh: Vec::new(),
            end: End::Open,
            seconds: 0.0,
            measuring: Duration::ZERO,
            orders,
        }
    }

    /// The rounds that are shown: the fresh ones where there are any.
    pub fn shown(&self) -> &[Round] {
        match self.fresh.is_empty() {
            true => &self.screen,
            false => &self.fresh,
        }
    }

    /// Which side begins its next round.
    pub fn begins(&self) -> First {
        self.orders[self.screen.len() + self.fresh.len()]
    }

    /// What one more round takes, in seconds.
    pub fn round_seconds(&self) -> f64 {
        self.seconds / (self.screen.len() + self.fresh.len()).max(1) as f64
    }

    /// By the median of the screen, a logarithm.
    pub fn looks_slower_by(&self) -> f64 {
        median(&ratios(&self.screen)).unwrap_or_default()
    }
}

/// What rounds gave, a logarithm each.
pub fn ratios(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|r| r.ratio).collect()
}
