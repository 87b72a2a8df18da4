//! `figures/<bench>.json` beside Criterion's results: what a bench found that is no time
//! of an operation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Host, Provenance};
use crate::stats::Interval;

/// What a bench found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// The format of this object.
    pub schema: u32,
    /// What made it; none in the first ones.
    #[serde(default)]
    pub provenance: Option<Provenance>,
    /// The machine, where it could be read.
    pub host: Option<Host>,
    /// The figures.
    pub rows: Vec<FigureRow>,
}

/// A count, a rate, a share or a time, with the interval that its bench states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FigureRow {
    /// Its name.
    pub id: String,
    /// In which unit, as the bench calls it.
    pub unit: String,
    /// The figure.
    #[serde(flatten)]
    pub value: Interval,
}

impl Figures {
    /// The format that this program writes and reads.
    pub const SCHEMA: u32 = 1;
}
