//! Loads that have a name.

use std::time::Duration;

use clap::ValueEnum;

/// A named load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 50 requests a second over 5 connections for 30 s
    Light,
    /// 200 requests a second over 10 connections for 60 s
    Medium,
    /// 500 requests a second over 20 connections for 60 s
    Heavy,
    /// 1000 requests a second over 50 connections for 30 s
    Stress,
}

impl Scenario {
    /// Requests a second.
    pub fn rate(self) -> f64 {
        match self {
            Self::Light => 50.0,
            Self::Medium => 200.0,
            Self::Heavy => 500.0,
            Self::Stress => 1000.0,
        }
    }

    /// Connections.
    pub fn connections(self) -> usize {
        match self {
            Self::Light => 5,
            Self::Medium => 10,
            Self::Heavy => 20,
            Self::Stress => 50,
        }
    }

    /// For how long.
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Light | Self::Stress => 30,
            Self::Medium | Self::Heavy => 60,
        })
    }
}
