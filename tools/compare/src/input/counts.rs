//! `summary.json` of gungraun (format 7) and of iai-callgrind (format 6): instructions
//! and allocations, counted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use probecost::schema::Unit;
use serde::Deserialize;
use serde_json::Value;

use super::reading::Reading;

/// The metrics that are judged: the tool's name for each, and what it counts.
const METRICS: [(&str, Unit); 3] = [
    ("Ir", Unit::Instructions),
    ("TotalBytes", Unit::Bytes),
    ("TotalBlocks", Unit::Allocations),
];

/// What both formats share.
#[derive(Deserialize)]
struct Summary {
    version: String,
    module_path: String,
    id: Option<String>,
    profiles: Vec<Value>,
}

/// All counts in the files at `paths`, by id. A file of that name from another program
/// is passed over.
pub fn read(paths: &[PathBuf]) -> BTreeMap<String, Reading> {
    let mut counts = BTreeMap::new();
    for path in paths {
        let of_file: BTreeMap<String, Reading> = read_one(path).into_iter().collect();
        for (id, reading) in of_file {
            match counts.entry(id) {
                Entry::Vacant(new) => drop(new.insert(reading)),
                Entry::Occupied(mut taken) => {
                    let why = format!("{}: another file counts the same", path.display());
                    taken.insert(Reading::Broken(why));
                }
            }
        }
    }
    counts
}

fn read_one(path: &Path) -> Vec<(String, Reading)> {
    let broken = |cause: String| {
        let place = path.display();
        vec![(
            place.to_string(),
            Reading::Broken(format!("{place}: {cause}")),
        )]
    };
    let value: Value = match fs::read(path).map(|bytes| serde_json::from_slice(&bytes)) {
        Err(error) => return broken(error.to_string()),
        Ok(Err(error)) => return broken(error.to_string()),
        Ok(Ok(value)) => value,
    };
    if value.get("version").is_none() || value.get("profiles").is_none() {
        return Vec::new();
    }
    let summary: Summary = match serde_json::from_value(value) {
        Err(error) => return broken(error.to_string()),
        Ok(summary) => summary,
    };
    let metrics: fn(&Value) -> Vec<(&str, &Value)> = match summary.version.as_str() {
        "6" => metrics_of_6,
        "7" => metrics_of_7,
        other => return broken(format!("format {other}; this program reads 6 and 7")),
    };
    let name = match &summary.id {
        Some(id) => format!("{} {id}", summary.module_path),
        None => summary.module_path.clone(),
    };
    let counts: Vec<(String, Reading)> = summary
        .profiles
        .iter()
        .flat_map(metrics)
        .filter_map(|(metric, count)| {
            let (_, unit) = METRICS.iter().find(|(name, _)| *name == metric)?;
            let row = format!("{name} [{}]", unit.name());
            let reading = match count.as_f64() {
                Some(count) if count >= 0.0 => Reading::Count(count, *unit),
                _ => Reading::Broken(format!("{}: {metric} is {count}", path.display())),
            };
            Some((row, reading))
        })
        .collect();
    if counts.is_empty() {
        return broken("no instructions or allocations in it".into());
    }
    counts
}

/// `summaries.total.summary.Callgrind.Ir.metrics.Left.Int`, or the first of `Both`.
fn metrics_of_6(profile: &Value) -> Vec<(&str, &Value)> {
    let tools = profile
        .pointer("/summaries/total/summary")
        .and_then(Value::as_object);
    let metrics = tools
        .into_iter()
        .flat_map(|t| t.values())
        .filter_map(Value::as_object);
    metrics
        .flatten()
        .filter_map(|(name, metric)| {
            let sides = metric.get("metrics")?;
            let new = sides.get("Left").or_else(|| sides.pointer("/Both/0"))?;
            Some((name.as_str(), new.get("Int")?))
        })
        .collect()
}

