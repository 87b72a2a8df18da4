//! A measurement as the overhead instrument left it, made into artifacts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::artifact::{
    AgentUsage, ArmProfile, Artifact, Compare, Label, MEASUREMENTS, SCHEMA, Suite, WORKLOADS,
    WorkloadRow,
};
use super::{made, manifest, place};
use crate::file;
use crate::host::Obstacle;
use crate::schema::overhead::{self, OverheadReport, OverheadRow};
use crate::schema::soak::{self, SoakReport};
use crate::schema::{Host, Outcome, OverheadArm, Provenance};

/// How to get a measurement.
const MEASURE_AGAIN: &str = "probecost overhead --require-agent";

/// The workload that the artifacts call connect_loopback.
const CONNECT: &str = "udp_connect";

/// `overhead.json` and, if one belongs to the run, `soak.json`.
pub struct StrictMeasured {
    path: String,
    /// What the agent costs.
    pub overhead: OverheadReport,
    /// What it does under a load held for long.
    pub soak: Option<SoakReport>,
    /// The files, by the names that they have beside the artifacts.
    pub files: BTreeMap<&'static str, Vec<u8>>,
}

/// The texts of [`Artifact::OF_THE_MACHINE`].
pub type MachineTexts = Vec<(Artifact, String)>;

impl StrictMeasured {
    /// Reads `overhead.json`, and `soak.json` if there is one.
    pub fn read(overhead: &Path, soak: Option<&Path>) -> Result<Self, Obstacle> {
        let mut files = BTreeMap::new();
        let paths = [Some(overhead), soak];
        for (name, path) in MEASUREMENTS.into_iter().zip(paths) {
            if let Some(path) = path {
                let bytes = fs::read(path).map_err(|error| {
                    Obstacle::new(format!("{}: {error}", path.display()), MEASURE_AGAIN)
                })?;
                files.insert(name, bytes);
            }
        }
        Ok(Self {
            path: overhead.display().to_string(),
            overhead: file::read_json(overhead, MEASURE_AGAIN)?,
            soak: soak
                .map(|soak| file::read_json(soak, "probecost soak"))
                .transpose()?,
            files,
        })
    }

    /// What lies beside the artifacts in `place`.
    pub fn beside(place: &Path) -> Result<Self, Obstacle> {
        let [overhead, soak] = MEASUREMENTS.map(|name| place.join(name));
        Self::read(&overhead, soak.exists().then_some(&*soak))
    }

    /// Every artifact but the reports, with its text; those that say what this machine is
    /// are read off it.
    pub fn artifacts(&self) -> Result<Vec<(Artifact, String)>, Obstacle> {
        self.taken_here()?;
        let mut machine = MachineTexts::new();
        for artifact in Artifact::OF_THE_MACHINE {
            let text = match artifact {
                Artifact::KernelInfo => place::kernel(&self.overhead.host)?,
                _ => place::os_release()?,
            };
            let text = made::headed(self.overhead.provenance.as_ref(), &text);
            machine.push((artifact, text));
        }
        let mut all = self.derived(&machine)?;
        all.extend(machine);
        Ok(all)
    }

