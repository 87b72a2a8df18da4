//! Whether the CPU's own counters can be read: they can if one opens, not if a file
//! says so.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::obstacle::Obstacle;

/// `struct perf_event_attr` in its first version; the kernel takes any version by
/// its size.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_kind: u32,
    config1: u64,
}

const DISABLED: u64 = 1 << 0;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;

/// `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

/// Opens a counter of this thread's own cycles in user space, the least that can be
/// asked for.
fn open_cycles() -> io::Result<OwnedFd> {
    // Kind and config zero are PERF_TYPE_HARDWARE and PERF_COUNT_HW_CPU_CYCLES.
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        flags: DISABLED | EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR,
        ..Attributes::default()
    };
    let (this_thread, any_cpu, no_group): (libc::pid_t, libc::c_int, RawFd) = (0, -1, -1);
    // SAFETY: the kernel reads `size` bytes of `attributes`, which is that large and
    // lives until the call returns, and writes nothing else of ours.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            this_thread,
            any_cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    match RawFd::try_from(fd) {
        // SAFETY: the call has just returned this descriptor, and nobody else has it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a counter opens.
pub(super) fn check() -> Result<String, Obstacle> {
    match open_cycles() {
        Ok(_) => Ok("cycles can be counted".to_owned()),
        Err(cause) => Err(obstacle(&cause)),
    }
}

fn obstacle(cause: &io::Error) -> Obstacle {
    let why = format!("perf_event_open gives no cycle counter: {cause}");
    let remedy = match cause.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            "as root: sysctl -w kernel.perf_event_paranoid=2; in a container also allow \
             perf_event_open in its seccomp profile"
        }
        Some(libc::ENOSYS) => "boot a kernel built with CONFIG_PERF_EVENTS=y",
        _ => {
            "run on metal, or where the hypervisor passes its counters on \
             (QEMU: -cpu host,pmu=on)"
        }
    };
    Obstacle::new(why, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_the_size_of_their_version() {
        assert_eq!(size_of::<Attributes>(), 64);
    }

    #[test]
    fn the_remedy_fits_the_cause() {
        let remedy = |errno| obstacle(&io::Error::from_raw_os_error(errno)).remedy;
        assert!(remedy(libc::EACCES).contains("perf_event_paranoid"));
        assert!(remedy(libc::ENOSYS).contains("CONFIG_PERF_EVENTS"));
        assert!(remedy(libc::ENOENT).contains("hypervisor"));
    }
}
