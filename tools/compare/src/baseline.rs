//! `baselines/<host-class>.json`: what runs are held against.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use probecost::schema::{Host, Unit, fingerprint};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::input::LONGEST_NS;

/// The format that this program writes, and the newest that it reads.
const SCHEMA: u32 = 1;

/// Runs, session by session, each benchmark in all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    schema: u32,
    /// The machine; `None` where the runs did not say.
    pub host: Option<Host>,
    /// The sessions, oldest first.
    pub sessions: Vec<Session>,
    /// What the frozen probes took, by name: a list for each session, in it nanoseconds
    /// for each run, or none where it took none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub probes: BTreeMap<String, Vec<Vec<Option<f64>>>>,
    /// What was measured, by id.
    pub benchmarks: BTreeMap<String, BenchmarkRuns>,
}

/// Runs that were made together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When the baseline took them in.
    pub date: Timestamp,
    /// How many there are.
    pub runs: usize,
    /// The commit that was measured, where it is known.
    pub commit: Option<String>,
    /// Whether the work tree differed from that commit.
    pub dirty: bool,
    /// What `rustc --version` said.
    pub toolchain: Option<String>,
    /// What others took of the machine meanwhile, in percent: the median over the runs,
    /// where they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_pct: Option<f64>,
    /// Why the baseline was made or changed.
    pub why: String,
}

/// One benchmark: a list for each session, in it a value for each run, or none where
/// the run did not measure it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkRuns {
    /// What the values count.
    pub unit: Unit,
    /// The run's median, or its count.
    pub median: Vec<Vec<Option<f64>>>,
    /// The run's 10 % quantile; the same as the median for counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub p10: Vec<Vec<Option<f64>>>,
}

impl Baseline {
    /// An empty baseline of a machine.
    pub fn new(host: Option<Host>) -> Self {
        Self {
            schema: SCHEMA,
            host,
            sessions: Vec::new(),
            probes: BTreeMap::new(),
            benchmarks: BTreeMap::new(),
        }
    }

    /// Why times of `host` cannot be held to it: the machines differ, or are kept differently,
    /// as far as both sides say.
    pub fn other_machine(&self, host: Option<&Host>) -> Option<String> {
        let reasons = self.host.as_ref()?.unlike(host?);
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// The baseline in the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is no baseline that this program understands.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let bytes = fs::read(path).map_err(|e| {
            Failure::at(path, e).remedy(format!(
                "cargo compare refresh --run DIR... --out {}",
                path.display()
            ))
        })?;
        Self::parse(&bytes).map_err(|cause| {
            Failure::at(path, cause)
                .remedy("--baseline with a file that `compare refresh` wrote, or refresh it")
        })
    }

    /// The baseline in `bytes`; an error is the cause in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Any {
            schema: u32,
        }
        if bytes.is_empty() {
            return Err("the file is empty".into());
        }
        let Any { schema } =
            serde_json::from_slice(bytes).map_err(|e| format!("not a baseline: {e}"))?;
        if schema > SCHEMA {
            return Err(format!(
                "written by a newer version: schema {schema}, this program reads up to {SCHEMA}"
            ));
        }
        let baseline: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("not a baseline: {e}"))?;
        for (id, history) in &baseline.benchmarks {
            history
                .check(&baseline.sessions)
                .map_err(|cause| format!("benchmark `{id}`: {cause}"))?;
        }
        for (name, table) in &baseline.probes {
            same_shape(table, &baseline.sessions)
                .and_then(|()| all_times(table))
                .map_err(|cause| format!("probe `{name}`: {cause}"))?;
        }
        Ok(baseline)
    }

    /// What a probe took in each of these sessions, without the gaps; `None` where no run of
    /// theirs has it.
    pub fn probe(&self, name: &str, sessions: &[usize]) -> Option<Vec<Vec<f64>>> {
        let table = dense(self.probes.get(name)?);
        let theirs = sessions.iter().filter_map(|s| table.get(*s).cloned());
        let theirs: Vec<Vec<f64>> = theirs.collect();
        theirs.iter().any(|runs| !runs.is_empty()).then_some(theirs)
    }

    /// Runs in all sessions.
    pub fn runs(&self) -> usize {
        self.sessions.iter().map(|s| s.runs).sum()
    }

    /// What tells it from any other, in any file.
    pub fn digest(&self) -> Result<String, serde_json::Error> {
        Ok(format!("{:016x}", fingerprint(self.text()?.as_bytes())))
    }

    /// The file's text: a line for each session and each benchmark, so that a diff of two
    /// baselines shows what moved.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let lines = |items: Vec<String>| match items.is_empty() {
            true => String::new(),
            false => format!("\n    {}\n  ", items.join(",\n    ")),
        };
        let sessions: Vec<String> = self
            .sessions
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        let benchmarks: Vec<String> = self
            .benchmarks
            .iter()
            .map(|(id, history)| {
                Ok(format!(
                    "{}: {}",
                    serde_json::to_string(id)?,
                    serde_json::to_string(history)?
                ))
            })
            .collect::<Result<_, serde_json::Error>>()?;
        let probes: Vec<String> = self
            .probes
            .iter()
            .map(|(name, table)| {
                let name = serde_json::to_string(name)?;
                Ok(format!("{name}: {}", serde_json::to_string(table)?))
            })
            .collect::<Result<_, serde_json::Error>>()?;
        let probes = match probes.is_empty() {
            true => String::new(),
            false => format!("\n  \"probes\": {{{}}},", lines(probes)),
        };
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{{\n  \"schema\": {SCHEMA},\n  \"host\": {},\n  \"sessions\": [{}],{probes}\n  \"benchmarks\": {{{}}}\n}}",
            serde_json::to_string(&self.host)?,
            lines(sessions),
            lines(benchmarks),
        );
        Ok(text)
    }
}

