//! What ends a cgroup's processes when this process does.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::host::Obstacle;

/// It reads until nobody holds the other end, and then has the kernel kill all at once: one
/// after the other, those that have children for ever would escape.
const UNTIL_THE_END: &str = r#"read -r end; echo 1 >"$1/cgroup.kill""#;

/// Kills all that is in a cgroup when it is dropped, or when this process ends, however it
/// ends.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Of this cgroup.
    ///
    /// # Errors
    /// No process can be started.
    pub fn of(cgroup: &Path) -> Result<Self, Obstacle> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", UNTIL_THE_END, "sh"]).arg(cgroup);
        shell.stdin(Stdio::piped()).stdout(Stdio::null());
        // What is sent to our group is not meant for it.
        shell.stderr(Stdio::null()).process_group(0);
        let shell = shell.spawn().map_err(|error| {
            Obstacle::new(
                format!("/bin/sh: {error}"),
                "see that the machine has processes to spare",
            )
        })?;
        Ok(Self(shell))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
