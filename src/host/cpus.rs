//! The CPUs that this process may use, and how steadily they tick.

use rustix::thread::{CpuSet, sched_getaffinity};

use super::files::Files;
use super::fingerprint;
use super::obstacle::{Obstacle, State};

/// The numbers of the CPUs that the calling thread may run on, rising; none where the
/// kernel does not say.
pub fn allowed_cpus() -> Vec<usize> {
    sched_getaffinity(None).map_or_else(
        |_| Vec::new(),
        |set| {
            (0..CpuSet::MAX_CPU)
                .filter(|&cpu| set.is_set(cpu))
                .collect()
        },
    )
}

/// Whether there is a CPU besides the one that is measured on.
pub(super) fn spare(allowed: &[usize]) -> State {
    match allowed {
        [] => State::Unknown(Obstacle::new(
            "the kernel does not say which CPUs this process may use",
            "look for Cpus_allowed_list: grep Cpus /proc/self/status",
        )),
        [only] => State::Missing(Obstacle::new(
            format!("this process may use CPU {only} only"),
            "start it on two or more: taskset --cpu-list 0,1 COMMAND",
        )),
        [first, .., last] => State::Present(format!(
            "{} that this process may use, of the numbers {first} to {last}",
            allowed.len()
        )),
    }
}

/// Whether the governor keeps the frequency where it is.
pub(super) fn frequency(files: &Files) -> Result<String, Obstacle> {
    match fingerprint::governor(files).as_deref() {
        Some("performance") => Ok("governor performance".to_owned()),
        Some(other) => Err(Obstacle::new(
            format!("governor {other} moves the frequency with the load"),
            "as root: cpupower frequency-set --governor performance",
        )),
        None => Err(Obstacle::new(
            "no cpufreq driver, as in most virtual machines",
            "on the machine beneath, as root: cpupower frequency-set --governor performance",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::fixture::tree;
    use super::*;

    #[test]
    fn this_thread_runs_somewhere() {
        let allowed = allowed_cpus();
        assert!(!allowed.is_empty());
        assert!(allowed.is_sorted());
    }

    #[test]
    fn a_spare_cpu_is_a_second_one() {
        assert!(matches!(spare(&[]), State::Unknown(_)));
        let State::Missing(obstacle) = spare(&[3]) else {
            panic!("one CPU is not two");
        };
        assert!(obstacle.why.contains("CPU 3 only"), "{obstacle}");
        let State::Present(detail) = spare(&[1, 4, 7]) else {
            panic!("three CPUs are enough");
        };
        assert!(detail.starts_with("3 "), "{detail}");
    }

    #[test]
    fn only_the_governor_performance_keeps_the_frequency() {
        let governed = |governor| {
            let root = tree(&[(
                "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
                governor,
            )]);
            frequency(&Files::under(root.path()))
        };
        assert!(governed("performance\n").is_ok());
        assert!(
            governed("powersave\n")
                .unwrap_err()
                .why
                .contains("powersave")
        );
        let none = frequency(&Files::under(tree(&[]).path())).unwrap_err();
        assert!(none.why.contains("no cpufreq"), "{none}");
    }
}
