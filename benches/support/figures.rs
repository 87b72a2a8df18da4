//! Figures that are no times of operations: counts, bytes, rates, shares.

#![allow(dead_code, reason = "each target takes what it needs")]

use std::path::PathBuf;

use probecost::host::Host;
use probecost::stats::Interval;
use serde::Serialize;

use super::turns;

/// What one bench target found, written beside Criterion's own results as
/// `figures/<target>.json`.
#[derive(Serialize)]
pub struct Figures {
    schema: u32,
    host: Option<Host>,
    rows: Vec<Figure>,
}

#[derive(Serialize)]
struct Figure {
    id: String,
    unit: &'static str,
    #[serde(flatten)]
    value: Interval,
}

impl Figures {
    pub fn new() -> Self {
        Self {
            schema: 1,
            host: Host::read().ok(),
            rows: Vec::new(),
        }
    }

    /// A figure that is the same whenever it is counted.
    pub fn count(&mut self, id: impl Into<String>, unit: &'static str, value: f64) {
        self.estimate(
            id,
            unit,
            Interval {
                est: value,
                lo: value,
                hi: value,
            },
        );
    }

    /// A figure that was estimated.
    pub fn estimate(&mut self, id: impl Into<String>, unit: &'static str, value: Interval) {
        self.rows.push(Figure {
            id: id.into(),
            unit,
            value,
        });
    }

    /// Writes the file; says so where it cannot.
    pub fn write(&self, target: &str) {
        let path = home().join("figures").join(format!("{target}.json"));
        let written = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::from)
            .and_then(|json| {
                std::fs::create_dir_all(path.with_file_name(""))?;
                std::fs::write(&path, json)
            });
        if let Err(error) = written {
            eprintln!("{}: {error}", path.display());
        }
    }
}

/// Where Criterion keeps its results.
fn home() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    set("CRITERION_HOME")
        .or_else(|| set("CARGO_TARGET_DIR").map(|target| target.join("criterion")))
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/criterion"))
}

/// Whether all benchmarks were asked for, none by name, and no turns of them.
pub fn all_asked_for() -> bool {
    let mut arguments = std::env::args().skip(1);
    !turns::are_taken() && arguments.all(|argument| argument == "--bench")
}
