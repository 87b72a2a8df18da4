//! A profile in force: the kernel checks every call of a command against it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use super::Profile;
use crate::host::Obstacle;
use crate::schema::seccomp::SeccompMode;

/// Puts `profile` into force when `command` is spawned, for it and all that descends
/// from it, for good. It gains no rights from then on (no_new_privs).
///
/// # Errors
/// The profile makes no filter.
pub fn confine(
    command: &mut Command,
    profile: &Profile,
    mode: SeccompMode,
) -> Result<(), Obstacle> {
    let filter = compile(profile, mode).map_err(|error| {
        Obstacle::new(
            format!("the profile makes no filter: {error}"),
            "learn it anew",
        )
    })?;
    // SAFETY: two system calls on memory that was there before; nothing is allocated
    // unless one fails, and then the child only reports it.
    unsafe {
        command.pre_exec(move || apply_filter(&filter).map_err(|_| io::Error::last_os_error()));
    }
    Ok(())
}

fn compile(profile: &Profile, mode: SeccompMode) -> Result<BpfProgram, seccompiler::Error> {
    let rules: BTreeMap<i64, _> = profile
        .calls()
        .map(|call| (i64::from(call.id()), Vec::new()))
        .collect();
    let otherwise = match mode {
        SeccompMode::Log => SeccompAction::Log,
        SeccompMode::Kill => SeccompAction::KillProcess,
    };
    let filter = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}
