//! The one hash of the pipeline's tables.

use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::{FoldHasher, SeedableRandomState};

/// Paths come from the audited programs, so the tables are seeded: nobody can
/// choose names that collide.
#[derive(Debug, Clone)]
pub struct Hashing(SeedableRandomState);

impl Hashing {
    /// With a seed of its own.
    pub fn random() -> Self {
        Self(SeedableRandomState::random())
    }

    /// With the same seed each time, for counting instructions.
    pub fn fixed() -> Self {
        Self(SeedableRandomState::with_seed(
            0,
            SharedSeed::global_fixed(),
        ))
    }
}

impl BuildHasher for Hashing {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}
