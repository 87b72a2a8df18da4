//! What the artifacts of a strict run must hold to be evidence.

use std::fs;
use std::path::Path;

use super::artifact::{
    self, ArmProfile, Artifact, Compare, Label, SCHEMA, Suite, WORKLOADS, WorkloadRow,
};
use super::{manifest, place};
use crate::file;
use crate::host::Obstacle;
use crate::schema::{overhead, soak};
use crate::stats::Interval;

/// The artifacts of a run that agree with themselves and with each other.
pub struct StrictEvidence {
    /// Every workload.
    pub suite: Suite,
    /// Opens and connects, without and with the agent.
    pub profiles: Vec<ArmProfile>,
    /// The distribution.
    pub os_release: String,
    /// The file system of the file that was opened.
    pub fs_type: String,
}

/// The files in `place`: exactly those of the list, the measurements that they were made
/// from, and the digests of all.
///
/// # Errors
/// One is missing, or belongs to no strict run.
pub fn complete(place: &Path) -> Result<Vec<String>, Obstacle> {
    let again = format!(
        "probecost slo --overhead FILE --artifacts {}",
        place.display()
    );
    let listing = fs::read_dir(place).map_err(|e| unlistable(place, &e, &again))?;
    let mut found = Vec::new();
    for entry in listing {
        let name = entry
            .map_err(|e| unlistable(place, &e, &again))?
            .file_name();
        found.push(name.to_string_lossy().into_owned());
    }
    found.sort();
    let needed = Artifact::ALL.map(Artifact::name);
    let needed = needed.into_iter().chain([overhead::FILE, manifest::FILE]);
    let known = |name: &String| needed.clone().any(|n| n == name) || name == soak::FILE;
    let missing = needed
        .clone()
        .filter(|name| !found.iter().any(|f| f == name));
    let flaws: Vec<String> = missing
        .map(|name| format!("{} is missing", place.join(name).display()))
        .chain(
            found
                .iter()
                .filter(|name| !known(name))
                .map(|name| format!("{} belongs to no strict run", place.join(name).display())),
        )
        .collect();
    match flaws.is_empty() {
        true => Ok(found),
        false => Err(Obstacle::new(flaws.join("\n"), again)),
    }
}

fn unlistable(place: &Path, error: &std::io::Error, again: &str) -> Obstacle {
    Obstacle::new(format!("{}: {error}", place.display()), again)
}

