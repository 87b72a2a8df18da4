//! What this machine lets a process do, and what stands in the way of the rest.

use super::files::Files;
use super::obstacle::State;
use super::rights::Right;
use super::{counters, cpus, kernel, memlock, mounts};

/// Something that a measurement or an eBPF program may need of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Its name, e.g. `tracefs`.
    pub name: &'static str,
    /// What it makes possible.
    pub purpose: &'static str,
    /// Whether it is there.
    pub state: State,
}

/// All that this machine can and cannot do, for the calling thread.
pub fn capabilities() -> Vec<Capability> {
    let files = Files::of_this_machine();
    let rights = Right::ALL.map(|right| Capability {
        name: right.name(),
        purpose: right.purpose(),
        state: right.check().into(),
    });
    let others = [
        Capability {
            name: "memlock",
            purpose: "eBPF maps of any size",
            state: memlock::check(&files),
        },
        Capability {
            name: "BTF",
            purpose: "eBPF programs that fit themselves to the kernel",
            state: kernel::btf_of(&files).map(shown).into(),
        },
        Capability {
            name: "BPF JIT",
            purpose: "eBPF programs as machine code",
            state: kernel::jit(&files),
        },
        Capability {
            name: "BPF LSM",
            purpose: "security hooks",
            state: kernel::lsm(&files),
        },
        Capability {
            name: "lockdown",
            purpose: "eBPF programs that read kernel memory",
            state: kernel::lockdown(&files),
        },
        Capability {
            name: "cgroup v2",
            purpose: "hooks and filters of a cgroup",
            state: mounts::CGROUP2.find(&files).map(shown).into(),
        },
        Capability {
            name: "tracefs",
            purpose: "hooks on classic tracepoints",
            state: mounts::TRACEFS.find(&files).map(shown).into(),
        },
        Capability {
            name: "CPUs",
            purpose: "a consumer of events on a CPU of its own",
            state: cpus::spare(&cpus::allowed_cpus()),
        },
        Capability {
            name: "cpufreq",
            purpose: "a clock frequency that stays",
            state: cpus::frequency(&files).into(),
        },
        Capability {
            name: "hardware counters",
            purpose: "cycles and instructions",
            state: counters::check().into(),
        },
    ];
    rights.into_iter().chain(others).collect()
}

fn shown(path: std::path::PathBuf) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_of_this_machine_is_named_once_and_explained() {
        let all = capabilities();
        for (n, capability) in all.iter().enumerate() {
            assert!(all[..n].iter().all(|other| other.name != capability.name));
            assert!(!capability.purpose.is_empty());
            match &capability.state {
                State::Present(detail) => assert!(!detail.is_empty(), "{capability:?}"),
                State::Missing(obstacle) | State::Unknown(obstacle) => {
                    assert!(!obstacle.why.is_empty(), "{capability:?}");
                    assert!(!obstacle.remedy.is_empty(), "{capability:?}");
                }
            }
        }
    }
}
