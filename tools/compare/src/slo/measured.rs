//! A measurement as the overhead instrument left it, made into artifacts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use probecost::host::Host;
use probecost::stats::Interval;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::artifact::{
    Agent, Artifact, Compare, Label, Profile, Row, SCHEMA, SoakCheck, Suite, WORKLOADS,
};
use super::place;
use crate::failure::Failure;

/// The workload that the artifacts call connect_loopback.
const CONNECT: &str = "udp_connect";

/// `overhead.json`, as far as the artifacts need it, and the soak.
pub struct Measured {
    path: String,
    overhead: Overhead,
    soak: Option<Soak>,
}

#[derive(Deserialize)]
struct Overhead {
    host: Host,
    settings: Settings,
    agent: AgentReport,
    rows: Vec<Arm>,
    controls: Controls,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Settings {
    cpu: usize,
    consumer_cpu: Option<usize>,
    file: String,
}

#[derive(Deserialize)]
struct AgentReport {
    open: Hook,
    connect: Hook,
    footprint: Option<Footprint>,
    consumer_cpu_share: Option<f64>,
}

#[derive(Deserialize)]
struct Hook {
    rung: Option<String>,
}

#[derive(Deserialize)]
struct Footprint {
    resident: u64,
    maps: u64,
}

#[derive(Deserialize)]
struct Arm {
    workload: String,
    arm: String,
    ops: u64,
    ns_per_op: f64,
    p50_ns: f64,
    p95_ns: f64,
    p99_ns: f64,
    events_per_op: f64,
    drops: u64,
    vs_off: Option<Versus>,
    verdict: String,
    reason: String,
}

#[derive(Deserialize)]
struct Versus {
    ratio: Interval,
    p95_ratio: Interval,
}

#[derive(Deserialize)]
struct Controls {
    a_a: Option<OffAgainstOff>,
}

#[derive(Deserialize)]
struct OffAgainstOff {
    workloads: BTreeMap<String, Interval>,
}

#[derive(Deserialize)]
struct Soak {
    host: Host,
    checks: Vec<SoakCheck>,
    warnings: Vec<String>,
}

impl Measured {
    /// Reads `overhead.json`, and `soak.json` if there is one.
    pub fn read(overhead: &Path, soak: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self {
            path: overhead.display().to_string(),
            overhead: read(overhead, "cargo bench --bench overhead -- --require-agent")?,
            soak: soak.map(|soak| read(soak, "probecost soak")).transpose()?,
        })
    }

    /// Every artifact but the reports, with its text.
    pub fn artifacts(&self) -> Result<Vec<(Artifact, String)>, Failure> {
        let host = &self.overhead.host;
        self.taken_here()?;
        let rows = WORKLOADS
            .iter()
            .map(|(workload, _)| self.row(workload))
            .collect::<Result<Vec<Row>, Failure>>()?;
        let compare = Compare {
            schema: SCHEMA,
            host: host.clone(),
            open_close: rows[0].clone(),
        };
        let profile = |workload, label| self.profile(workload, label).map(|p| json(&p));
        let suite = self.suite(rows)?;
        Ok(vec![
            (Artifact::OpenCompare, json(&compare)),
            (
                Artifact::OpenBaseline,
                profile("open_close", Label::Baseline)?,
            ),
            (
                Artifact::OpenWithAgent,
                profile("open_close", Label::WithAgent)?,
            ),
            (
                Artifact::ConnectBaseline,
                profile("connect_loopback", Label::Baseline)?,
            ),
            (
                Artifact::ConnectWithAgent,
                profile("connect_loopback", Label::WithAgent)?,
            ),
            (Artifact::WorkloadSuite, json(&suite)),
            (Artifact::KernelInfo, place::kernel(host)?),
            (Artifact::OsRelease, place::os_release()?),
            (Artifact::CpuInfo, place::cpu(host)),
            (
                Artifact::FsType,
                place::file_system(Path::new(&suite.file))?,
            ),
        ])
    }

    /// What is read off the machine below must be this measurement's machine.
    fn taken_here(&self) -> Result<(), Failure> {
        let here = Host::read().map_err(|error| Failure::new(error.to_string()))?;
        let soak = self.soak.as_ref().map(|soak| ("the soak", &soak.host));
        let others = [("this machine", &here)].into_iter().chain(soak);
        for (name, other) in others {
            let difference = self.overhead.host.difference(other);
            if !difference.is_empty() {
                return Err(self.flaw(
                    "host",
                    format!("{name} is another: {}", difference.join("; ")),
                ));
            }
        }
        Ok(())
    }

