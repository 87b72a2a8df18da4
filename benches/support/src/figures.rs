//! Figures that are no times of operations: counts, bytes, rates, shares.

use std::path::PathBuf;

use probecost::file;
use probecost::host::{self, Host, Obstacle};
use probecost::schema;
use probecost::stats::Interval;

/// What one bench target finds.
#[derive(Default)]
pub struct Figures(Vec<schema::FigureRow>);

impl Figures {
    /// A figure that is the same whenever it is counted.
    pub fn count(&mut self, id: impl Into<String>, unit: &str, value: f64) {
        self.estimate(id, unit, Interval::exact(value));
    }

    /// A figure that was estimated.
    pub fn estimate(&mut self, id: impl Into<String>, unit: &str, value: Interval) {
        self.0.push(schema::FigureRow {
            id: id.into(),
            unit: unit.into(),
            value,
        });
    }

    /// Writes them beside Criterion's own results.
    pub fn write(self, target: &str) -> Result<(), Obstacle> {
        let document = schema::Figures {
            schema: schema::Figures::SCHEMA,
            provenance: Some(host::provenance()),
            host: Host::read().ok(),
            rows: self.0,
        };
        let json = serde_json::to_vec_pretty(&document).map_err(|error| {
            Obstacle::new(format!("the figures of {target}: {error}"), "report this")
        })?;
        let directory = home().join("figures");
        file::replace(&directory.join(format!("{target}.json")), &json)
    }
}

/// Where Criterion keeps its results.
fn home() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    set("CRITERION_HOME")
        .or_else(|| set("CARGO_TARGET_DIR").map(|target| target.join("criterion")))
        .unwrap_or_else(|| PathBuf::from("target/criterion"))
}
