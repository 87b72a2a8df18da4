//! The rights (POSIX capabilities) of this process that bear on eBPF.

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use super::files::Files;
use super::obstacle::Obstacle;

/// A right that the kernel asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_PERFMON`.
    Perfmon,
    /// `CAP_NET_ADMIN`.
    NetAdmin,
    /// `CAP_SYS_ADMIN`.
    SysAdmin,
    /// `CAP_SYS_RESOURCE`.
    SysResource,
}

impl Right {
    pub(super) const ALL: [Right; 5] = [
        Right::Bpf,
        Right::Perfmon,
        Right::NetAdmin,
        Right::SysAdmin,
        Right::SysResource,
    ];

    /// The kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Right::Bpf => "CAP_BPF",
            Right::Perfmon => "CAP_PERFMON",
            Right::NetAdmin => "CAP_NET_ADMIN",
            Right::SysAdmin => "CAP_SYS_ADMIN",
            Right::SysResource => "CAP_SYS_RESOURCE",
        }
    }

    pub(super) fn purpose(self) -> &'static str {
        match self {
            Right::Bpf => "loading eBPF programs",
            Right::Perfmon => "eBPF programs that trace",
            Right::NetAdmin => "eBPF programs at a cgroup's sockets",
            Right::SysAdmin => "the kernel's own count of a program's run time",
            Right::SysResource => "raising this process's own limits",
        }
    }

    fn flag(self) -> CapabilitySet {
        match self {
            Right::Bpf => CapabilitySet::BPF,
            Right::Perfmon => CapabilitySet::PERFMON,
            Right::NetAdmin => CapabilitySet::NET_ADMIN,
            Right::SysAdmin => CapabilitySet::SYS_ADMIN,
            Right::SysResource => CapabilitySet::SYS_RESOURCE,
        }
    }

    /// Whether the calling thread has it, and how.
    pub fn check(self) -> Result<String, Obstacle> {
        let files = Files::of_this_machine();
        let holder = Holder {
            effective: capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective),
            root: geteuid().is_root(),
            confined: files
                .text("proc/self/uid_map")
                .is_ok_and(|map| confined(&map)),
        };
        let detail = holder.check(self)?;
        // What ordinary users may do is part of what this right is worth.
        match files.text("proc/sys/kernel/unprivileged_bpf_disabled") {
            Ok(value) if self == Right::Bpf => Ok(format!(
                "{detail}; kernel.unprivileged_bpf_disabled = {value}"
            )),
            _ => Ok(detail),
        }
    }
}

/// Who asks.
struct Holder {
    effective: CapabilitySet,
    root: bool,
    /// In a user namespace below the first, where no right counts for eBPF.
    confined: bool,
}

impl Holder {
    fn check(&self, right: Right) -> Result<String, Obstacle> {
        let name = right.name();
        // In bpf() and perf_event_open() the old right stands in for the newer ones.
        let by_admin = matches!(right, Right::Bpf | Right::Perfmon | Right::NetAdmin)
            && self.effective.contains(CapabilitySet::SYS_ADMIN);
        let held = self.effective.contains(right.flag());
        if self.confined && (held || by_admin) {
            return Err(Obstacle::new(
                format!(
                    "this process has {name} in a user namespace only, where it does not count"
                ),
                "leave the rootless container and run it as root of the machine",
            ));
        }
        match (held, by_admin) {
            (true, _) => Ok("held".to_owned()),
            (false, true) => Ok("held through CAP_SYS_ADMIN".to_owned()),
            (false, false) if self.root => Err(Obstacle::new(
                format!("this process is root without {name}"),
                format!(
                    "give it to the container or service that it runs in, \
                     e.g. docker run --cap-add={name}"
                ),
            )),
            (false, false) => Err(Obstacle::new(
                format!("this process does not have {name}"),
                "run it as root: sudo -E \"$(command -v cargo)\" bench",
            )),
        }
    }
}

/// Whether a `uid_map` is of a user namespace below the first: the first one maps
/// every number to itself.
fn confined(uid_map: &str) -> bool {
    !uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(effective: CapabilitySet) -> Holder {
        Holder {
            effective,
            root: true,
            confined: false,
        }
    }

    #[test]
    fn a_right_is_held_by_itself_or_by_the_older_one() {
        let bpf = holder(CapabilitySet::BPF);
        assert_eq!(bpf.check(Right::Bpf).unwrap(), "held");
        assert!(bpf.check(Right::Perfmon).is_err());
        let admin = holder(CapabilitySet::SYS_ADMIN);
        for right in [Right::Bpf, Right::Perfmon, Right::NetAdmin] {
            assert_eq!(admin.check(right).unwrap(), "held through CAP_SYS_ADMIN");
        }
        assert!(admin.check(Right::SysResource).is_err());
    }

    #[test]
    fn the_remedy_depends_on_who_asks() {
        let root = holder(CapabilitySet::empty());
        let remedy = root.check(Right::SysResource).unwrap_err().remedy;
        assert!(remedy.ends_with("--cap-add=CAP_SYS_RESOURCE"), "{remedy}");
        let user = Holder {
            root: false,
            ..holder(CapabilitySet::empty())
        };
        let remedy = user.check(Right::Bpf).unwrap_err().remedy;
        assert!(remedy.contains("sudo"), "{remedy}");
    }

    #[test]
    fn a_right_in_a_user_namespace_does_not_count() {
        let rootless = Holder {
            confined: true,
            ..holder(CapabilitySet::all())
        };
        let obstacle = rootless.check(Right::Bpf).unwrap_err();
        assert!(obstacle.why.contains("user namespace"), "{obstacle}");
    }

    #[test]
    fn the_first_user_namespace_maps_every_user_to_itself() {
        assert!(!confined("         0          0 4294967295"));
        assert!(confined(
            "         0       1000          1\n         1 100000 65536"
        ));
        assert!(confined(""));
    }
}
