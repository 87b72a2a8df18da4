//! The file that `critcmp --export` writes: one run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::criterion::Estimates;
use super::reading::{Reading, Run};
use crate::failure::Failure;

#[derive(Deserialize)]
struct Export {
    benchmarks: BTreeMap<String, Exported>,
}

#[derive(Deserialize)]
struct Exported {
    criterion_estimates_v1: Estimates,
}

/// The run in the file at `path`.
///
/// # Errors
/// The file cannot be read, is not critcmp's, or holds no benchmark.
pub fn read(path: &Path) -> Result<Run, Failure> {
    let bytes = fs::read(path).map_err(|e| Failure::at(path, e))?;
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Run, Failure> {
    let export: Export = serde_json::from_slice(bytes).map_err(|e| {
        Failure::at(path, format!("not a file that critcmp exported: {e}"))
            .remedy("critcmp --export BASELINE > FILE, or --run with a Criterion home")
    })?;
    if export.benchmarks.is_empty() {
        return Err(Failure::at(path, "holds no benchmarks"));
    }
    let readings = export.benchmarks.into_iter().map(|(id, exported)| {
        let reading = exported.criterion_estimates_v1.time().map_or_else(
            |cause| Reading::Broken(format!("{}: {cause}", path.display())),
            Reading::Time,
        );
        (id, reading)
    });
    Ok(Run {
        place: path.to_owned(),
        readings: readings.collect(),
        ..Run::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXPORT: &str = r#"{"name":"new","benchmarks":{"a/b":{"criterion_estimates_v1":{
        "mean":{"point_estimate":2.5,"standard_error":0.1},
        "median":{"point_estimate":2.0,"standard_error":0.1}}}}}"#;

    #[test]
    fn the_median_is_taken() {
        let run = parse(Path::new("e.json"), EXPORT.as_bytes()).unwrap();
        assert!(matches!(&run.readings["a/b"], Reading::Time(time) if time.median == 2.0));
    }

    proptest! {
        #[test]
        fn any_damage_is_a_run_or_a_failure(at in 0..EXPORT.len(), byte in any::<u8>()) {
            let path = Path::new("e.json");
            let mut bytes = EXPORT.as_bytes().to_vec();
            let _ = parse(path, &bytes[..at]);
            bytes[at] = byte;
            let _ = parse(path, &bytes);
        }
    }
}