    /// The artifacts that follow from the measurement, and hold the digests of what the
    /// machine says of itself.
    pub fn derived(&self, machine: &MachineTexts) -> Result<Vec<(Artifact, String)>, Obstacle> {
        let OverheadReport {
            host, provenance, ..
        } = &self.overhead;
        let rows = WORKLOADS
            .iter()
            .map(|(workload, _)| self.row(workload))
            .collect::<Result<Vec<WorkloadRow>, Obstacle>>()?;
        let compare = Compare {
            schema: SCHEMA,
            provenance: provenance.clone(),
            host: host.clone(),
            open_close: rows[0].clone(),
        };
        let profile = |workload, label| self.profile(workload, label).map(|p| json(&p));
        let suite = self.suite(rows, machine)?;
        let headed = |text: String| made::headed(provenance.as_ref(), &text);
        self.of_a_commit()?;
        let places = &self.overhead.settings.places;
        if places.is_empty() {
            return Err(self.flaw("settings.places", "is missing".into()));
        }
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
            (Artifact::CpuInfo, headed(place::cpu(host))),
            (Artifact::FsType, headed(place::file_systems(places))),
        ])
    }

    /// What nobody could measure again is no evidence; nor is what is of two programs.
    fn of_a_commit(&self) -> Result<(), Obstacle> {
        let flaw = |file: &str, cause: &str| {
            let why = format!("{file}: provenance.commit: {cause}");
            Obstacle::new(why, "tools/strict-run, in a work tree of git")
        };
        let commit = |file: &str, provenance: &Option<Provenance>| {
            let known = provenance.as_ref().filter(|of| of.commit.is_some());
            let missing = "is missing: git found no work tree around the program, nor one of this \
                           project where it was started";
            known.map(made::commit).ok_or_else(|| flaw(file, missing))
        };
        let one = commit(overhead::FILE, &self.overhead.provenance)?;
        let Some(soak) = &self.soak else {
            return Ok(());
        };
        let other = commit(soak::FILE, &soak.provenance)?;
        if other == one {
            return Ok(());
        }
        let cause = format!("{other}, and {} is of {one}", overhead::FILE);
        Err(flaw(soak::FILE, &cause))
    }

    /// What is read off the machine below must be this measurement's machine.
    fn taken_here(&self) -> Result<(), Obstacle> {
        let here = Host::read().map_err(|error| self.flaw("host", error.to_string()))?;
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

    fn suite(&self, rows: Vec<WorkloadRow>, machine: &MachineTexts) -> Result<Suite, Obstacle> {
        let OverheadReport {
            provenance,
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
        let digest = |name: &str, bytes: &[u8]| (name.to_owned(), manifest::digest(bytes));
        let measured = self.files.iter().map(|(name, bytes)| digest(name, bytes));
        let of_the_machine = machine
            .iter()
            .map(|(artifact, text)| digest(artifact.name(), text.as_bytes()));
        Ok(Suite {
            schema: SCHEMA,
            provenance: provenance.clone(),
            sources: measured.chain(of_the_machine).collect(),
            host: host.clone(),
            file: settings.file.display().to_string(),
            cpu: settings.cpu,
            consumer_cpu: settings.consumer_cpu,
            rows,
            agent: AgentUsage {
                open_rung: self.rung("open_close")?,
                connect_rung: self.rung("connect_loopback")?,
                resident_bytes: footprint.resident,
                map_bytes: footprint.maps,
                cpu_pct: agent
                    .consumer_cpu_share
                    .ok_or_else(|| missing("agent.consumer_cpu_share"))?
                    * 100.0,
            },
            soak_load: self.soak.as_ref().map(|soak| soak.settings.load),
            soak: self.soak.as_ref().map(|soak| soak.checks.clone()),
            notes: warnings
                .iter()
                .cloned()
                .chain(soaked.map(|warning| format!("soak: {warning}")))
                .collect(),
        })
    }

    fn rung(&self, workload: &str) -> Result<String, Obstacle> {
        let (field, hook) = match workload {
            "connect_loopback" => ("agent.connect.rung", &self.overhead.agent.connect),
            _ => ("agent.open.rung", &self.overhead.agent.open),
        };
        hook.rung
            .clone()
            .ok_or_else(|| self.flaw(field, "no hook held".into()))
    }

    fn profile(&self, workload: &str, label: Label) -> Result<ArmProfile, Obstacle> {
        let (arm, rung) = match label {
            Label::Baseline => (self.arm(workload, OverheadArm::Off)?, None),
            Label::WithAgent => (
                self.arm(workload, OverheadArm::Event)?,
                Some(self.rung(workload)?),
            ),
        };
        Ok(ArmProfile {
            schema: SCHEMA,
            workload: workload.into(),
            label,
            provenance: self.overhead.provenance.clone(),
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

    fn row(&self, workload: &str) -> Result<WorkloadRow, Obstacle> {
        let (off, event) = (
            self.arm(workload, OverheadArm::Off)?,
            self.arm(workload, OverheadArm::Event)?,
        );
        for row in [off, event] {
            if row.observations.is_empty() {
                return Err(self.flaw(
                    "rows",
                    format!("{workload}/{} has no observations", row.arm),
                ));
            }
        }
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
        Ok(WorkloadRow {
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

    fn arm(&self, workload: &str, arm: OverheadArm) -> Result<&OverheadRow, Obstacle> {
        let found = self
            .overhead
            .rows
            .iter()
            .find(|row| row.workload == inner(workload) && row.arm == arm);
        match found {
            Some(row) if matches!(row.verdict, Outcome::Skipped | Outcome::Broken) => Err(self
                .flaw(
                    "rows",
                    format!("{workload}/{arm} has no numbers: {}", row.reason),
                )),
            Some(row) => Ok(row),
            None => Err(self.flaw("rows", format!("there is no {}/{arm}", inner(workload)))),
        }
    }

    fn flaw(&self, field: &str, cause: String) -> Obstacle {
        Obstacle::new(format!("{}: {field}: {cause}", self.path), MEASURE_AGAIN)
    }
}

/// What the instrument calls a workload of the artifacts.
fn inner(workload: &str) -> &str {
    match workload {
        "connect_loopback" => CONNECT,
        same => same,
    }
}

fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("artifacts are plain data");
    text + "\n"
}
