//! `figures/<bench>.json` beside Criterion's results: what a bench found that is no time
//! of an operation.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use probecost::schema::{FigureRow, Figures, Unit};
use probecost::stats::Interval;

use super::reading::Reading;
use crate::failure::Failure;

/// The directory's name, in a Criterion home.
const NAME: &str = "figures";

/// All figures in the Criterion home, by id. Files from before `began` were left by an
/// earlier run, and are passed over.
///
/// # Errors
/// A file that cannot be read, or is no file of figures, or two that have the same.
pub fn read(
    home: &Path,
    began: Option<SystemTime>,
) -> Result<BTreeMap<String, FigureRow>, Failure> {
    let mut figures = BTreeMap::new();
    let mut places: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in files(&home.join(NAME))? {
        let written = fs::metadata(&path).and_then(|m| m.modified());
        let written = written.map_err(|e| Failure::at(&path, e))?;
        if began.is_some_and(|began| written < began) {
            continue;
        }
        let bytes = fs::read(&path).map_err(|e| Failure::at(&path, e))?;
        let rows = parse(&bytes).map_err(|cause| {
            Failure::at(&path, cause)
                .remedy(format!("run that bench again, or rm {}", path.display()))
        })?;
        for (id, row) in rows {
            if let Some(other) = places.insert(id.clone(), path.clone()) {
                let why = format!("`{id}` is in {} as well", other.display());
                return Err(Failure::at(&path, why));
            }
            figures.insert(id, row);
        }
    }
    Ok(figures)
}

/// Takes the counts out of `figures`, as readings: they are the same whenever the same program
/// runs, and so a baseline keeps them as it does those of gungraun.
pub fn take_counts(figures: &mut BTreeMap<String, FigureRow>) -> BTreeMap<String, Reading> {
    let mut counts = BTreeMap::new();
    figures.retain(|id, row| {
        let count = count(row);
        let stays = count.is_none();
        counts.extend(count.map(|count| (id.clone(), count)));
        stays
    });
    counts
}

/// A figure that is a count: exact, and in a unit of its own.
fn count(row: &FigureRow) -> Option<Reading> {
    let units = [Unit::Allocations, Unit::Bytes];
    let unit = units.into_iter().find(|unit| unit.name() == row.unit)?;
    let Interval { est, lo, hi } = row.value;
    (lo == hi && est >= 0.0).then_some(Reading::Count(est, unit))
}

/// The JSON files in `dir`, in order; none where there is no such directory.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| Failure::at(dir, e))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Failure::at(dir, e))?.path();
        if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, FigureRow>, String> {
    let file: Figures =
        serde_json::from_slice(bytes).map_err(|e| format!("not a file of figures: {e}"))?;
    if file.schema != Figures::SCHEMA {
        let (theirs, ours) = (file.schema, Figures::SCHEMA);
        return Err(format!("schema {theirs}; this program reads {ours}"));
    }
    file.rows
        .into_iter()
        .map(|row| match (&row.id, row.value) {
            (_, Interval { est, lo, hi }) if lo <= est && est <= hi => Ok((row.id.clone(), row)),
            (id, Interval { est, lo, hi }) => {
                Err(format!("`{id}` is {est}, between {lo} and {hi}"))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const FILE: &str = r#"{"schema":1,"host":null,"rows":[
        {"id":"ring/lost","unit":"percent","est":0.1,"lo":0.0,"hi":0.2}]}"#;

    #[test]
    fn figures_of_this_run_alone() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(home.path(), None).unwrap(), BTreeMap::new());
        let path = home.path().join("figures/ring.json");
        fs::create_dir(home.path().join("figures")).unwrap();
        fs::write(&path, FILE).unwrap();
        let figures = read(home.path(), None).unwrap();
        assert_eq!(figures["ring/lost"].unit, "percent");
        assert_eq!(figures["ring/lost"].value.hi, 0.2);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(read(home.path(), Some(later)).unwrap(), BTreeMap::new());
    }

    #[test]
    fn counts_are_exact_and_no_times_rates_or_shares() {
        let row = |unit: &str, lo: f64, hi: f64| {
            let value = Interval { est: lo, lo, hi };
            let (id, unit) = (format!("{unit} {hi}"), unit.to_owned());
            (id.clone(), FigureRow { id, unit, value })
        };
        let mut figures = BTreeMap::from([
            row("allocations", 0.016, 0.016),
            row("bytes", 96.0, 96.0),
            row("bytes", 96.0, 97.0),
            row("bytes", -1.0, -1.0),
            row("us", 3.0, 3.0),
            row("percent", 0.0, 0.0),
            row("events/s", 5.0, 5.0),
            row("count", 0.0, 0.0),
        ]);
        let counts = take_counts(&mut figures);
        let expected = [
            (
                "allocations 0.016",
                Reading::Count(0.016, Unit::Allocations),
            ),
            ("bytes 96", Reading::Count(96.0, Unit::Bytes)),
        ];
        assert_eq!(
            counts,
            expected.map(|(id, count)| (id.to_owned(), count)).into()
        );
        assert_eq!(figures.len(), 6);
    }

    #[test]
    fn two_files_with_the_same_figure_are_named() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("figures")).unwrap();
        for name in ["a.json", "b.json"] {
            fs::write(home.path().join("figures").join(name), FILE).unwrap();
        }
        let error = read(home.path(), None).unwrap_err().to_string();
        assert!(
            error.contains("a.json") && error.contains("b.json"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, words) in [
            ("\"schema\":1", "\"schema\":2", "schema 2"),
            ("0.1", "0.3", "`ring/lost` is 0.3, between 0 and 0.2"),
            ("0.1", "null", "not a file of figures"),
        ] {
            let error = parse(FILE.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_damage_is_a_cause_or_figures(at in 0..FILE.len(), byte in any::<u8>()) {
            let mut bytes = FILE.as_bytes().to_vec();
            let _ = parse(&bytes[..at]);
            bytes[at] = byte;
            let _ = parse(&bytes);
        }
    }
}
