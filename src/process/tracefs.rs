//! tracefs, for agents that hook classic tracepoints, where the machine has none mounted.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::host;

/// Where tracers look for it.
const PLACE: &str = "/sys/kernel/tracing";

/// Mounts tracefs for this thread and the processes it starts from now on, in a mount
/// namespace of their own, so that nothing of it outlives them. Nothing to do where it is
/// mounted; where this process may not, agents that want it say so themselves.
pub fn provide_tracefs() -> nix::Result<()> {
    if host::tracefs_mount().is_ok() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(
        Some("tracefs"),
        PLACE,
        Some("tracefs"),
        MsFlags::empty(),
        none,
    )
}
