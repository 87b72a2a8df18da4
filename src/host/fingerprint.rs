//! Which machine this is.

use std::collections::{BTreeMap, BTreeSet};

use super::cpuinfo;
use super::files::{Files, Unreadable};
use super::virtualisation;
use crate::schema::Host;

impl Host {
    /// This machine.
    pub fn read() -> Result<Self, Unreadable> {
        Self::from_files(&Files::of_this_machine())
    }

    fn from_files(files: &Files) -> Result<Self, Unreadable> {
        let cpu = files.required("proc/cpuinfo", "no processor line", cpuinfo::parse)?;
        let switch = |path, on| Some(files.text(path).ok()? == on);
        Ok(Self {
            cpu_model: cpu
                .model
                .unwrap_or_else(|| format!("{} processor", std::env::consts::ARCH)),
            cores: cpu.cores,
            memory_bytes: files.required("proc/meminfo", "no MemTotal line", memory_bytes)?,
            kernel: files.required("proc/sys/kernel/osrelease", "it is empty", |release| {
                (!release.is_empty()).then(|| release.to_owned())
            })?,
            virtualisation: virtualisation::read(files, cpu.hypervisor),
            governor: governor(files),
            clock_source: files
                .text("sys/devices/system/clocksource/clocksource0/current_clocksource")
                .ok(),
            mitigations: mitigations(files),
            smt: switch("sys/devices/system/cpu/smt/active", "1"),
            turbo: switch("sys/devices/system/cpu/intel_pstate/no_turbo", "0")
                .or_else(|| switch("sys/devices/system/cpu/cpufreq/boost", "1")),
        })
    }
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// The governors of all CPUs.
pub(super) fn governor(files: &Files) -> Option<String> {
    const CPUFREQ: &str = "sys/devices/system/cpu/cpufreq";
    let governors: BTreeSet<String> = files
        .names(CPUFREQ)
        .iter()
        .filter_map(|policy| {
            files
                .text(&format!("{CPUFREQ}/{policy}/scaling_governor"))
                .ok()
        })
        .collect();
    (!governors.is_empty()).then(|| Vec::from_iter(governors).join(" + "))
}

fn mitigations(files: &Files) -> BTreeMap<String, String> {
    const VULNERABILITIES: &str = "sys/devices/system/cpu/vulnerabilities";
    files
        .names(VULNERABILITIES)
        .into_iter()
        .filter_map(|name| {
            let status = files.text(&format!("{VULNERABILITIES}/{name}")).ok()?;
            Some((name, status))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::cpuinfo::fixture::{AMD_METAL, ARM64, INTEL_VIRTUAL};
    use super::super::files::fixture::tree;
    use super::*;
    use crate::schema::Virtualisation;

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       24684084 kB\nMemFree: 1 kB\n",
    );

    fn host(files: &[(&str, &str)]) -> Result<Host, Unreadable> {
        let root = tree(files);
        Host::from_files(&Files::under(root.path()))
    }

    fn virtual_machine() -> Host {
        host(&[
            MEMINFO,
            ("proc/cpuinfo", INTEL_VIRTUAL),
            ("proc/sys/kernel/osrelease", "6.18.44-cloud\n"),
            (
                "sys/devices/system/clocksource/clocksource0/available_clocksource",
                "tsc kvm-clock \n",
            ),
            (
                "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "tsc\n",
            ),
            (
                "sys/devices/system/cpu/vulnerabilities/retbleed",
                "Vulnerable\n",
            ),
            ("sys/devices/system/cpu/smt/active", "0\n"),
        ])
        .unwrap()
    }

    fn metal() -> Host {
        host(&[
            MEMINFO,
            ("proc/cpuinfo", AMD_METAL),
            ("proc/sys/kernel/osrelease", "6.1.0-13-amd64"),
            (
                "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
                "schedutil",
            ),
            (
                "sys/devices/system/cpu/cpufreq/policy1/scaling_governor",
                "performance",
            ),
            (
                "sys/devices/system/cpu/cpufreq/policy2/scaling_governor",
                "performance",
            ),
            ("sys/devices/system/cpu/cpufreq/boost", "1"),
            ("sys/devices/system/cpu/smt/active", "1"),
        ])
        .unwrap()
    }

    #[test]
    fn reads_a_virtual_machine() {
        assert_eq!(
            virtual_machine(),
            Host {
                cpu_model: "Intel(R) Xeon(R) Processor".into(),
                cores: 2,
                memory_bytes: 24_684_084 * 1024,
                kernel: "6.18.44-cloud".into(),
                virtualisation: Virtualisation::Hypervisor("kvm".into()),
                governor: None,
                clock_source: Some("tsc".into()),
                mitigations: BTreeMap::from([("retbleed".into(), "Vulnerable".into())]),
                smt: Some(false),
                turbo: None,
            }
        );
    }

    #[test]
    fn reads_what_only_metal_shows() {
        let metal = metal();
        assert_eq!(metal.virtualisation, Virtualisation::None);
        assert_eq!(metal.governor.as_deref(), Some("performance + schedutil"));
        assert_eq!((metal.smt, metal.turbo), (Some(true), Some(true)));
        assert!(metal.mitigations.is_empty());
    }

    #[test]
    fn intel_says_turbo_by_its_opposite() {
        let turbo = |no_turbo| {
            let host = host(&[
                MEMINFO,
                ("proc/cpuinfo", INTEL_VIRTUAL),
                ("proc/sys/kernel/osrelease", "6.12.1"),
                ("sys/devices/system/cpu/intel_pstate/no_turbo", no_turbo),
            ]);
            host.unwrap().turbo
        };
        assert_eq!(turbo("0\n"), Some(true));
        assert_eq!(turbo("1\n"), Some(false));
    }

    #[test]
    fn a_tree_without_its_essentials_is_an_error_that_names_the_file() {
        let cpuinfo = ("proc/cpuinfo", ARM64);
        for (files, path) in [
            (vec![], "proc/cpuinfo"),
            (vec![("proc/cpuinfo", "nothing")], "proc/cpuinfo"),
            (vec![cpuinfo], "proc/meminfo"),
            (
                vec![cpuinfo, ("proc/meminfo", "MemTotal: x kB")],
                "proc/meminfo",
            ),
            (vec![cpuinfo, MEMINFO], "proc/sys/kernel/osrelease"),
        ] {
            let error = host(&files).unwrap_err();
            assert!(error.path.ends_with(path), "{error}");
        }
    }

    #[test]
    fn classes_are_file_names() {
        assert_eq!(
            virtual_machine().class(),
            "intel-xeon-processor-2c-6.18-kvm"
        );
        assert_eq!(
            metal().class(),
            "amd-epyc-7763-64-core-processor-1c-6.1-bare"
        );
        let hostile = Host {
            cpu_model: "../../etc/CPU @ 2.20GHz".into(),
            kernel: "../x".into(),
            ..metal()
        };
        assert_eq!(hostile.class(), "etc-cpu-2.20ghz-1c-x-bare");
    }

    #[test]
    fn what_does_not_bear_on_the_class_is_no_difference() {
        let other = Host {
            kernel: "6.18.2".into(),
            memory_bytes: 1,
            clock_source: None,
            ..virtual_machine()
        };
        assert_ne!(virtual_machine(), other);
        assert_eq!(virtual_machine().class(), other.class());
        assert!(virtual_machine().difference(&other).is_empty());
    }

    /// What changes times most is no part of the class's name, and held all the same.
    #[test]
    fn each_setting_that_both_know_and_that_differs_is_a_reason() {
        let kept = Host {
            governor: Some("performance".into()),
            smt: Some(false),
            turbo: Some(false),
            mitigations: [("spectre_v2".to_owned(), "Vulnerable".to_owned())].into(),
            ..virtual_machine()
        };
        let other = Host {
            governor: Some("powersave".into()),
            turbo: Some(true),
            mitigations: [("spectre_v2".to_owned(), "Mitigation: IBRS".to_owned())].into(),
            ..kept.clone()
        };
        assert_eq!(kept.class(), other.class());
        assert_eq!(kept.kept_differently(&kept), [""; 0]);
        assert_eq!(
            kept.kept_differently(&other),
            [
                "governor: performance against powersave",
                "turbo: off against on",
                "spectre_v2: Vulnerable against Mitigation: IBRS",
            ]
        );
        assert_eq!(kept.unknown_settings(), [""; 0]);
        let silent = Host {
            governor: None,
            smt: None,
            turbo: None,
            mitigations: Default::default(),
            ..kept.clone()
        };
        assert_eq!(kept.kept_differently(&silent), [""; 0]);
        assert_eq!(
            silent.unknown_settings(),
            ["governor", "SMT", "turbo", "mitigations"]
        );
    }

    #[test]
    fn every_trait_that_differs_is_a_reason() {
        assert_eq!(
            virtual_machine().difference(&metal()),
            [
                "CPU model: Intel(R) Xeon(R) Processor against AMD EPYC 7763 64-Core Processor",
                "cores: 2 against 1",
                "kernel: 6.18.44-cloud against 6.1.0-13-amd64",
                "virtualisation: kvm against none",
            ]
        );
    }

    #[test]
    fn json_and_back() {
        for host in [virtual_machine(), metal()] {
            let json = serde_json::to_string(&host).unwrap();
            assert_eq!(serde_json::from_str::<Host>(&json).unwrap(), host);
        }
    }

    #[test]
    fn reads_the_machine_it_runs_on() {
        let host = Host::read().unwrap();
        assert!(host.cores > 0 && host.memory_bytes > 0);
        assert!(!host.class().contains('/'));
    }
}
