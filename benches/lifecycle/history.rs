//! The records of runs, kept in a file and read again: what a history of them costs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use jiff::Timestamp;
use probecost::file;
use probecost::host::{Host, Obstacle};
use probecost::schema::{ProbeTimes, RunRecord, SystemLoad};
use probecost_bench::fail;
use probecost_bench::turns::Turns;

/// Stores and reads so many records at once.
pub fn bench(criterion: &mut Criterion<Turns>) -> Result<(), Obstacle> {
    let place = tempfile::tempdir()
        .map_err(|error| Obstacle::new(error.to_string(), "set TMPDIR to a directory"))?;
    let path = place.path().join("runs.json");
    let host = Host::read().map_err(|error| Obstacle::new(error.to_string(), "mount /proc"))?;
    for count in [10, 100, 1000] {
        let all: Vec<RunRecord> = (0..count).map(|number| record(&host, number)).collect();
        let mut group = criterion.benchmark_group("history_store");
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                let text = serde_json::to_vec(black_box(&all)).expect("plain data");
                file::replace(&path, &text).unwrap_or_else(|obstacle| fail(&obstacle));
            });
        });
        group.finish();

        let text = serde_json::to_vec(&all).expect("plain data");
        file::replace(&path, &text)?;
        let mut group = criterion.benchmark_group("history_load");
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                file::read_json::<Vec<RunRecord>>(&path, "run this again")
                    .unwrap_or_else(|obstacle| fail(&obstacle))
            });
        });
        group.finish();
    }
    Ok(())
}

/// A record as `cargo compare run` leaves one.
fn record(host: &Host, number: u32) -> RunRecord {
    let times = ProbeTimes {
        before_ns: 100.0 + f64::from(number),
        after_ns: 101.0 + f64::from(number),
    };
    RunRecord {
        schema: RunRecord::SCHEMA,
        provenance: None,
        host: host.clone(),
        started: Timestamp::UNIX_EPOCH,
        seconds: f64::from(number),
        command: ["cargo", "bench"].map(String::from).into(),
        commit: Some(format!("{number:040x}")),
        dirty: false,
        edits: None,
        toolchain: None,
        surroundings: SystemLoad {
            steal_pct: Some(0.0),
            others_pct: Some(1.5),
            cpu_pressure_pct: None,
            load_before: Some(0.25),
            frequency_mhz: None,
        },
        probes: ["getppid", "stat"].map(|name| (name.into(), times)).into(),
        system_pct: (0..50)
            .map(|row| (format!("row/{row}"), f64::from(row)))
            .collect(),
        portion: None,
    }
}
