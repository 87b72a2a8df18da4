//! Whether a hypervisor runs this machine, and which.

use super::files::Files;
use crate::schema::Virtualisation;

/// Where hypervisors leave their names, the surest first: what the kernel speaks
/// with them, then what the firmware says.
const TRACES: [&str; 5] = [
    "sys/hypervisor/type",
    "sys/devices/system/clocksource/clocksource0/available_clocksource",
    "sys/class/dmi/id/sys_vendor",
    "sys/class/dmi/id/product_name",
    "proc/device-tree/compatible",
];

/// Words in those places, in lower case, and the hypervisor they stand for.
const MARKS: [(&str, &str); 10] = [
    ("xen", "xen"),
    ("kvm", "kvm"),
    ("hyperv", "hyperv"),
    ("vmware", "vmware"),
    ("virtualbox", "virtualbox"),
    ("qemu", "qemu"),
    ("amazon ec2", "kvm"),
    ("google compute engine", "kvm"),
    ("virtual machine", "hyperv"),
    ("dummy-virt", "kvm"),
];

/// What the files of a machine say of it, and its processor by a flag, where it has
/// one to show.
pub(super) fn read(files: &Files, flag: Option<bool>) -> Virtualisation {
    let traces: Vec<String> = TRACES
        .iter()
        .filter_map(|path| files.text(path).ok())
        .collect();
    judge(flag, &traces)
}

/// The processor's flag decides, where it has one; the traces only give the name.
fn judge(flag: Option<bool>, traces: &[String]) -> Virtualisation {
    // A cloud's bare machines carry the same vendor as its virtual ones.
    let metal = traces.iter().any(|trace| trace.ends_with(".metal"));
    let name = traces.iter().find_map(|trace| {
        let trace = trace.to_lowercase();
        let (_, name) = MARKS.iter().find(|(mark, _)| trace.contains(mark))?;
        Some((*name).to_owned())
    });
    match (flag, name) {
        (Some(false), _) | (None, None) => Virtualisation::None,
        (None, Some(_)) if metal => Virtualisation::None,
        (_, Some(name)) => Virtualisation::Hypervisor(name),
        (Some(true), None) => Virtualisation::Hypervisor("unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(flag: Option<bool>, traces: &[&str]) -> String {
        let traces: Vec<String> = traces.iter().map(|t| (*t).to_owned()).collect();
        judge(flag, &traces).to_string()
    }

    #[test]
    fn the_first_trace_names_the_hypervisor() {
        assert_eq!(judged(Some(true), &["tsc kvm-clock"]), "kvm");
        assert_eq!(judged(Some(true), &["xen", "tsc kvm-clock"]), "xen");
        assert_eq!(
            judged(Some(true), &["tsc acpi_pm", "VMware, Inc."]),
            "vmware"
        );
        let azure = ["tsc", "Microsoft Corporation", "Virtual Machine"];
        assert_eq!(judged(Some(true), &azure), "hyperv");
        assert_eq!(judged(Some(true), &["tsc"]), "unknown");
    }

    #[test]
    fn a_processor_without_the_flag_is_bare_whatever_the_firmware_says() {
        assert_eq!(judged(Some(false), &["QEMU"]), "none");
    }

    #[test]
    fn without_flags_the_firmware_decides() {
        assert_eq!(judged(None, &["arch_sys_counter"]), "none");
        assert_eq!(judged(None, &["Amazon EC2", "m6g.large"]), "kvm");
        assert_eq!(judged(None, &["Amazon EC2", "m6g.metal"]), "none");
    }

    #[test]
    fn json_is_one_string_both_ways() {
        for (value, json) in [
            (Virtualisation::None, r#""none""#),
            (Virtualisation::Hypervisor("kvm".into()), r#""kvm""#),
        ] {
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
            assert_eq!(serde_json::from_str::<Virtualisation>(json).unwrap(), value);
        }
    }
}
