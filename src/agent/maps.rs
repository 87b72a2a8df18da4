//! What the programs and this process share: settings, counts, rules.

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuValues};

use super::counters::{Counters, Raw, Stats};
use super::ladder::Operation;
use super::object;
use super::record::FileId;
use super::rule::PathKey;
use super::settings::Settings;
use crate::host::Obstacle;

/// The maps of the agent's object.
pub(crate) struct Maps {
    settings: Array<MapData, Settings>,
    counters: PerCpuArray<MapData, Raw>,
    pub(super) path_rules: HashMap<MapData, u64, PathKey>,
    pub(super) inode_rules: HashMap<MapData, FileId, u32>,
    pub(super) cgroups: HashMap<MapData, u64, u32>,
}

impl Maps {
    pub(crate) fn take(ebpf: &mut Ebpf) -> Result<Self, Obstacle> {
        let mut take = |name| object::take_map(ebpf, name);
        Ok(Self {
            settings: take("SETTINGS")?.try_into().map_err(map_failed)?,
            counters: take("COUNTERS")?.try_into().map_err(map_failed)?,
            path_rules: take("PATH_RULES")?.try_into().map_err(map_failed)?,
            inode_rules: take("INODE_RULES")?.try_into().map_err(map_failed)?,
            cgroups: take("CGROUPS")?.try_into().map_err(map_failed)?,
        })
    }

    pub(crate) fn write(&mut self, settings: &Settings) -> Result<(), Obstacle> {
        self.settings.set(0, settings, 0).map_err(map_failed)
    }

    fn counters(&self, kind: u32) -> Result<Counters, Obstacle> {
        let per_cpu = self.counters.get(&kind, 0).map_err(map_failed)?;
        Ok(per_cpu
            .iter()
            .map(|&raw| Counters::from(raw))
            .fold(Counters::default(), |sum, one| sum + one))
    }

    pub(super) fn clear_counters(&mut self) -> Result<(), Obstacle> {
        for kind in 0..Operation::ALL.len() as u32 {
            let cpus = self.counters.get(&kind, 0).map_err(map_failed)?.len();
            let zeros = PerCpuValues::try_from(vec![Raw::ZERO; cpus])
                .map_err(|error| Obstacle::new(error.to_string(), "report this"))?;
            self.counters.set(kind, zeros, 0).map_err(map_failed)?;
        }
        Ok(())
    }

    /// The counts so far, of which the consumer has `received` so many.
    pub(crate) fn stats(&self, received: u64) -> Result<Stats, Obstacle> {
        Ok(Stats {
            open: self.counters(0)?,
            connect: self.counters(1)?,
            exec: self.counters(2)?,
            received,
        })
    }
}

/// The obstacle where a map cannot be read or written.
pub(crate) fn map_failed(error: MapError) -> Obstacle {
    Obstacle::new(
        format!("the agent cannot reach its maps: {error}"),
        "run as root, or with CAP_BPF",
    )
}