impl BenchmarkRuns {
    /// A benchmark that none of the sessions measured: `runs` in each.
    pub fn gaps(unit: Unit, runs: impl Iterator<Item = usize>) -> Self {
        let median: Vec<Vec<Option<f64>>> = runs.map(|runs| vec![None; runs]).collect();
        Self {
            unit,
            p10: match unit {
                Unit::Ns => median.clone(),
                _ => Vec::new(),
            },
            median,
        }
    }

    /// The sessions that measured it.
    pub fn sessions(&self) -> Vec<usize> {
        let measured = |session: &usize| self.median[*session].iter().any(Option::is_some);
        (0..self.median.len()).filter(measured).collect()
    }

    /// What new values are held to: the times of all runs, of a count those of the newest
    /// session that counted it. Where sessions differ the program does, and none ever had
    /// what lies between them.
    pub fn held_to(&self) -> Vec<f64> {
        let medians = self.medians();
        match self.unit {
            Unit::Ns => medians.concat(),
            _ => medians
                .into_iter()
                .rfind(|session| !session.is_empty())
                .unwrap_or_default(),
        }
    }

    /// Values by session, without the gaps: medians or counts.
    pub fn medians(&self) -> Vec<Vec<f64>> {
        dense(&self.median)
    }

    /// Values by session, without the gaps: 10 % quantiles, or counts.
    pub fn p10s(&self) -> Vec<Vec<f64>> {
        dense(if self.p10.is_empty() {
            &self.median
        } else {
            &self.p10
        })
    }

    fn check(&self, sessions: &[Session]) -> Result<(), String> {
        let lowest_allowed = |value: f64| match self.unit {
            Unit::Ns => is_time(value),
            Unit::Instructions | Unit::Bytes | Unit::Allocations => value >= 0.0,
            // Made of times when it is needed, and met by `duet` alone: never stored.
            Unit::Ratio | Unit::Other => false,
        };
        for table in [&self.median, &self.p10] {
            if table.is_empty() && self.unit != Unit::Ns {
                continue;
            }
            same_shape(table, sessions)?;
            if let Some(value) = table
                .iter()
                .flatten()
                .flatten()
                .find(|v| !lowest_allowed(**v))
            {
                return Err(format!("has the value {value:?}"));
            }
        }
        if self.median.iter().flatten().flatten().next().is_none() {
            return Err("has no value".into());
        }
        Ok(())
    }
}

