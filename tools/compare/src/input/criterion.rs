//! Criterion's own files, of versions 0.3 to 0.8.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use probecost::stats::{CONFIDENCE, Interval, median, median_interval, quantile};
use rayon::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::reading::{LONGEST_NS, Reading, Time};

/// A pause between two results that no run makes: what lies before it is of an
/// earlier run.
const PAUSE: Duration = Duration::from_secs(30 * 60);

/// `benchmark.json`. The throughput is left unread: no verdict depends on it, so that
/// every kind of it, known or not, is accepted.
#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    directory_name: Option<String>,
}

/// `sample.json`. Linear sampling or flat, a sample is a time over a number of iterations.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// `estimates.json`, where there is no sample.
#[derive(Deserialize)]
pub(super) struct Estimates {
    mean: Estimate,
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    standard_error: f64,
    confidence_interval: Option<Bounds>,
}

#[derive(Deserialize)]
struct Bounds {
    lower_bound: f64,
    upper_bound: f64,
}

/// A result as found.
struct FoundResult {
    place: PathBuf,
    /// Id and directory, or why there is none.
    name: Result<(String, String), String>,
    written: SystemTime,
    reading: Reading,
}

/// What lies in a Criterion home.
#[derive(Debug)]
pub struct Results {
    /// What was read, by id. Two benchmarks with one id get the name of their directory
    /// behind it.
    pub readings: BTreeMap<String, Reading>,
    /// When it was written, by id.
    pub written: BTreeMap<String, SystemTime>,
    /// When the oldest result of the run was written.
    pub oldest: Option<SystemTime>,
}

/// What lies in the directories `places`. `started` is when the run began, where that is
/// known.
pub fn read(places: &[PathBuf], started: Option<SystemTime>) -> Results {
    let mut found: Vec<FoundResult> = places.par_iter().map(|place| read_one(place)).collect();
    mark_stale(&mut found, started);
    let fresh = found
        .iter()
        .filter(|f| !matches!(f.reading, Reading::Stale(_)));
    let oldest = fresh.map(|f| f.written).min();
    let named = found.iter().filter_map(|f| {
        let (id, _) = f.name.as_ref().ok()?;
        Some((id.clone(), f.written))
    });
    Results {
        written: named.collect(),
        oldest,
        readings: by_id(found),
    }
}

fn read_one(place: &Path) -> FoundResult {
    let written = written(place);
    let benchmark = parse::<Benchmark>(&place.join("benchmark.json"));
    let (name, reading) = match benchmark {
        Err((cause, _)) => (Err(cause.clone()), Reading::Broken(cause)),
        Ok(benchmark) => {
            let directory = benchmark
                .directory_name
                .unwrap_or_else(|| place.display().to_string());
            let reading = estimate(place).map_or_else(Reading::Broken, Reading::Time);
            (Ok((benchmark.full_id, directory)), reading)
        }
    };
    FoundResult {
        place: place.to_owned(),
        name,
        written,
        reading,
    }
}

/// When the result was written; a file that says nothing counts as new.
fn written(place: &Path) -> SystemTime {
    ["sample.json", "estimates.json"]
        .iter()
        .find_map(|file| fs::metadata(place.join(file)).ok()?.modified().ok())
        .unwrap_or_else(SystemTime::now)
}

fn estimate(place: &Path) -> Result<Time, String> {
    let path = place.join("sample.json");
    match parse::<Sample>(&path) {
        Ok(sample) => {
            estimates_hold(place)?;
            from_sample(&sample).map_err(|cause| format!("{}: {cause}", path.display()))
        }
        Err((_, true)) => {
            let path = place.join("estimates.json");
            let estimates = parse::<Estimates>(&path).map_err(|(cause, _)| cause)?;
            estimates
                .time()
                .map_err(|cause| format!("{}: {cause}", path.display()))
        }
        Err((cause, false)) => Err(cause),
    }
}

/// Whether the estimates beside a sample, where there are any, are whole: whoever cut them
/// short may have cut the sample as well.
fn estimates_hold(place: &Path) -> Result<(), String> {
    let path = place.join("estimates.json");
    match parse::<Estimates>(&path) {
        Ok(estimates) => {
            (estimates.time().map(drop)).map_err(|cause| format!("{}: {cause}", path.display()))
        }
        Err((_, true)) => Ok(()),
        Err((cause, false)) => Err(cause),
    }
}

