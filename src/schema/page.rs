//! `report.json`: all results on one page, each number as it is shown.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Provenance};

/// The version of this layout.
pub const SCHEMA: u32 = 1;

/// The whole page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// The version of this layout: 1.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// How a status comes about.
    pub rules: String,
    /// The streams.
    pub streams: Vec<Stream>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// How something stands. The order is that of the page.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PageStatus {
    /// A limit is exceeded, or a measurement contradicts itself.
    Failed,
    /// It cannot be decided, or leads to its limit.
    AtRisk,
    /// Within its limit.
    OnTrack,
    /// Measured, and nothing is asked of it.
    NoLimit,
    /// Not measured.
    NotMeasured,
}

impl PageStatus {
    /// The word that a style sheet knows it by.
    pub fn class(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::AtRisk => "at-risk",
            Self::OnTrack => "on-track",
            Self::NoLimit => "no-limit",
            Self::NotMeasured => "not-measured",
        }
    }
}

impl fmt::Display for PageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Failed => "FAILED",
            Self::AtRisk => "AT RISK",
            Self::OnTrack => "ON TRACK",
            Self::NoLimit => "no limit",
            Self::NotMeasured => "not measured",
        })
    }
}

/// The results of one experiment, of one class of machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// What its documents are; the experiment and the class where there are several.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// How it stands: the worst of its rows.
    pub status: PageStatus,
    /// When its newest result was made.
    pub date: String,
    /// The commit of that.
    pub commit: Option<String>,
    /// The CPU of that.
    pub machine: Option<String>,
    /// Where it lies.
    pub file: String,
    /// Results that are kept.
    pub results: usize,
    /// The rows, what matters most first.
    pub rows: Vec<PageRow>,
    /// Percentiles, and what was looked at over time.
    pub pictures: Vec<Picture>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PageRow {
    /// Of what.
    pub name: String,
    /// What was measured.
    pub measure: String,
    /// The value.
    pub value: Option<String>,
    /// Its interval.
    pub interval: Option<String>,
    /// What it may be.
    pub limit: Option<String>,
    /// By how much it changed since the result before.
    pub change: Option<String>,
    /// The verdict of the newest result.
    pub verdict: Outcome,
    /// How it stands.
    pub status: PageStatus,
    /// Why.
    pub reason: String,
    /// The value beside its limit.
    pub chart: Option<Picture>,
}

/// A picture, and what it shows in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// What it is of; empty where that stands beside it.
    pub title: String,
    /// What it shows.
    pub words: String,
    /// The picture.
    pub svg: String,
}