/// `data.total.metrics.Ir.values.new`.
fn metrics_of_7(profile: &Value) -> Vec<(&str, &Value)> {
    let metrics = profile
        .pointer("/data/total/metrics")
        .and_then(Value::as_object);
    metrics
        .into_iter()
        .flatten()
        .filter_map(|(name, metric)| Some((name.as_str(), metric.pointer("/values/new")?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(json: &str) -> Vec<(String, Reading)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        fs::write(&path, json).unwrap();
        read_one(&path)
    }

    const SIX: &str = r#"{"version":"6","module_path":"bench::group::decode","id":"one","profiles":[
        {"tool":"Callgrind","summaries":{"parts":[],"total":{"regressions":[],"summary":{"Callgrind":{
            "Ir":{"diffs":null,"metrics":{"Left":{"Int":56}}},
            "L1HitRate":{"diffs":null,"metrics":{"Left":{"Float":96.3}}}}}}}},
        {"tool":"DHAT","summaries":{"parts":[],"total":{"regressions":[],"summary":{"Dhat":{
            "TotalBytes":{"metrics":{"Both":[{"Int":8},{"Int":9}]}},
            "TotalBlocks":{"metrics":{"Both":[{"Int":1},{"Int":1}]}}}}}}}]}"#;
    const SEVEN: &str = r#"{"version":"7","module_path":"bench::group::decode","profiles":[
        {"tool":"Callgrind","data":{"parts":[],"total":{"regressions":[],"metrics":{
            "Ir":{"change":{"diff_pct":"0","factor":"1"},"values":{"new":687,"old":680}},
            "D1MissRate":{"values":{"new":0.33}}}}}}]}"#;

    #[test]
    fn both_formats() {
        assert_eq!(
            rows(SIX),
            [
                (
                    "bench::group::decode one [instructions]".into(),
                    Reading::Count(56.0, Unit::Instructions)
                ),
                (
                    "bench::group::decode one [allocations]".into(),
                    Reading::Count(1.0, Unit::Allocations)
                ),
                (
                    "bench::group::decode one [bytes]".into(),
                    Reading::Count(8.0, Unit::Bytes)
                ),
            ]
        );
        assert_eq!(
            rows(SEVEN),
            [(
                "bench::group::decode [instructions]".into(),
                Reading::Count(687.0, Unit::Instructions)
            )]
        );
    }

    #[test]
    fn a_count_below_zero_is_broken() {
        let below = rows(&SEVEN.replace("687", "-1"));
        assert!(matches!(&below[0].1, Reading::Broken(why) if why.ends_with("Ir is -1")));
    }

    #[test]
    fn the_same_count_in_two_files_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a.json", "b.json"].map(|name| dir.path().join(name));
        for path in &paths {
            fs::write(path, SEVEN).unwrap();
        }
        let counts = read(&paths);
        let only = counts.values().collect::<Vec<_>>();
        assert!(
            matches!(&only[..], [Reading::Broken(why)] if why.contains("b.json: another file")),
            "{only:?}"
        );
    }

    #[test]
    fn other_formats_are_named_and_other_files_passed_over() {
        let newer = rows(&SEVEN.replace(r#""version":"7""#, r#""version":"8""#));
        assert!(matches!(&newer[0].1, Reading::Broken(why) if why.contains("format 8")));
        assert!(rows(r#"{"name":"not ours"}"#).is_empty());
        assert!(matches!(&rows("{")[0].1, Reading::Broken(_)));
        let none = rows(r#"{"version":"7","module_path":"a","profiles":[]}"#);
        assert!(matches!(&none[0].1, Reading::Broken(why) if why.contains("no instructions")));
    }

    proptest! {
        #[test]
        fn any_damage_is_a_row_or_nothing(at in 0..SIX.len(), byte in any::<u8>()) {
            for text in [SIX, SEVEN] {
                let mut bytes = text.as_bytes().to_vec();
                let at = at % bytes.len();
                bytes[at] = byte;
                rows(&String::from_utf8_lossy(&bytes));
                rows(&String::from_utf8_lossy(&text.as_bytes()[..at]));
            }
        }
    }
}