/// The samples of one benchmark in one process, in the order they were taken: each a time
/// of one operation in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// Those in the Criterion home `home`, by id.
    ///
    /// # Errors
    /// Several have one id, or a file cannot be used: it and the cause.
    pub fn read(home: &Path) -> Result<BTreeMap<String, Self>, String> {
        let found = super::walk::walk(home).map_err(|e| e.to_string())?;
        let mut all = BTreeMap::new();
        for place in &found.criterion {
            let path = place.join("benchmark.json");
            let Benchmark { full_id, .. } = parse(&path).map_err(|(cause, _)| cause)?;
            let path = place.join("sample.json");
            let sample = parse::<Sample>(&path).map_err(|(cause, _)| cause)?;
            let samples =
                per_operation(&sample).map_err(|cause| format!("{}: {cause}", path.display()))?;
            if all.insert(full_id.clone(), Self(samples)).is_some() {
                return Err(format!("several benchmarks have the id {full_id}"));
            }
        }
        Ok(all)
    }
}

fn per_operation(sample: &Sample) -> Result<Vec<f64>, String> {
    let Sample { iters, times } = sample;
    if iters.len() != times.len() {
        return Err(format!(
            "{} counts of iterations, {} times",
            iters.len(),
            times.len()
        ));
    }
    if iters.is_empty() {
        return Err("no samples".into());
    }
    let mut per_op = Vec::with_capacity(iters.len());
    for (number, (&iters, &time)) in iters.iter().zip(times).enumerate() {
        if !(iters.is_finite() && iters > 0.0) {
            return Err(format!("sample {number} has {iters} iterations"));
        }
        per_op.push(plausible(time / iters).map_err(|e| format!("sample {number} {e}"))?);
    }
    Ok(per_op)
}

fn from_sample(sample: &Sample) -> Result<Time, String> {
    let per_op = per_operation(sample)?;
    let n = per_op.len() as f64;
    let mean = per_op.iter().sum::<f64>() / n;
    let squares: f64 = per_op.iter().map(|v| (v - mean).powi(2)).sum();
    Ok(Time {
        median: median(&per_op).ok_or("no median")?,
        p10: quantile(&per_op, 0.1).ok_or("no quantile")?,
        mean,
        mean_error: (squares / (n - 1.0).max(1.0) / n).sqrt(),
        interval: median_interval(&per_op, CONFIDENCE),
    })
}

impl Estimates {
    /// The nearest to a sample's figures that the estimates give.
    pub(super) fn time(&self) -> Result<Time, String> {
        let median =
            plausible(self.median.point_estimate).map_err(|e| format!("the median {e}"))?;
        Ok(Time {
            median,
            p10: median,
            mean: plausible(self.mean.point_estimate).map_err(|e| format!("the mean {e}"))?,
            mean_error: self.mean.standard_error,
            interval: self.median.confidence_interval.as_ref().and_then(|bounds| {
                let (lo, hi) = (bounds.lower_bound, bounds.upper_bound);
                (lo <= median && median <= hi).then_some(Interval {
                    est: median,
                    lo,
                    hi,
                })
            }),
        })
    }
}

fn plausible(ns: f64) -> Result<f64, String> {
    if ns > 0.0 && ns <= LONGEST_NS {
        Ok(ns)
    } else {
        Err(format!("takes {ns:?} ns an operation"))
    }
}

/// Reads JSON; an error says the path and the cause, and whether the file is not there.
fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, (String, bool)> {
    let open = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(8192);
        File::open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let at = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
    let bytes = open().map_err(|e| (at(&e), e.kind() == io::ErrorKind::NotFound))?;
    if bytes.is_empty() {
        return Err((at(&"the file is empty"), false));
    }
    serde_json::from_slice(&bytes).map_err(|e| (at(&e), false))
}

/// Marks what an earlier run left behind: what was written before this run began or,
/// where nobody noted when that was, before a long pause.
fn mark_stale(found: &mut [FoundResult], started: Option<SystemTime>) {
    found.sort_by_key(|f| Reverse(f.written));
    let Some(newest) = found.first().map(|f| f.written) else {
        return;
    };
    let mut next = newest;
    let mut earlier = false;
    for result in found {
        let before = |later: SystemTime| later.duration_since(result.written).unwrap_or_default();
        earlier |= match started {
            Some(started) => before(started) > Duration::ZERO,
            None => before(next) > PAUSE,
        };
        next = result.written;
        if earlier {
            let minutes = before(newest).as_secs() / 60;
            result.reading = Reading::Stale(format!(
                "{} was written {minutes} min before the end of this run, by an earlier one",
                result.place.display()
            ));
        }
    }
}

