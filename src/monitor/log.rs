//! Samples on disk as they come: whoever is killed loses at most the last second.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::file::unwritable;
use crate::host::Obstacle;
use crate::schema::monitor::MonitorSample;

const COLUMNS: &str = "at_s,processes,threads,user_pct,system_pct,resident,virtual_memory,\
    descriptors,voluntary_switches,involuntary_switches,cpu_some_pct,memory_some_pct,\
    memory_full_pct,io_some_pct,io_full_pct\n";

/// `monitor.csv` and `monitor.jsonl`, a line a sample each.
#[derive(Debug)]
pub(super) struct Log {
    csv: (PathBuf, File),
    json: (PathBuf, File),
}

impl Log {
    /// In this directory.
    pub(super) fn create(directory: &Path) -> Result<Self, Obstacle> {
        let open = |name| {
            let path = directory.join(name);
            let file = File::create(&path).map_err(|error| unwritable(&path, &error))?;
            Ok((path, file))
        };
        let mut log = Self {
            csv: open("monitor.csv")?,
            json: open("monitor.jsonl")?,
        };
        append(&mut log.csv, COLUMNS)?;
        Ok(log)
    }

    /// Adds a sample, each line by one write.
    pub(super) fn add(&mut self, sample: &MonitorSample) -> Result<(), Obstacle> {
        let json = serde_json::to_string(sample).expect("a sample is JSON");
        append(&mut self.csv, &line(sample))?;
        append(&mut self.json, &(json + "\n"))
    }
}

fn append((path, file): &mut (PathBuf, File), text: &str) -> Result<(), Obstacle> {
    let written = file.write_all(text.as_bytes());
    written.map_err(|error| unwritable(path, &error))
}

fn line(s: &MonitorSample) -> String {
    let p = s.pressure.map(|p| {
        [
            p.cpu_some,
            p.memory_some,
            p.memory_full,
            p.io_some,
            p.io_full,
        ]
        .map(|share| format!("{share:.3}"))
    });
    format!(
        "{:.3},{},{},{:.2},{:.2},{},{},{},{},{},{}\n",
        s.at_s,
        s.processes,
        s.threads,
        s.user_pct,
        s.system_pct,
        s.resident,
        s.virtual_memory,
        s.descriptors,
        s.voluntary_switches,
        s.involuntary_switches,
        p.unwrap_or_default().join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_every_column() {
        let commas = |text: &str| text.matches(',').count();
        let pressed = MonitorSample {
            pressure: Some(Default::default()),
            ..MonitorSample::default()
        };
        for sample in [MonitorSample::default(), pressed] {
            assert_eq!(commas(&line(&sample)), commas(COLUMNS));
        }
    }
}
