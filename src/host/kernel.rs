//! What the running kernel was built with and booted with.

use std::fs::{self, File};
use std::path::PathBuf;

use super::files::Files;
use super::mounts::SECURITYFS;
use super::obstacle::{Obstacle, State};

/// The file with the kernel's own types (BTF), which can be read.
pub fn btf() -> Result<PathBuf, Obstacle> {
    btf_of(&Files::of_this_machine())
}

pub(super) fn btf_of(files: &Files) -> Result<PathBuf, Obstacle> {
    let path = files.path("sys/kernel/btf/vmlinux");
    match File::open(&path) {
        Ok(_) => Ok(path),
        Err(cause) => Err(Obstacle::new(
            format!("cannot open {}: {cause}", path.display()),
            "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' kernels are",
        )),
    }
}

/// Whether eBPF programs are compiled to machine code.
pub(super) fn jit(files: &Files) -> State {
    match files.text("proc/sys/net/core/bpf_jit_enable") {
        Ok(value) if value == "0" => State::Missing(Obstacle::new(
            "net.core.bpf_jit_enable is 0: programs are interpreted",
            "as root: sysctl -w net.core.bpf_jit_enable=1",
        )),
        Ok(value) => State::Present(format!("net.core.bpf_jit_enable = {value}")),
        // Containers with a network of their own do not see it.
        Err(cause) => State::Unknown(Obstacle::new(
            format!("cannot read net.core.bpf_jit_enable: {cause}"),
            "as root, outside any container: sysctl net.core.bpf_jit_enable",
        )),
    }
}

/// Whether `bpf` is among the active security modules.
pub(super) fn lsm(files: &Files) -> State {
    security(files, "lsm", |active| {
        if active.split(',').any(|module| module == "bpf") {
            Ok(active.to_owned())
        } else {
            Err(Obstacle::new(
                format!("bpf is not among the active security modules: {active}"),
                format!("boot with lsm={active},bpf on a kernel built with CONFIG_BPF_LSM=y"),
            ))
        }
    })
}

/// Whether lockdown leaves kernel memory to eBPF programs.
pub(super) fn lockdown(files: &Files) -> State {
    security(files, "lockdown", |modes| {
        // The file shows all modes, the one in force in brackets.
        let mode = modes.split(['[', ']']).nth(1).unwrap_or(modes);
        if mode == "confidentiality" {
            Err(Obstacle::new(
                "lockdown is in mode confidentiality: programs cannot read kernel memory",
                "boot with lockdown=integrity, or without Secure Boot",
            ))
        } else {
            Ok(format!("mode {mode}"))
        }
    })
}

/// What `judge` makes of a file of securityfs.
fn security(
    files: &Files,
    name: &str,
    judge: impl FnOnce(&str) -> Result<String, Obstacle>,
) -> State {
    let path = match SECURITYFS.find(files) {
        Ok(mount) => mount.join(name),
        Err(obstacle) => return State::Unknown(obstacle),
    };
    match fs::read_to_string(&path) {
        Ok(text) => judge(text.trim()).into(),
        Err(cause) => State::Unknown(Obstacle::new(
            format!("cannot read {}: {cause}", path.display()),
            format!("as root: cat {}", path.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::fixture::tree;
    use super::*;

    #[test]
    fn btf_is_there_or_is_not() {
        let root = tree(&[("sys/kernel/btf/vmlinux", "types")]);
        let found = btf_of(&Files::under(root.path())).unwrap();
        assert!(found.ends_with("sys/kernel/btf/vmlinux"));
        let root = tree(&[]);
        let obstacle = btf_of(&Files::under(root.path())).unwrap_err();
        assert!(
            obstacle.why.contains("btf/vmlinux: No such file"),
            "{obstacle}"
        );
    }

    #[test]
    fn the_jit_is_on_off_or_out_of_sight() {
        let state = |files: &[_]| jit(&Files::under(tree(files).path()));
        let set = |value| [("proc/sys/net/core/bpf_jit_enable", value)];
        assert!(matches!(state(&set("1\n")), State::Present(_)));
        assert!(matches!(state(&set("2\n")), State::Present(_)));
        assert!(matches!(state(&set("0\n")), State::Missing(_)));
        assert!(matches!(state(&[]), State::Unknown(_)));
    }

    /// What `judge` says of a securityfs whose file `name` holds `text`.
    fn mounted(name: &str, text: &str, judge: fn(&Files) -> State) -> State {
        let root = tree(&[(name, text)]);
        let line = format!(
            "1 0 0:7 / {} rw - securityfs none rw\n",
            root.path().display()
        );
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(root.path().join("proc/self/mountinfo"), line).unwrap();
        judge(&Files::under(root.path()))
    }

    #[test]
    fn the_bpf_module_is_active_or_comes_with_what_to_boot() {
        let active = mounted("lsm", "lockdown,capability,bpf", lsm);
        assert_eq!(active, State::Present("lockdown,capability,bpf".into()));
        let State::Missing(obstacle) = mounted("lsm", "capability,bpfilter", lsm) else {
            panic!("a name that begins with bpf is not bpf");
        };
        assert!(obstacle.remedy.contains("lsm=capability,bpfilter,bpf"));
    }

    #[test]
    fn lockdown_stands_in_the_way_in_one_mode_only() {
        let state = |modes| mounted("lockdown", modes, lockdown);
        let none = state("[none] integrity confidentiality\n");
        assert_eq!(none, State::Present("mode none".into()));
        let integrity = state("none [integrity] confidentiality\n");
        assert_eq!(integrity, State::Present("mode integrity".into()));
        let closed = state("none integrity [confidentiality]\n");
        assert!(matches!(closed, State::Missing(_)));
    }

    #[test]
    fn what_securityfs_would_say_is_unknown_without_it() {
        let root = tree(&[("proc/self/mountinfo", "")]);
        let files = Files::under(root.path());
        assert!(matches!(lsm(&files), State::Unknown(_)));
        assert!(matches!(mounted("lsm", "x", lockdown), State::Unknown(_)));
    }
}
