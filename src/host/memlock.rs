//! The limit of locked memory, which old kernels hold eBPF maps to.

use rustix::process::{Resource, getrlimit};

use super::files::Files;
use super::obstacle::{Obstacle, State};
use crate::schema::kernel_version;

/// Whether the limit leaves maps alone.
pub(super) fn check(files: &Files) -> State {
    let limit = getrlimit(Resource::Memlock).current;
    let release = files.text("proc/sys/kernel/osrelease").unwrap_or_default();
    judge(limit, kernel_version(&release)).into()
}

/// `limit` in bytes; `None` is no limit.
fn judge(limit: Option<u64>, kernel: Option<(u32, u32)>) -> Result<String, Obstacle> {
    let Some(bytes) = limit else {
        return Ok("unlimited".to_owned());
    };
    let kib = bytes / 1024;
    // Since then maps count as memory of their cgroup.
    if kernel.is_some_and(|version| version >= (5, 11)) {
        Ok(format!(
            "{kib} KiB, which does not bind eBPF since kernel 5.11"
        ))
    } else {
        Err(Obstacle::new(
            format!("maps and programs must fit into {kib} KiB of locked memory"),
            "as root: ulimit -l unlimited",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_binds_old_kernels_only() {
        assert_eq!(judge(None, Some((5, 4))).unwrap(), "unlimited");
        assert!(
            judge(Some(8 << 20), Some((5, 11)))
                .unwrap()
                .starts_with("8192 KiB")
        );
        let obstacle = judge(Some(64 << 10), Some((5, 10))).unwrap_err();
        assert!(obstacle.why.contains("64 KiB"), "{obstacle}");
        assert!(judge(Some(8 << 20), None).is_err());
    }
}
