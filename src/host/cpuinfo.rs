//! What `/proc/cpuinfo` says, on x86 and on arm64.

/// The values of a key, one for each processor that has it.
fn values<'a>(cpuinfo: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    cpuinfo.lines().filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        (found.trim_end() == key).then(|| value.trim())
    })
}

/// What a machine's processors say of themselves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cpu {
    /// The model's name, where one is given.
    pub(super) model: Option<String>,
    /// Online processors, at least one.
    pub(super) cores: usize,
    /// Whether the processor says that a hypervisor runs it; `None` where it has no
    /// flag for that, as on arm64.
    pub(super) hypervisor: Option<bool>,
}

/// Reads `/proc/cpuinfo`; `None` where no processor is in it.
pub(super) fn parse(cpuinfo: &str) -> Option<Cpu> {
    let cores = values(cpuinfo, "processor").count();
    (cores > 0).then(|| Cpu {
        model: model(cpuinfo),
        cores,
        hypervisor: hypervisor(cpuinfo),
    })
}

/// arm64 gives numbers for a name: `arm 0x41 part 0xd0c`, and cores of more than
/// one kind are all named.
fn model(cpuinfo: &str) -> Option<String> {
    if let Some(name) = values(cpuinfo, "model name").find(|name| !name.is_empty()) {
        return Some(name.to_owned());
    }
    let implementer = values(cpuinfo, "CPU implementer").next()?;
    let mut parts: Vec<&str> = values(cpuinfo, "CPU part").collect();
    parts.sort_unstable();
    parts.dedup();
    Some(format!("arm {implementer} part {}", parts.join(" + ")))
}

fn hypervisor(cpuinfo: &str) -> Option<bool> {
    let flags = values(cpuinfo, "flags").next()?;
    Some(flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

#[cfg(test)]
pub(super) mod fixture {
    /// Two processors of a virtual machine.
    pub(in crate::host) const INTEL_VIRTUAL: &str = "\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu vme de tsc hypervisor lahf_lm
power management:

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu vme de tsc hypervisor lahf_lm
power management:
";

    /// One processor of a machine of metal.
    pub(in crate::host) const AMD_METAL: &str = "\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 7763 64-Core Processor
flags\t\t: fpu vme de tsc lahf_lm
";

    /// Processors of two kinds, which have numbers for names.
    pub(in crate::host) const ARM64: &str = "\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0c

processor\t: 1
CPU implementer\t: 0x41
CPU part\t: 0xd05

processor\t: 2
CPU implementer\t: 0x41
CPU part\t: 0xd0c
";
}

#[cfg(test)]
mod tests {
    use super::fixture::{AMD_METAL, ARM64, INTEL_VIRTUAL};
    use super::*;

    fn cpu(model: Option<&str>, cores: usize, hypervisor: Option<bool>) -> Cpu {
        Cpu {
            model: model.map(str::to_owned),
            cores,
            hypervisor,
        }
    }

    #[test]
    fn reads_each_architecture() {
        let intel = cpu(Some("Intel(R) Xeon(R) Processor"), 2, Some(true));
        assert_eq!(parse(INTEL_VIRTUAL), Some(intel));
        let amd = cpu(Some("AMD EPYC 7763 64-Core Processor"), 1, Some(false));
        assert_eq!(parse(AMD_METAL), Some(amd));
        let arm = cpu(Some("arm 0x41 part 0xd05 + 0xd0c"), 3, None);
        assert_eq!(parse(ARM64), Some(arm));
    }

    #[test]
    fn takes_whole_keys_and_whole_flags_only() {
        assert_eq!(parse("Processor : ARMv7 rev 1\nprocessors : 2\n"), None);
        let odd = "processor : 0\nmodel name :\nflags : no_hypervisor\n";
        assert_eq!(parse(odd), Some(cpu(None, 1, Some(false))));
    }

    #[test]
    fn without_a_processor_there_is_no_cpu() {
        assert_eq!(parse(""), None);
        assert_eq!(parse(":\n::\nprocessor\n"), None);
    }
}
