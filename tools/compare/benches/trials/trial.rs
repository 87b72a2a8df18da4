//! The kinds of trial: what is compared, how often, and what should come of it.

use std::path::Path;
use std::process::{Command, Stdio};

use compare::failure::Failure;
use probecost::schema::{Status, Verdict, VerdictRow};

use crate::project::{Change, Files, Recipe};

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A change that no benchmark should feel, with link-time optimisation and without.
    Harmless,
    /// +5 % of work in one of 30 benchmarks, beside such a change.
    Planted,
    /// 100 benchmarks behind four seconds of set-up.
    SetUp,
    /// 60 benchmarks of a microsecond.
    Quick,
    /// 60 benchmarks whose times are set in code.
    Insisting,
    /// Each version of Criterion.
    Criterions,
    /// What other tools make of another version.
    Peers,
}

/// One comparison.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub kind: Kind,
    pub number: usize,
}

/// The Criterions that there are.
pub const CRITERIONS: [&str; 6] = ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8"];

/// Trials of each change: half of them with link-time optimisation.
const EACH: usize = 10;

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Harmless,
        Self::Planted,
        Self::SetUp,
        Self::Quick,
        Self::Insisting,
        Self::Criterions,
        Self::Peers,
    ];

    pub fn trials(self) -> Vec<Trial> {
        let trials = match self {
            Self::Harmless => EACH * Change::ALL.len(),
            Self::Planted => 20,
            Self::SetUp | Self::Quick | Self::Insisting => 1,
            Self::Criterions => CRITERIONS.len(),
            // Not a comparison, but several: see `peers`.
            Self::Peers => 0,
        };
        let trial = |number| Trial { kind: self, number };
        (0..trials).map(trial).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Planted => "planted",
            Self::SetUp => "set-up",
            Self::Quick => "quick",
            Self::Insisting => "insisting",
            Self::Criterions => "criterions",
            Self::Peers => "peers",
        }
    }
}

impl Trial {
    /// `planted-07`
    pub fn name(self) -> String {
        format!("{}-{:02}", self.kind.name(), self.number)
    }

    /// What is changed, by turns.
    pub fn change(self) -> Change {
        Change::ALL[self.number % Change::ALL.len()]
    }

    /// Which one it is of those with its change.
    pub fn turn(self) -> usize {
        self.number / Change::ALL.len()
    }

    pub fn recipe(self) -> Recipe {
        let small = Recipe::SMALL;
        match self.kind {
            Kind::Harmless => Recipe {
                lto: self.turn() >= EACH / 2,
                ..small
            },
            Kind::Planted => Recipe {
                benchmarks: 30,
                lto: self.turn() % 2 == 1,
                ..small
            },
            Kind::SetUp => Recipe {
                benchmarks: 100,
                set_up: 4,
                ..small
            },
            Kind::Quick => Recipe {
                benchmarks: 60,
                passes: 1,
                bytes: 512,
                ..small
            },
            Kind::Insisting => Recipe {
                benchmarks: 60,
                insists: true,
                ..small
            },
            Kind::Peers => Recipe {
                benchmarks: 12,
                lto: true,
                ..small
            },
            Kind::Criterions => Recipe {
                criterion: CRITERIONS[self.number],
                ..small
            },
        }
    }

    /// The benchmark that is made slower, where one is.
    pub fn slower(self) -> Option<usize> {
        (self.kind == Kind::Planted).then_some(11 * self.number % 30)
    }

    /// Makes both commits, and holds the second against the first.
    ///
    /// # Errors
    /// The project cannot be made, or `duet` says nothing.
    pub fn run(self, place: &Path) -> Result<Verdict, Failure> {
        let recipe = self.recipe();
        let lto = if recipe.lto { "-lto" } else { "" };
        // One for each that is built in another way: what it depends on is compiled once.
        let project = place.join(format!("criterion-{}{lto}", recipe.criterion));
        let mut files = Files::new(&recipe);
        files.commit(&project)?;
        if let Some(benchmark) = self.slower() {
            files.plant(benchmark);
        }
        files.change(self.change(), self.turn());
        files.commit(&project)?;
        duet(&project, &["--seed", &(1 + self.number).to_string()])
    }

    /// Whether it came as it should: every benchmark decided, and called what it is.
    pub fn right(self, rows: &[VerdictRow]) -> bool {
        let called: Vec<String> = (rows.iter())
            .filter(|row| matches!(row.status, Status::Regressed | Status::Improved))
            .map(|row| format!("{}{:?}", row.id, row.status))
            .collect();
        let planted = self.slower().map(|benchmark| {
            let id = crate::project::id(benchmark);
            format!("{id}{:?}", Status::Regressed)
        });
        // No benchmark here is too short to be judged.
        let is_decided = |status| {
            matches!(
                status,
                Status::Regressed | Status::Improved | Status::Unchanged
            )
        };
        let whole =
            rows.len() == self.recipe().benchmarks && rows.iter().all(|row| is_decided(row.status));
        whole && called == planted.into_iter().collect::<Vec<_>>()
    }
}

/// What `duet` says of a project's last commit.
///
/// # Errors
/// It says nothing.
pub fn duet(project: &Path, more: &[&str]) -> Result<Verdict, Failure> {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-compare"))
        .args(["duet", "--base", "HEAD~1", "--format", "json"])
        .args(more)
        .current_dir(project)
        // The outer cargo's wishes are not meant for this project.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Failure::at(project, e))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|e| Failure::at(project, format!("{}: {e}", output.status)))
}
