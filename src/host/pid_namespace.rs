//! Whether the number of a process means here what it means to the kernel.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The inode of the kernel's first PID namespace (`PROC_PID_INIT_INO`), the same everywhere.
const FIRST: u64 = 0xEFFF_FFFC;

/// Whether this process is in the kernel's first PID namespace. In another, as in most
/// containers, processes have a number of their own there, and programs in the kernel know
/// them by the first one's.
pub fn in_first_pid_namespace() -> bool {
    fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == FIRST)
}
