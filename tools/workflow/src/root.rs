//! A root that looks like a container's: another Debian, its own mounts, processes and
//! cgroups, and the toolchain of this machine in the place of the image's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::file::Container;

/// What an image `rust:VERSION-SUITE` has beyond Debian's essentials, as far as steps may
/// take it for granted.
const PACKAGES: &str = "ca-certificates,curl,gcc,git,libc6-dev,libssl-dev,make,pkg-config,procps";

/// A container's root.
#[derive(Debug)]
pub struct Root {
    directory: PathBuf,
    /// Whether it has the processes of the machine, and no numbers of its own.
    of_host: bool,
}

impl Root {
    /// The root of a container, under `cache`: made by mmdebstrap unless it is there.
    ///
    /// # Errors
    /// The image is not known, or mmdebstrap fails.
    pub fn of(container: &Container, cache: &Path) -> Result<Self, String> {
        let Container { image, options } = container;
        let suite = image
            .strip_prefix("rust:")
            .and_then(|tag| tag.split_once('-'))
            .map(|(_, suite)| suite)
            .ok_or_else(|| format!("no root is known for the image {image}"))?;
        let directory = cache.join(suite);
        if !directory.exists() {
            // It gets its name when it is whole.
            let partial = cache.join(format!("{suite}.partial"));
            fs::create_dir_all(cache).map_err(|e| format!("{}: {e}", cache.display()))?;
            debootstrapped(suite, &partial)?;
            fs::rename(&partial, &directory)
                .map_err(|e| format!("{}: {e}", directory.display()))?;
        }
        Ok(Self {
            directory,
            of_host: options.split_whitespace().any(|o| o == "--pid=host"),
        })
    }

    /// What enters the container, as its first process, in the work tree `tree`, which keeps
    /// its path; `temporary` does, too. The command's words follow.
    pub fn command(&self, tree: &Path, temporary: &Path) -> Command {
        let home = |variable: &str, directory: &str| {
            std::env::var_os(variable).map_or_else(
                || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(directory),
                PathBuf::from,
            )
        };
        let mut command = Command::new("sh");
        command
            .args(["-ec", ENTER, "sh"])
            .arg(&self.directory)
            .arg(tree)
            .arg(temporary)
            .arg(home("CARGO_HOME", ".cargo"))
            .arg(home("RUSTUP_HOME", ".rustup"))
            .arg(if self.of_host { "" } else { "--pid" })
            .env("CARGO_HOME", "/usr/local/cargo")
            .env("RUSTUP_HOME", "/usr/local/rustup")
            .env("HOME", "/root")
            .env(
                "PATH",
                "/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            );
        command
    }
}

/// Makes the new directory `root` a Debian of this suite.
fn debootstrapped(suite: &str, root: &Path) -> Result<(), String> {
    if root.exists() {
        fs::remove_dir_all(root).map_err(|e| format!("{}: {e}", root.display()))?;
    }
    let status = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", "--include", PACKAGES, suite])
        .arg(root)
        .status()
        .map_err(|e| format!("mmdebstrap: {e}; apt-get install mmdebstrap"))?;
    if !status.success() {
        return Err(format!("mmdebstrap {suite}: {status}"));
    }
    // How this machine reaches its archive is no part of the image.
    let settings = Path::new("/etc/apt/apt.conf.d");
    for entry in fs::read_dir(settings).into_iter().flatten().flatten() {
        let to = root.join("etc/apt/apt.conf.d").join(entry.file_name());
        let _ = fs::copy(entry.path(), to);
    }
    Ok(())
}

/// Root, tree, temporary directory, cargo's and rustup's home, the namespace of processes;
/// then the command. As Docker does it: a cgroup of its own, then a namespace that takes it
/// for the whole, and a root behind which there is no other.
const ENTER: &str = r#"
root=$1 tree=$2 temporary=$3 cargo=$4 rustup=$5 processes=$6
shift 6
hierarchy=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)
group=$hierarchy/workflow-$$
mkdir "$group"
end() {
    # What it left running, where it has no namespace of processes that ends with it.
    echo 1 >"$group/cgroup.kill" || true
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        rmdir "$group" 2>/dev/null && return
        sleep 0.1
    done
}
trap end EXIT
trap 'exit 130' INT TERM HUP
status=0
export root tree temporary cargo rustup processes group
sh -c 'echo $$ >"$group/cgroup.procs"
exec unshare --mount $processes --ipc --uts --cgroup --fork --kill-child sh -ec '\''
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    for place in "$tree" "$temporary"; do
        mkdir -p "$root$place"
        mount --rbind "$place" "$root$place"
    done
    mkdir -p "$root/usr/local/cargo" "$root/usr/local/rustup"
    mount --bind "$cargo" "$root/usr/local/cargo"
    mount --bind "$rustup" "$root/usr/local/rustup"
    cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
    mkdir -p "$root/.outside"
    cd "$root"
    pivot_root . .outside
    umount --lazy /.outside
    exec env --default-signal=INT,QUIT --chdir="$tree" "$@"
'\'' sh "$@"' sh "$@" &
# A trap waits for what runs in front, which would be the whole step.
wait $! || status=$?
exit "$status"
"#;