fn by_id(found: Vec<FoundResult>) -> BTreeMap<String, Reading> {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, _) in found.iter().filter_map(|f| f.name.as_ref().ok()) {
        *ids.entry(id).or_default() += 1;
    }
    let mut readings: BTreeMap<String, Reading> = BTreeMap::new();
    for result in &found {
        let name = match &result.name {
            Err(_) => result.place.display().to_string(),
            Ok((id, directory)) if ids[id.as_str()] > 1 => format!("{id} ({directory})"),
            Ok((id, _)) => id.clone(),
        };
        readings
            .entry(name)
            .and_modify(|twice| {
                *twice = Reading::Broken(format!(
                    "{}: another directory holds the same benchmark",
                    result.place.display()
                ));
            })
            .or_insert_with(|| result.reading.clone());
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(iters: &[f64], times: &[f64]) -> Result<Time, String> {
        from_sample(&Sample {
            iters: iters.to_vec(),
            times: times.to_vec(),
        })
    }

    #[test]
    fn flat_and_linear_samples_give_times_per_operation() {
        let flat = sample(&[10.0; 3], &[100.0, 200.0, 300.0]).unwrap();
        let linear = sample(&[1.0, 2.0, 3.0], &[10.0, 40.0, 90.0]).unwrap();
        assert_eq!(flat, linear);
        assert_eq!((flat.median, flat.mean, flat.p10), (20.0, 20.0, 12.0));
    }

    #[test]
    fn samples_that_cannot_be_are_named() {
        for (iters, times, words) in [
            (vec![], vec![], "no samples"),
            (vec![1.0], vec![], "1 counts of iterations, 0 times"),
            (vec![0.0], vec![1.0], "0 iterations"),
            (vec![1.0], vec![0.0], "takes 0.0 ns"),
            (vec![1.0], vec![-3.0], "takes -3.0 ns"),
            (vec![1.0], vec![1e300], "takes 1e300 ns"),
            (vec![1.0], vec![f64::NAN], "takes NaN ns"),
            (vec![f64::INFINITY], vec![1.0], "inf iterations"),
        ] {
            let error = sample(&iters, &times).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    fn found(id: &str, directory: &str, minutes_ago: u64) -> FoundResult {
        FoundResult {
            place: PathBuf::from(format!("{directory}/new")),
            name: Ok((id.into(), directory.into())),
            written: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - 60 * minutes_ago),
            reading: Reading::Time(Time {
                median: 1.0,
                p10: 1.0,
                mean: 1.0,
                mean_error: 0.0,
                interval: None,
            }),
        }
    }

    #[test]
    fn one_id_in_two_directories_makes_two_rows() {
        let rows = by_id(vec![
            found("a/b", "a_b", 0),
            found("a/b", "a_b_2", 0),
            found("c", "c", 0),
        ]);
        assert_eq!(
            rows.keys().collect::<Vec<_>>(),
            ["a/b (a_b)", "a/b (a_b_2)", "c"]
        );
        let copies = by_id(vec![found("a", "a", 0), found("a", "a", 0)]);
        assert!(matches!(&copies["a (a)"], Reading::Broken(why) if why.contains("same benchmark")));
    }

    #[test]
    fn what_lies_before_a_pause_or_the_start_is_stale() {
        let mut results = [
            found("new", "n", 0),
            found("new2", "n2", 20),
            found("old", "o", 90),
        ];
        mark_stale(&mut results, None);
        let stale: Vec<bool> = results
            .iter()
            .map(|r| matches!(r.reading, Reading::Stale(_)))
            .collect();
        assert_eq!(stale, [false, false, true]);

        let mut results = [found("new", "n", 0), found("old", "o", 20)];
        let started = results[0].written - Duration::from_secs(60);
        mark_stale(&mut results, Some(started));
        assert!(matches!(&results[1].reading, Reading::Stale(why) if why.contains("20 min")));
        assert!(matches!(results[0].reading, Reading::Time(_)));
    }

    proptest! {
        #[test]
        fn any_sample_is_an_estimate_within_its_range_or_a_cause(
            pairs in prop::collection::vec((any::<f64>(), any::<f64>()), 0..50)
        ) {
            let (iters, times): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            if let Ok(time) = sample(&iters, &times) {
                prop_assert!(0.0 < time.p10 && time.p10 <= time.median && time.median <= LONGEST_NS);
            }
        }

        #[test]
        fn any_bytes_are_a_benchmark_or_a_cause(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            for file in ["benchmark.json", "sample.json", "estimates.json"] {
                fs::write(dir.path().join(file), &bytes).unwrap();
            }
            let results = read(&[dir.path().to_owned()], None);
            prop_assert_eq!(results.readings.len(), 1);
        }
    }
}
