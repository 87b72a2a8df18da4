//! How many runs a suite takes.

use serde::Serialize;

/// Runs on either side of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SideRuns {
    /// Runs of the baseline.
    pub baseline: usize,
    /// Runs held against it.
    pub current: usize,
}

impl SideRuns {
    /// Runs of both.
    pub fn total(self) -> usize {
        self.baseline + self.current
    }

    /// The fewest that show a spread and a middle.
    pub const LEAST: SideRuns = SideRuns {
        baseline: 5,
        current: 2,
    };

    /// What a check is taken to have: ten runs and five, or with fewer runs in all as many
    /// as there are, two thirds of them for the baseline; `None` where they are too few.
    pub fn fitting(runs: usize) -> Option<Self> {
        let current = (runs / 3).min(5);
        let baseline = (runs - current).min(10);
        (runs >= Self::LEAST.total()).then_some(Self { baseline, current })
    }
}