    fn suite(&self, rows: Vec<Row>) -> Result<Suite, Failure> {
        let Overhead {
            host,
            settings,
            agent,
            warnings,
            ..
        } = &self.overhead;
        let missing = |field: &str| self.flaw(field, "is missing".into());
        let footprint = agent
            .footprint
            .as_ref()
            .ok_or_else(|| missing("agent.footprint"))?;
        let soaked = self.soak.as_ref().map(|soak| &soak.warnings);
        let soaked = soaked.into_iter().flatten();
        Ok(Suite {
            schema: SCHEMA,
            host: host.clone(),
            file: settings.file.clone(),
            cpu: settings.cpu,
            consumer_cpu: settings.consumer_cpu,
            rows,
            agent: Agent {
                open_rung: self.rung("open_close")?,
                connect_rung: self.rung("connect_loopback")?,
                resident_bytes: footprint.resident,
                map_bytes: footprint.maps,
                cpu_pct: agent
                    .consumer_cpu_share
                    .ok_or_else(|| missing("agent.consumer_cpu_share"))?
                    * 100.0,
            },
            soak: self.soak.as_ref().map(|soak| soak.checks.clone()),
            notes: warnings
                .iter()
                .cloned()
                .chain(soaked.map(|warning| format!("soak: {warning}")))
                .collect(),
        })
    }

    fn rung(&self, workload: &str) -> Result<String, Failure> {
        let (field, hook) = match workload {
            "connect_loopback" => ("agent.connect.rung", &self.overhead.agent.connect),
            _ => ("agent.open.rung", &self.overhead.agent.open),
        };
        hook.rung
            .clone()
            .ok_or_else(|| self.flaw(field, "no hook held".into()))
    }

    fn profile(&self, workload: &str, label: Label) -> Result<Profile, Failure> {
        let (arm, rung) = match label {
            Label::Baseline => (self.arm(workload, "off")?, None),
            Label::WithAgent => (self.arm(workload, "event")?, Some(self.rung(workload)?)),
        };
        Ok(Profile {
            schema: SCHEMA,
            workload: workload.into(),
            label,
            host: self.overhead.host.clone(),
            rung,
            iterations: arm.ops,
            us_per_op: arm.ns_per_op / 1e3,
            p50_us: arm.p50_ns / 1e3,
            p95_us: arm.p95_ns / 1e3,
            p99_us: arm.p99_ns / 1e3,
            events_per_op: arm.events_per_op,
        })
    }

    fn row(&self, workload: &str) -> Result<Row, Failure> {
        let (off, event) = (self.arm(workload, "off")?, self.arm(workload, "event")?);
        let versus = event.vs_off.as_ref().ok_or_else(|| {
            let why = format!("{workload}/event was not compared: {}", event.reason);
            self.flaw("rows", why)
        })?;
        let a_a = self
            .overhead
            .controls
            .a_a
            .as_ref()
            .and_then(|a_a| a_a.workloads.get(inner(workload)))
            .ok_or_else(|| self.flaw("controls.a_a", format!("has no {workload}")))?;
        Ok(Row {
            workload: workload.into(),
            iterations: event.ops,
            baseline_us_per_op: off.ns_per_op / 1e3,
            with_agent_us_per_op: event.ns_per_op / 1e3,
            overhead_pct: versus.ratio.map(|ratio| (ratio - 1.0) * 100.0),
            p95_ratio: versus.p95_ratio,
            unsteady_pct: (a_a.hi - 1.0).abs().max((a_a.lo - 1.0).abs()) * 100.0,
            events_per_op: event.events_per_op,
            drops: event.drops,
        })
    }

    fn arm(&self, workload: &str, arm: &str) -> Result<&Arm, Failure> {
        let found = self
            .overhead
            .rows
            .iter()
            .find(|row| row.workload == inner(workload) && row.arm == arm);
        match found {
            Some(row) if ["skipped", "broken", "harness_error"].contains(&row.verdict.as_str()) => {
                Err(self.flaw(
                    "rows",
                    format!("{workload}/{arm} has no numbers: {}", row.reason),
                ))
            }
            Some(row) => Ok(row),
            None => Err(self.flaw("rows", format!("there is no {}/{arm}", inner(workload)))),
        }
    }

    fn flaw(&self, field: &str, cause: String) -> Failure {
        Failure::new(format!("{}: {field}: {cause}", self.path))
            .remedy("cargo bench --bench overhead -- --require-agent")
    }
}

/// What the instrument calls a workload of the artifacts.
fn inner(workload: &str) -> &str {
    match workload {
        "connect_loopback" => CONNECT,
        same => same,
    }
}

fn read<T: DeserializeOwned>(path: &Path, again: &str) -> Result<T, Failure> {
    let text = fs::read_to_string(path).map_err(|e| Failure::at(path, e).remedy(again))?;
    parse(path, &text).map_err(|failure| failure.remedy(again))
}

/// Reads JSON; an error names the field.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Failure::at(path, format!("{}: {}", error.path(), error.inner())))
}

fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("artifacts are plain data");
    text + "\n"
}