/// Whether there is a value, or a gap, for each run of each session.
fn same_shape(table: &[Vec<Option<f64>>], sessions: &[Session]) -> Result<(), String> {
    let shape: Vec<usize> = table.iter().map(Vec::len).collect();
    match shape.iter().eq(sessions.iter().map(|s| &s.runs)) {
        true => Ok(()),
        false => Err(format!(
            "has runs {shape:?} by session, which the sessions have not"
        )),
    }
}

fn all_times(table: &[Vec<Option<f64>>]) -> Result<(), String> {
    match table.iter().flatten().flatten().find(|v| !is_time(**v)) {
        None => Ok(()),
        Some(value) => Err(format!("has the value {value:?}")),
    }
}

fn is_time(value: f64) -> bool {
    value > 0.0 && value <= LONGEST_NS
}

fn dense(table: &[Vec<Option<f64>>]) -> Vec<Vec<f64>> {
    table
        .iter()
        .map(|session| session.iter().flatten().copied().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn baseline(values: Vec<Vec<Option<f64>>>) -> Baseline {
        let session = |runs| Session {
            date: Timestamp::UNIX_EPOCH,
            runs,
            commit: Some("abc".into()),
            dirty: false,
            toolchain: None,
            taken_pct: Some(0.5),
            why: "a \"reason\"".into(),
        };
        Baseline {
            schema: SCHEMA,
            host: None,
            sessions: values.iter().map(|v| session(v.len())).collect(),
            probes: BTreeMap::from([("stat".into(), values.clone())]),
            benchmarks: BTreeMap::from([(
                "a/b c/ü".into(),
                BenchmarkRuns {
                    unit: Unit::Ns,
                    p10: values.clone(),
                    median: values,
                },
            )]),
        }
    }

    #[test]
    fn text_and_back_one_line_a_benchmark() {
        let original = baseline(vec![vec![Some(1.5), None], vec![Some(2.0)]]);
        let text = original.text().unwrap();
        assert!(
            text.lines()
                .any(|l| l.trim_start().starts_with("\"a/b c/ü\": {\"unit\":\"ns\""))
        );
        assert_eq!(Baseline::parse(text.as_bytes()).unwrap(), original);
        let empty = Baseline::new(None);
        assert_eq!(
            Baseline::parse(empty.text().unwrap().as_bytes()).unwrap(),
            empty
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = baseline(vec![vec![Some(1.5)]]).text().unwrap();
        for (from, to, words) in [
            ("\"schema\": 1", "\"schema\": 2", "newer version: schema 2"),
            ("[[1.5]]", "[[-1.5]]", "has the value -1.5"),
            ("\"stat\": [[1.5]]", "\"stat\": [[0.0]]", "probe `stat`"),
            ("[[1.5]]", "[[1e99]]", "has the value 1e99"),
            ("[[1.5]]", "[[null]]", "has no value"),
            ("[[1.5]]", "[[1.5, 2.5]]", "has runs [2] by session"),
            ("[[1.5]]", "[[\"x\"]]", "invalid type"),
            ("{", "", "not a baseline"),
        ] {
            let error = Baseline::parse(text.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
        assert_eq!(Baseline::parse(b"").unwrap_err(), "the file is empty");
    }

    proptest! {
        #[test]
        fn any_damage_is_an_error_or_a_baseline(at in 0..400usize, byte in any::<u8>()) {
            let mut bytes = baseline(vec![vec![Some(1.5), Some(2.5)]]).text().unwrap().into_bytes();
            let at = at % bytes.len();
            let _ = Baseline::parse(&bytes[..at]);
            bytes[at] = byte;
            let _ = Baseline::parse(&bytes);
        }
    }
}
