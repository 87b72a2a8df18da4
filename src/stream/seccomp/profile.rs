//! A profile: the system calls that a program may make.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompBuilder, LinuxSyscall, LinuxSyscallBuilder,
};
use syscalls::Sysno;

use crate::gate::nearest;
use crate::host::Obstacle;

/// EPERM: what a runtime answers to a call outside the profile.
const DENIED: u32 = 1;

/// What a program needs besides what it was seen to call.
///
/// What crun (1.8) calls between putting a profile into force and starting the program,
/// without no_new_privs (with it: `close` and `execve`), and what it ends by where it
/// cannot: seen by `strace -f crun run`.
///
/// And what is called in the program's name, whether or not a run shows it:
/// `restart_syscall` where a wait goes on after a stop, `rt_sigreturn` where a handler
/// ends, and the calls for which the vDSO stands in, made where it cannot (a clock source
/// without one).
pub const BASE: [&str; 16] = [
    "capset",
    "clock_gettime",
    "close",
    "execve",
    "exit_group",
    "getcpu",
    "gettimeofday",
    "prctl",
    "restart_syscall",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "setresgid",
    "setresuid",
    "time",
    "write",
];

/// The calls that containers may make by default.
const DEFAULT: &str = include_str!("default.txt");

/// The calls that are allowed, by name. Written the same way for the same calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    own: BTreeSet<&'static str>,
    base: BTreeSet<&'static str>,
}

impl Profile {
    /// Of calls that a program was seen to make, and those of [`BASE`].
    pub fn learnt(calls: impl IntoIterator<Item = Sysno>) -> Self {
        let own: BTreeSet<_> = calls.into_iter().map(|call| call.name()).collect();
        let base = BASE.into_iter().filter(|name| !own.contains(name));
        Self {
            base: base.collect(),
            own,
        }
    }

    /// What containers may call by default.
    pub fn of_containers() -> Self {
        let names = DEFAULT.lines().filter(|line| !line.starts_with('#'));
        let calls = names.filter_map(|name| name.parse::<Sysno>().ok());
        Self {
            own: calls.map(|call| call.name()).collect(),
            base: BTreeSet::new(),
        }
    }

    /// Reads an OCI profile.
    ///
    /// # Errors
    /// It is no such profile, names a call that does not exist, is for another
    /// architecture, or says more than which calls are allowed.
    pub fn read(path: &Path) -> Result<Self, Obstacle> {
        let wrong =
            |why: String, remedy: &str| Obstacle::new(format!("{}: {why}", path.display()), remedy);
        let text =
            fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}"), LEARN_ONE))?;
        let oci: LinuxSeccomp = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("is no OCI seccomp profile: {error}"), LEARN_ONE))?;
        Self::of(&oci).map_err(|why| wrong(why, LEARN_ONE))
    }

    fn of(oci: &LinuxSeccomp) -> Result<Self, String> {
        if let Some(architectures) = oci.architectures()
            && !architectures.contains(&Arch::ScmpArchX86_64)
        {
            let names: Vec<_> = architectures.iter().map(ToString::to_string).collect();
            return Err(format!(
                "is for {}, and this machine is SCMP_ARCH_X86_64",
                names.join(", ")
            ));
        }
        if oci.default_action() == LinuxSeccompAction::ScmpActAllow {
            return Err("allows by default, so it denies nothing that it does not name".into());
        }
        let mut own = BTreeSet::new();
        for rule in oci.syscalls().iter().flatten() {
            if rule.action() != LinuxSeccompAction::ScmpActAllow {
                return Err(format!(
                    "has a rule with {}; only lists of allowed calls can be put into force here",
                    rule.action()
                ));
            }
            if rule.args().as_ref().is_some_and(|args| !args.is_empty()) {
                let names = rule.names().join(", ");
                return Err(format!(
                    "allows {names} by its arguments; only whole calls can be allowed here"
                ));
            }
            for name in rule.names() {
                own.extend(known(name)?.map(|call| call.name()));
            }
        }
        Ok(Self {
            own,
            base: BTreeSet::new(),
        })
    }

    /// All calls that are allowed.
    pub fn calls(&self) -> impl Iterator<Item = Sysno> + '_ {
        // Every name came from a number.
        self.names().filter_map(|name| name.parse().ok())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.own.len() + self.base.len()
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a call is allowed.
    pub fn allows(&self, call: Sysno) -> bool {
        self.own.contains(call.name()) || self.base.contains(call.name())
    }

    /// Calls that are allowed for the sake of [`BASE`] alone.
    pub fn base(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.base.iter().copied()
    }

    /// The file: an OCI `linux.seccomp` object whose first rule holds the program's own
    /// calls and whose second, if any, the others of [`BASE`].
    pub fn json(&self) -> Vec<u8> {
        let rules = [&self.own, &self.base];
        let rules = rules.into_iter().filter(|names| !names.is_empty());
        let oci = LinuxSeccompBuilder::default()
            .default_action(LinuxSeccompAction::ScmpActErrno)
            .default_errno_ret(DENIED)
            .architectures(vec![Arch::ScmpArchX86_64])
            .syscalls(rules.map(allowing).collect::<Vec<_>>())
            .build()
            .expect("every field has a default");
        let mut json = serde_json::to_vec_pretty(&oci).expect("strings and numbers only");
        json.push(b'\n');
        json
    }

    fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.own.iter().chain(&self.base).copied()
    }
}

