//! What ends a cgroup's processes when this process does.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::host::Obstacle;

/// It reads until nobody holds the other end, and then has the kernel kill all at once: one
/// after the other, those that have children for ever would escape. Kernels before 5.14 cannot
/// do that; there a few rounds over it and those below have to do.
const UNTIL_THE_END: &str = r#"
read -r end
echo 1 >"$1/cgroup.kill" || for round in 1 2 3 4 5; do
    kill -9 $(find "$1" -name cgroup.procs -exec cat {} +)
done
"#;

/// Kills all that is in a cgroup when it is dropped, or when this process ends, however it
/// ends. Until then it waits, and takes no time.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Of this cgroup.
    ///
    /// # Errors
    /// No process can be started.
    pub(super) fn of(cgroup: &Path) -> Result<Self, Obstacle> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory stands for the cgroup of a kernel that does not kill all at once.
    #[test]
    fn without_cgroup_kill_they_are_killed_one_after_the_other() {
        let cgroup = tempfile::tempdir().unwrap();
        let below = cgroup.path().join("below");
        std::fs::create_dir(cgroup.path().join("cgroup.kill")).unwrap();
        std::fs::create_dir(&below).unwrap();
        let sleep = || Command::new("sleep").arg("30").spawn().unwrap();
        let mut sleeps = [sleep(), sleep()];
        for (place, sleep) in [cgroup.path(), &below].into_iter().zip(&sleeps) {
            std::fs::write(place.join("cgroup.procs"), format!("{}\n", sleep.id())).unwrap();
        }
        drop(Guard::of(cgroup.path()).unwrap());
        for sleep in &mut sleeps {
            assert!(!sleep.wait().unwrap().success());
        }
    }
}
