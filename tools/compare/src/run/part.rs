//! The part of a bench command that is one shard's.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use probecost::gate::Gate;
use probecost::schema::{Portion, Shard};

use crate::failure::Failure;
use crate::listing::listed;
use crate::shard;

/// Which benchmarks of `command` are this shard's, and the command that runs those alone.
///
/// # Errors
/// It does not list its benchmarks as Criterion does, or none is left for this shard.
pub fn part(
    command: &[String],
    shard: Shard,
    gate: &Gate,
) -> Result<(Portion, Vec<String>), Failure> {
    let names = list(command)?;
    let portion = shard::portion(shard, names.iter().map(String::as_str), gate)?;
    let own: Vec<String> = portion.own.iter().map(|id| regex::escape(id)).collect();
    let filter = format!("^(?:{})$", own.join("|"));
    let command = asked(command, &filter);
    Ok((portion, command))
}

/// The benchmarks that the command lists when it is asked.
fn list(command: &[String]) -> Result<Vec<String>, Failure> {
    let asking = asked(command, "--list");
    let shown = asking.join(" ");
    let failure = |cause: String| {
        Failure::new(format!("{shown}: {cause}"))
            .remedy("--shard takes commands that list their benchmarks as Criterion does")
    };
    let output = Command::new(&asking[0])
        .args(&asking[1..])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failure(e.to_string()))?;
    if !output.status.success() {
        return Err(failure(format!("ended with {}", output.status)));
    }
    let listed = listed(&String::from_utf8_lossy(&output.stdout));
    match listed.ids.is_empty() {
        false => Ok(listed.ids),
        true => Err(failure("lists no benchmark of Criterion's".to_owned())),
    }
}

/// The command with one more argument for the benches: cargo passes on what stands behind
/// its own `--`.
fn asked(command: &[String], more: &str) -> Vec<String> {
    let is_cargo = command
        .first()
        .and_then(|program| Path::new(program).file_name())
        .is_some_and(|name| name == OsStr::new("cargo"));
    let mut asked = command.to_vec();
    if is_cargo && !asked.iter().any(|word| word == "--") {
        asked.push("--".to_owned());
    }
    asked.push(more.to_owned());
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_are_asked_behind_what_cargo_takes_itself() {
        for (command, expected) in [
            ("cargo bench --bench a", "cargo bench --bench a -- --list"),
            ("/bin/cargo bench -- -n", "/bin/cargo bench -- -n --list"),
            ("target/a --bench", "target/a --bench --list"),
        ] {
            let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(asked(&command, "--list").join(" "), expected);
        }
    }
}
