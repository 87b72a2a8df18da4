//! Choices in how our agent is set, whose settings are arms to compare.

use std::path::{Path, PathBuf};

use super::own::{Knobs, OwnMode};
use super::spec::Spec;
use crate::agent::Wakeup;
use crate::host::Obstacle;

/// A choice in how our agent is set, whose settings are arms to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knob {
    /// The size of the ring.
    Ring,
    /// When the consumer is woken.
    Wakeup,
    /// How many calls make one event.
    Sample,
    /// Rules by path against rules by inode.
    Rules,
    /// The program's cgroup against all processes.
    Scope,
    /// The size of an allow-list of cgroups.
    Allow,
    /// Events counted by process, path and cgroup, or not.
    Detail,
}

/// Rules in a sweep: as many as a policy may hold with room to spare.
const RULES: usize = 1000;

impl Knob {
    /// Its settings, laid over `knobs`: a name and a mode for each. `others` are cgroups of
    /// nobody.
    fn settings(self, knobs: &Knobs, others: &[PathBuf]) -> Vec<(&'static str, OwnMode, Knobs)> {
        let with = |change: &dyn Fn(&mut Knobs)| {
            let mut changed = knobs.clone();
            change(&mut changed);
            changed
        };
        match self {
            Self::Ring => vec![
                (
                    "ring=64K",
                    OwnMode::Event,
                    with(&|k| k.options.ring_bytes = 64 << 10),
                ),
                (
                    "ring=8M",
                    OwnMode::Event,
                    with(&|k| k.options.ring_bytes = 8 << 20),
                ),
            ],
            Self::Wakeup => vec![
                (
                    "wakeup=never",
                    OwnMode::Event,
                    with(&|k| k.options.wakeup = Wakeup::Never),
                ),
                (
                    "wakeup=default",
                    OwnMode::Event,
                    with(&|k| k.options.wakeup = Wakeup::Default),
                ),
            ],
            Self::Sample => vec![
                ("sample=1", OwnMode::Event, with(&|k| k.options.sample = 1)),
                (
                    "sample=10",
                    OwnMode::Event,
                    with(&|k| k.options.sample = 10),
                ),
                (
                    "sample=100",
                    OwnMode::Event,
                    with(&|k| k.options.sample = 100),
                ),
            ],
            // Nothing matches, so that looking for a match is all they do.
            Self::Rules => vec![
                ("rules=path", OwnMode::Hook, with(&|k| k.path_rules = RULES)),
                (
                    "rules=inode",
                    OwnMode::Hook,
                    with(&|k| k.inode_rules = RULES),
                ),
            ],
            Self::Scope => vec![
                ("scope=cgroup", OwnMode::Event, knobs.clone()),
                ("scope=all", OwnMode::Event, knobs.clone()),
            ],
            Self::Allow => vec![
                (
                    "allow=1",
                    OwnMode::Event,
                    with(&|k| k.allow = Some(Vec::new())),
                ),
                (
                    "allow=100",
                    OwnMode::Event,
                    with(&|k| k.allow = Some(others.to_vec())),
                ),
            ],
            Self::Detail => vec![
                ("detail=off", OwnMode::Event, with(&|k| k.detail = false)),
                ("detail=on", OwnMode::Event, with(&|k| k.detail = true)),
            ],
        }
    }

    /// An arm for each of its settings, and what it is set to; `program` is the program's
    /// cgroup, `others` are those of nobody.
    pub fn specs(
        self,
        knobs: &Knobs,
        program: Option<&Path>,
        others: &[PathBuf],
    ) -> Result<Vec<(Spec, Knobs)>, Obstacle> {
        let spec = |(name, mode, knobs): (&str, OwnMode, Knobs)| {
            let cgroup = program.filter(|_| name != "scope=all");
            let spec = mode.spec(&knobs, cgroup, None)?;
            let name = name.into();
            Ok((Spec { name, ..spec }, knobs))
        };
        self.settings(knobs, others).into_iter().map(spec).collect()
    }
}

impl std::str::FromStr for Knob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ring" => Ok(Self::Ring),
            "wakeup" => Ok(Self::Wakeup),
            "sample" => Ok(Self::Sample),
            "rules" => Ok(Self::Rules),
            "scope" => Ok(Self::Scope),
            "allow" => Ok(Self::Allow),
            "detail" => Ok(Self::Detail),
            _ => Err("a knob is ring, wakeup, sample, rules, scope, allow or detail".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_every_knob_is_an_arm_of_its_own_name() {
        let mut names = Vec::new();
        let cgroup = Some(Path::new("/sys/fs/cgroup/program"));
        for knob in [
            "ring", "wakeup", "sample", "rules", "scope", "allow", "detail",
        ] {
            let knob: Knob = knob.parse().unwrap();
            for (spec, _) in knob.specs(&Knobs::default(), cgroup, &[]).unwrap() {
                assert!(!names.contains(&spec.name), "{}", spec.name);
                names.push(spec.name);
            }
        }
        assert_eq!(names.len(), 15);
        assert!("rng".parse::<Knob>().is_err());
    }
}