const LEARN_ONE: &str = "make one with: probecost seccomp learn --out FILE -- COMMAND";

fn allowing(names: &BTreeSet<&str>) -> LinuxSyscall {
    LinuxSyscallBuilder::default()
        .names(names.iter().map(ToString::to_string).collect::<Vec<_>>())
        .action(LinuxSeccompAction::ScmpActAllow)
        .build()
        .expect("every field has a default")
}

/// The call of this name; none where only another architecture has it, as profiles
/// that are written for several name them.
fn known(name: &str) -> Result<Option<Sysno>, String> {
    if let Ok(call) = name.parse() {
        return Ok(Some(call));
    }
    if name.parse::<syscalls::x86::Sysno>().is_ok() {
        return Ok(None);
    }
    let all = Sysno::iter().map(|call| call.name());
    let hint = nearest(name, all).map_or(String::new(), |near| format!(" (is {near} meant?)"));
    Err(format!("names {name}, which is no system call{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Profile, Obstacle> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Profile::read(file.path())
    }

    #[test]
    fn the_same_calls_give_the_same_bytes_in_any_order() {
        let one = Profile::learnt([Sysno::write, Sysno::read, Sysno::openat]);
        let other = Profile::learnt([Sysno::openat, Sysno::read, Sysno::write, Sysno::read]);
        assert_eq!(one.json(), other.json());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let profile = Profile::learnt([Sysno::read, Sysno::mmap]);
        let again = read(&String::from_utf8(profile.json()).unwrap()).unwrap();
        assert_eq!(again.len(), 2 + BASE.len());
        assert!(profile.calls().all(|call| again.allows(call)));
        assert!(!again.allows(Sysno::socket));
    }

    #[test]
    fn the_base_stands_apart() {
        let json: serde_json::Value =
            serde_json::from_slice(&Profile::learnt([Sysno::read, Sysno::write]).json()).unwrap();
        assert_eq!(
            json["syscalls"][0]["names"],
            serde_json::json!(["read", "write"])
        );
        let base = json["syscalls"][1]["names"].as_array().unwrap();
        assert!(base.contains(&"execve".into()) && !base.contains(&"write".into()));
    }

    #[test]
    fn what_is_called_in_a_program_s_name_is_allowed() {
        let profile = Profile::learnt([Sysno::read]);
        for call in [
            Sysno::restart_syscall,
            Sysno::rt_sigreturn,
            Sysno::clock_gettime,
            Sysno::gettimeofday,
            Sysno::time,
            Sysno::getcpu,
        ] {
            assert!(profile.allows(call), "{call}");
        }
    }

    #[test]
    fn every_call_of_the_lists_exists() {
        let named = DEFAULT.lines().filter(|line| !line.starts_with('#'));
        for name in named.chain(BASE) {
            assert!(name.parse::<Sysno>().is_ok(), "{name}");
        }
        assert!(Profile::of_containers().len() > 300);
    }

    #[test]
    fn a_profile_that_cannot_be_applied_says_why() {
        let allow =
            |rule: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rule}]}}"#);
        for (text, why) in [
            ("not json".to_string(), "is no OCI seccomp profile"),
            ("{}".into(), "is no OCI seccomp profile"),
            (
                allow(r#"{"names": ["raed"], "action": "SCMP_ACT_ALLOW"}"#),
                "names raed, which is no system call (is read meant?)",
            ),
            (
                allow(r#"{"names": ["read"], "action": "SCMP_ACT_KILL"}"#),
                "has a rule with",
            ),
            (
                allow(
                    r#"{"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}"#,
                ),
                "allows clone by its arguments",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_AARCH64"]}"#
                    .into(),
                "is for SCMP_ARCH_AARCH64, and this machine",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#.into(),
                "allows by default",
            ),
        ] {
            let obstacle = read(&text).unwrap_err();
            assert!(obstacle.why.contains(why), "{obstacle}");
        }
        let missing = Profile::read(Path::new("/nowhere/profile.json")).unwrap_err();
        assert!(
            missing.why.starts_with("/nowhere/profile.json"),
            "{missing}"
        );
    }

    #[test]
    fn names_of_the_other_table_are_left_out() {
        let text = r#"{"defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": ["chown32", "read"], "action": "SCMP_ACT_ALLOW"}]}"#;
        assert_eq!(read(text).unwrap().len(), 1);
    }
}
