//! Criterion homes made to measure, and the binary run on them.

#![allow(dead_code, reason = "each test target uses its own part of this")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "../../../../tests/support/program.rs"]
mod program;

pub use program::program;

/// Eleven small distances from the middle, as runs have them.
const WOBBLE: [f64; 11] = [
    0.12, -0.63, 0.94, -0.22, 0.37, -0.91, 0.02, 0.61, -0.43, 0.23, -0.13,
];

/// The executable `new` held against `old`.
pub const DUET: [&str; 5] = ["duet", "--bin-base", "old", "--bin-head", "new"];

/// What each row of a verdict came to.
pub fn statuses(verdict: &Value) -> BTreeMap<String, String> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = verdict["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| (word(&row["id"]), word(&row["status"])))
        .collect()
}

/// A directory that a test works in.
pub struct Place(TempDir);

impl Place {
    /// An empty one, which other users may read as well.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), mode).unwrap();
        Self(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `compare` with these arguments, here.
    pub fn compare(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-compare"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("GITHUB_STEP_SUMMARY");
        command
    }

    /// A baseline `b.json` of ten runs in `old`, of these benchmarks.
    pub fn baseline(&self, benches: &[Bench]) {
        self.runs("old", 10, benches);
        self.compare(&["refresh", "--run", "old", "--out", "b.json"])
            .exits(0);
    }

    /// `check` of five runs in `now`, of these benchmarks, against `b.json`.
    pub fn check(&self, benches: &[Bench], more: &[&str]) -> Ran {
        self.runs("now", 5, benches);
        self.compare(&[&["check", "--baseline", "b.json", "--run", "now"], more].concat())
    }

    /// Runs as `compare run` leaves them, on the machine [`host`].
    pub fn runs(&self, name: &str, count: usize, benches: &[Bench]) {
        let dir = self.path(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        for k in 1..=count {
            let run = dir.join(k.to_string());
            fs::create_dir_all(&run).unwrap();
            for bench in benches {
                bench.write(&run, k);
            }
            fs::write(run.join("host.json"), record(&host()).to_string()).unwrap();
        }
    }

    /// Beside each of these runs, the figures of one bench.
    pub fn figures(&self, name: &str, rows: &Value) {
        for run in fs::read_dir(self.path(name)).unwrap() {
            let dir = run.unwrap().path().join("figures");
            fs::create_dir(&dir).unwrap();
            let file = json!({"schema": 1, "host": null, "rows": rows});
            fs::write(dir.join("event_processing.json"), file.to_string()).unwrap();
        }
    }
}

/// A figure that is exact.
pub fn figure(id: &str, unit: &str, value: f64) -> Value {
    json!({"id": id, "unit": unit, "est": value, "lo": value, "hi": value})
}

/// A benchmark as a fixture: where its runs lie, and how far apart.
#[derive(Clone)]
pub struct Bench {
    id: String,
    directory: String,
    ns: f64,
    percent: f64,
    quick: f64,
    linear: bool,
    throughput: Value,
}

/// A benchmark whose runs lie around `ns`, up to 1 % apart.
pub fn bench(id: &str, ns: f64) -> Bench {
    Bench {
        id: id.into(),
        directory: id.replace('/', "_"),
        ns,
        percent: 1.0,
        quick: 0.99,
        linear: true,
        throughput: Value::Null,
    }
}

impl Bench {
    /// Runs up to `percent` apart.
    pub fn noisy(self, percent: f64) -> Self {
        Self { percent, ..self }
    }

    /// Taking so many times as long.
    pub fn slower(self, factor: f64) -> Self {
        let ns = self.ns * factor;
        Self { ns, ..self }
    }

    /// Quick samples at this share of the median.
    pub fn quick(self, quick: f64) -> Self {
        Self { quick, ..self }
    }

    /// Sampled flat: the same number of iterations in every sample.
    pub fn flat(self) -> Self {
        Self {
            linear: false,
            ..self
        }
    }

    /// In a directory of this name.
    pub fn directory(self, name: &str) -> Self {
        Self {
            directory: name.into(),
            ..self
        }
    }

    /// With a throughput, as Criterion writes it.
    pub fn throughput(self, throughput: Value) -> Self {
        Self { throughput, ..self }
    }

    /// Writes the result of run number `k` into a Criterion home.
    pub fn write(&self, home: &Path, k: usize) {
        let dir = home.join(&self.directory).join("new");
        fs::create_dir_all(&dir).unwrap();
        let median = self.ns * (1.0 + self.percent / 100.0 * WOBBLE[k % WOBBLE.len()]);
        // A fifth of the samples are quick, so that the 10 % quantile is.
        let samples: Vec<(f64, f64)> = (1..=20)
            .map(|i| {
                let iters = if self.linear {
                    10.0 * f64::from(i)
                } else {
                    10.0
                };
                let share = if i % 5 == 0 { self.quick } else { 1.0 };
                (iters, iters * median * share)
            })
            .collect();
        let (iters, times): (Vec<f64>, Vec<f64>) = samples.into_iter().unzip();
        let mode = if self.linear { "Linear" } else { "Flat" };
        let sample = json!({"sampling_mode": mode, "iters": iters, "times": times});
        let benchmark = json!({
            "group_id": self.id, "function_id": null, "value_str": null,
            "throughput": self.throughput, "full_id": self.id,
            "directory_name": self.directory, "title": self.id,
        });
        fs::write(dir.join("sample.json"), sample.to_string()).unwrap();
        fs::write(dir.join("benchmark.json"), benchmark.to_string()).unwrap();
    }
}

/// The machine that fixtures are measured on.
pub fn host() -> Value {
    json!({
        "cpu_model": "Example CPU", "cores": 2, "memory_bytes": 1, "kernel": "6.12.1",
        "virtualisation": "kvm", "governor": null, "clock_source": "tsc",
        "mitigations": {}, "smt": null, "turbo": null,
    })
}

/// What `compare run` notes of a run on this machine.
pub fn record(host: &Value) -> Value {
    json!({
        "host": host, "started": "2020-01-01T00:00:00Z", "seconds": 1.0, "command": ["x"],
        "commit": null, "dirty": false, "toolchain": null,
        "probes": {}, "system_pct": {},
        "surroundings": {
            "steal_pct": 0.0, "others_pct": 0.0, "cpu_pressure_pct": null,
            "load_before": null, "frequency_mhz": null,
        },
    })
}

/// A bench executable: what Criterion's command line promises, and nothing measured. It
/// has the benchmarks in `ids`; `body` may set `ns` by `$id` and by `$k`, the number of
/// this process among those of its side.
pub fn executable(place: &Place, name: &str, ids: &str, body: &str) {
    let script = format!(
        r#"#!/bin/bash
if [[ " $* " == *" --list "* ]]; then
    [[ -n ${{TURNS:-}} && -n ${{PROBECOST_TURNS:-}} ]] && printf 'turns 2\n' >&"${{PROBECOST_TURNS#*,}}"
    for id in {ids}; do ((${{#id}} > 100)) && id=${{id:0:100}}...; echo "$id: benchmark"; done
    exit
fi
filter=${{!#}}
filter=${{filter//\(\?:/(}}
echo . >>{name}.count
k=$(wc -l <{name}.count)
for id in {ids}; do
[[ $id =~ $filter ]] || continue
ns=1000
{body}
echo "Benchmarking $id: Warming up for 50.000 ms" >&2
samples=""
for i in 1 2 3 4 5; do
    if [[ -n ${{TURNS:-}} && -n ${{PROBECOST_TURNS:-}} ]]; then
        [[ $i == 1 ]] && printf 'turns 2\n' >&"${{PROBECOST_TURNS#*,}}"
        printf r >&"${{PROBECOST_TURNS#*,}}"
        read -r -N1 -u "${{PROBECOST_TURNS%,*}}" go || exit 9
        echo "{name} begins" >>blocks
        echo "{name} ends" >>blocks
    fi
    samples+="$((ns * 100 + (k * 7 + i) % 11)),"
done
new=$CRITERION_HOME/${{id//\//_}}/new
mkdir -p "$new"
echo "{{\"full_id\":\"$id\",\"directory_name\":\"x\"}}" >"$new/benchmark.json"
echo "{{\"iters\":[100,100,100,100,100],\"times\":[${{samples%,}}]}}" >"$new/sample.json"
echo "Benchmarking $id: Analyzing" >&2
done
"#
    );
    let path = place.path(name);
    program(&path, script);
}

/// What a process left.
pub struct Ran {
    pub exit: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(mut command: Command) -> Self {
        Self::of_output(command.output().unwrap())
    }

    fn of_output(output: Output) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            exit: status.code(),
            out: text(stdout),
            err: text(stderr),
        }
    }

    /// Of a command that `signal` reaches as soon as the file `sign` is there.
    pub fn signalled(
        mut command: Command,
        sign: &Path,
        signal: impl FnOnce(Pid) -> rustix::io::Result<()>,
    ) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !sign.exists() {
            assert_eq!(child.try_wait().unwrap(), None, "ended before the signal");
            thread::sleep(Duration::from_millis(10));
        }
        signal(Pid::from_child(&child)).unwrap();
        Self::of_output(child.wait_with_output().unwrap())
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.exit,
            Some(code),
            "out: {}\nerr: {}",
            self.out,
            self.err
        );
        self
    }

    /// Ends with code 2, names this file, and this cause.
    #[track_caller]
    pub fn breaks(self, file: &str, cause: &str) {
        let ran = self.exits(2);
        let said = ran.err + &ran.out;
        assert!(
            said.contains(file) && said.contains(cause),
            "{file}, {cause}: {said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }

    /// The row of this id.
    #[track_caller]
    pub fn row(&self, id: &str) -> Value {
        let verdict = self.json();
        let rows = verdict["rows"].as_array().unwrap();
        let row = rows.iter().find(|r| r["id"] == id);
        row.unwrap_or_else(|| panic!("no {id} in {}", self.out))
            .clone()
    }
}

/// Holds `text` to the file of that name; `UPDATE_GOLDEN=1` writes it instead.
#[track_caller]
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text, expected,
        "{name} differs; UPDATE_GOLDEN=1 cargo test takes it over"
    );
}
