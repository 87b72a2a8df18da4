//! The machine, as every document describes it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A machine, as far as it bears on how long things take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// The CPU's name as it gives it, or its numbers on arm64.
    pub cpu_model: String,
    /// Online processors.
    pub cores: usize,
    /// Memory that the kernel has, in bytes.
    pub memory_bytes: u64,
    /// The kernel's release, e.g. `6.12.48-amd64`.
    pub kernel: String,
    /// The hypervisor, if there is one.
    pub virtualisation: Virtualisation,
    /// The frequency governor, several joined by ` + `; `None` without cpufreq.
    pub governor: Option<String>,
    /// What the kernel's clock reads, e.g. `tsc`.
    pub clock_source: Option<String>,
    /// Each CPU vulnerability that the kernel knows, and what is done about it.
    pub mitigations: BTreeMap<String, String>,
    /// Whether threads share cores, where the kernel says.
    pub smt: Option<bool>,
    /// Whether the CPU may exceed its base frequency, where the kernel says.
    pub turbo: Option<bool>,
}

impl Host {
    /// The name under which machines count as the same, safe as a file's name, e.g.
    /// `intel-xeon-processor-2c-6.18-kvm`.
    pub fn class(&self) -> String {
        self.traits().map(|t| t.slug).join("-")
    }

    /// Why `other` is not of the same class: a reason for each trait that differs,
    /// with `self` named first; empty where it is.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        self.traits()
            .into_iter()
            .zip(other.traits())
            .filter(|(ours, theirs)| ours.slug != theirs.slug)
            .map(|(ours, theirs)| {
                let Trait { name, words, .. } = ours;
                format!("{name}: {words} against {}", theirs.words)
            })
            .collect()
    }

    /// How `other`, of the same class, is kept differently where it changes times: a reason
    /// for each setting that both know and that differs, with `self` named first.
    pub fn kept_differently(&self, other: &Self) -> Vec<String> {
        let settings = self.settings().into_iter().zip(other.settings());
        let mut reasons: Vec<String> = settings
            .filter_map(|((name, ours), (_, theirs))| {
                let (ours, theirs) = (ours?, theirs?);
                (ours != theirs).then(|| format!("{name}: {ours} against {theirs}"))
            })
            .collect();
        // A newer kernel knows more vulnerabilities; of those that both know.
        for (vulnerability, ours) in &self.mitigations {
            if let Some(theirs) = other.mitigations.get(vulnerability)
                && ours != theirs
            {
                reasons.push(format!("{vulnerability}: {ours} against {theirs}"));
            }
        }
        reasons
    }

    /// Why times of `other` cannot be held against its own: it is of another class, or kept
    /// differently; empty where they can.
    pub fn unlike(&self, other: &Self) -> Vec<String> {
        match self.class() == other.class() {
            true => self.kept_differently(other),
            false => self.difference(other),
        }
    }

    /// What changes times and this machine does not say.
    pub fn unknown_settings(&self) -> Vec<&'static str> {
        let settings = self.settings().into_iter();
        let mut unknown: Vec<_> = settings
            .filter_map(|(name, setting)| setting.is_none().then_some(name))
            .collect();
        if self.mitigations.is_empty() {
            unknown.push("mitigations");
        }
        unknown
    }

    fn settings(&self) -> [(&'static str, Option<String>); 3] {
        let switch = |on: Option<bool>| on.map(|on| if on { "on" } else { "off" }.to_owned());
        [
            ("governor", self.governor.clone()),
            ("SMT", switch(self.smt)),
            ("turbo", switch(self.turbo)),
        ]
    }

    /// What the class is made of.
    fn traits(&self) -> [Trait; 4] {
        let bare = self.virtualisation == Virtualisation::None;
        [
            Trait {
                name: "CPU model",
                words: self.cpu_model.clone(),
                slug: slug(&self.cpu_model),
            },
            Trait {
                name: "cores",
                words: self.cores.to_string(),
                slug: format!("{}c", self.cores),
            },
            Trait {
                name: "kernel",
                words: self.kernel.clone(),
                slug: kernel_version(&self.kernel).map_or_else(
                    || slug(&self.kernel),
                    |(major, minor)| format!("{major}.{minor}"),
                ),
            },
            Trait {
                name: "virtualisation",
                words: self.virtualisation.to_string(),
                slug: if bare {
                    "bare".to_owned()
                } else {
                    slug(&self.virtualisation.to_string())
                },
            },
        ]
    }
}

/// A part of the host class: for people in words, for file names as a slug.
struct Trait {
    name: &'static str,
    words: String,
    slug: String,
}

/// A kernel's release to the minor: (6, 18) of `6.18.44-cloud` and of `6.18-rc1`.
pub fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Lower case letters, digits and dots, all else a dash, without trade marks.
fn slug(words: &str) -> String {
    let words = words
        .to_lowercase()
        .replace("(r)", " ")
        .replace("(tm)", " ");
    words
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// What stands between the kernel and the metal. In JSON one string: `none`, or the
/// hypervisor's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", from = "String")]
#[schemars(with = "String")]
pub enum Virtualisation {
    /// Nothing.
    None,
    /// A hypervisor, by its name, e.g. `kvm`; `unknown` if it does not give one.
    Hypervisor(String),
}

impl fmt::Display for Virtualisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Virtualisation::None => f.write_str("none"),
            Virtualisation::Hypervisor(name) => f.write_str(name),
        }
    }
}

impl From<Virtualisation> for String {
    fn from(virtualisation: Virtualisation) -> Self {
        virtualisation.to_string()
    }
}

impl From<String> for Virtualisation {
    fn from(name: String) -> Self {
        match name.as_str() {
            "none" => Virtualisation::None,
            _ => Virtualisation::Hypervisor(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_version() {
        for (release, expected) in [
            ("6.18.44-cloud", Some((6, 18))),
            ("6.1.0-13-amd64", Some((6, 1))),
            ("6.18-rc1", Some((6, 18))),
            ("6.8", Some((6, 8))),
            ("6", None),
            ("six", None),
            ("99999999999.1", None),
            ("", None),
        ] {
            assert_eq!(kernel_version(release), expected);
        }
    }
}