impl StrictEvidence {
    /// Reads the artifacts in `place`, all but the reports.
    ///
    /// # Errors
    /// Everything that is wrong with them, a line each, with file and field.
    pub fn read(place: &Path) -> Result<Self, Obstacle> {
        let mut flaws = Flaws::default();
        let compare: Compare = read(place, Artifact::OpenCompare)?;
        let suite: Suite = read(place, Artifact::WorkloadSuite)?;
        let mut profiles = Vec::new();
        for (artifact, workload, label) in [
            (Artifact::OpenBaseline, "open_close", Label::Baseline),
            (Artifact::OpenWithAgent, "open_close", Label::WithAgent),
            (
                Artifact::ConnectBaseline,
                "connect_loopback",
                Label::Baseline,
            ),
            (
                Artifact::ConnectWithAgent,
                "connect_loopback",
                Label::WithAgent,
            ),
        ] {
            let profile: ArmProfile = read(place, artifact)?;
            let mut flaws = flaws.of(place, artifact);
            profile_holds(&profile, workload, label, &mut flaws);
            profile_agrees(&profile, &suite, &mut flaws);
            profiles.push(profile);
        }
        suite_holds(&suite, &mut flaws.of(place, Artifact::WorkloadSuite));
        compare_agrees(
            &compare,
            &suite,
            &mut flaws.of(place, Artifact::OpenCompare),
        );
        let os_release = artifact::text(place, Artifact::OsRelease)?;
        let fs_type = artifact::text(place, Artifact::FsType)?;
        for (artifact, wanted) in [
            (
                Artifact::KernelInfo,
                format!("release: {}\n", suite.host.kernel),
            ),
            (Artifact::CpuInfo, place::cpu(&suite.host)),
            (Artifact::OsRelease, "ID=".into()),
        ] {
            if !artifact::text(place, artifact)?.contains(&wanted) {
                let first = wanted.lines().next().unwrap_or_default();
                let cause = format!("does not say `{first}`, as the machine's facts elsewhere do");
                flaws.of(place, artifact).add("text", cause);
            }
        }
        if fs_type.trim().is_empty() {
            flaws
                .of(place, Artifact::FsType)
                .add("text", "is empty".into());
        }
        flaws.none()?;
        Ok(Self {
            suite,
            profiles,
            os_release,
            fs_type,
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(place: &Path, artifact: Artifact) -> Result<T, Obstacle> {
    file::read_json(&place.join(artifact.name()), "tools/strict-run")
}

fn profile_holds(profile: &ArmProfile, workload: &str, label: Label, flaws: &mut FlawsOf) {
    flaws.same("schema", &profile.schema, &SCHEMA);
    flaws.same("workload", &profile.workload.as_str(), &workload);
    flaws.same("label", &profile.label, &label);
    for (field, value) in [
        ("us_per_op", profile.us_per_op),
        ("p50_us", profile.p50_us),
        ("p95_us", profile.p95_us),
        ("p99_us", profile.p99_us),
    ] {
        flaws.positive(field, value);
    }
    if profile.p50_us > profile.p95_us {
        flaws.above("p50_us", profile.p50_us, "p95_us", profile.p95_us);
    }
    if profile.p95_us > profile.p99_us {
        flaws.above("p95_us", profile.p95_us, "p99_us", profile.p99_us);
    }
    flaws.enough("iterations", workload, profile.iterations);
    match (label, &profile.rung) {
        (Label::Baseline, Some(rung)) => {
            flaws.add("rung", format!("is {rung}, and the baseline has no agent"));
        }
        (Label::WithAgent, None) => flaws.add("rung", "is missing".into()),
        _ => {}
    }
    let seen = profile.events_per_op;
    let wanted = f64::from(u8::from(label == Label::WithAgent));
    if seen < wanted * MOST_LOST || (label == Label::Baseline && seen != 0.0) {
        flaws.add("events_per_op", format!("is {seen}, and must be {wanted}"));
    }
}

/// Events may be lost, and are judged; what was never seen is no measurement.
const MOST_LOST: f64 = 0.5;

fn profile_agrees(profile: &ArmProfile, suite: &Suite, flaws: &mut FlawsOf) {
    flaws.same("host", &profile.host, &suite.host);
    let rung = match profile.workload.as_str() {
        "open_close" => &suite.agent.open_rung,
        _ => &suite.agent.connect_rung,
    };
    if profile.rung.as_ref().is_some_and(|own| own != rung) {
        flaws.add(
            "rung",
            format!("is not {rung}, as in {}", Artifact::WorkloadSuite.name()),
        );
    }
    let row = suite
        .rows
        .iter()
        .find(|row| row.workload == profile.workload);
    if let Some(row) = row {
        let wanted = match profile.label {
            Label::Baseline => row.baseline_us_per_op,
            Label::WithAgent => row.with_agent_us_per_op,
        };
        flaws.same("us_per_op", &profile.us_per_op, &wanted);
    }
}

fn suite_holds(suite: &Suite, flaws: &mut FlawsOf) {
    flaws.same("schema", &suite.schema, &SCHEMA);
    let names: Vec<&str> = suite.rows.iter().map(|row| row.workload.as_str()).collect();
    flaws.same("rows", &names, &WORKLOADS.map(|(name, _)| name).to_vec());
    for (number, row) in suite.rows.iter().enumerate() {
        row_holds(&format!("rows[{number}]"), row, flaws);
    }
    for (field, value) in [
        ("agent.resident_bytes", suite.agent.resident_bytes as f64),
        ("agent.map_bytes", suite.agent.map_bytes as f64),
        ("agent.cpu_pct", suite.agent.cpu_pct),
    ] {
        flaws.positive(field, value);
    }
    for (number, check) in suite.soak.iter().flatten().enumerate() {
        flaws.ordered(&format!("soak[{number}].measured"), check.measured);
    }
}

fn row_holds(at: &str, row: &WorkloadRow, flaws: &mut FlawsOf) {
    for (field, value) in [
        ("baseline_us_per_op", row.baseline_us_per_op),
        ("with_agent_us_per_op", row.with_agent_us_per_op),
        ("events_per_op", row.events_per_op),
    ] {
        flaws.positive(&format!("{at}.{field}"), value);
    }
    flaws.ordered(&format!("{at}.overhead_pct"), row.overhead_pct);
    flaws.ordered(&format!("{at}.p95_ratio"), row.p95_ratio);
    flaws.enough(&format!("{at}.iterations"), &row.workload, row.iterations);
    if !(row.unsteady_pct.is_finite() && row.unsteady_pct >= 0.0) {
        flaws.add(
            &format!("{at}.unsteady_pct"),
            format!("is {}", row.unsteady_pct),
        );
    }
}

fn compare_agrees(compare: &Compare, suite: &Suite, flaws: &mut FlawsOf) {
    flaws.same("schema", &compare.schema, &SCHEMA);
    flaws.same("host", &compare.host, &suite.host);
    if suite.rows.first() != Some(&compare.open_close) {
        let name = Artifact::WorkloadSuite.name();
        flaws.add("open_close", format!("differs from rows[0] of {name}"));
    }
}

/// What is wrong, a line each.
#[derive(Default)]
struct Flaws(Vec<String>);

/// What is wrong with one file.
struct FlawsOf<'a> {
    flaws: &'a mut Flaws,
    file: String,
}

impl Flaws {
    fn of(&mut self, place: &Path, artifact: Artifact) -> FlawsOf<'_> {
        FlawsOf {
            flaws: self,
            file: place.join(artifact.name()).display().to_string(),
        }
    }

    fn none(self) -> Result<(), Obstacle> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Obstacle::new(
                self.0.join("\n"),
                "measure again: tools/strict-run",
            )),
        }
    }
}

impl FlawsOf<'_> {
    fn add(&mut self, field: &str, cause: String) {
        self.flaws
            .0
            .push(format!("{}: {field}: {cause}", self.file));
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, field: &str, found: &T, wanted: &T) {
        if found != wanted {
            self.add(field, format!("is {found:?}, and must be {wanted:?}"));
        }
    }

    fn above(&mut self, low: &str, low_value: f64, high: &str, high_value: f64) {
        self.add(
            low,
            format!("is {low_value}, above {high} with {high_value}"),
        );
    }

    fn positive(&mut self, field: &str, value: f64) {
        if !(value.is_finite() && value > 0.0) {
            self.add(field, format!("is {value}, and must be above 0"));
        }
    }

    fn ordered(&mut self, field: &str, interval: Interval) {
        let Interval { est, lo, hi } = interval;
        if !(lo <= est && est <= hi) {
            self.add(
                field,
                format!("lo {lo}, est {est} and hi {hi} are out of order"),
            );
        }
    }

    fn enough(&mut self, field: &str, workload: &str, iterations: u64) {
        let least = WORKLOADS.iter().find(|(name, _)| *name == workload);
        if let Some((_, least)) = least.filter(|(_, least)| iterations < *least) {
            self.add(
                field,
                format!("is {iterations}, and must be at least {least}"),
            );
        }
    }
}
