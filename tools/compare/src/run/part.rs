//! The part of a bench command that is one shard's.

use std::ffi::OsStr;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cargo_metadata::{Message, TargetKind};
use probecost::gate::Gate;
use probecost::schema::{Portion, Shard};

use super::process::BenchProcess;
use crate::bench_place::BenchPlace;
use crate::failure::Failure;
use crate::listing::{listed, pattern};
use crate::shard;

/// The longest that a process may take to list its benchmarks.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a shard runs.
pub struct Part {
    /// Its benchmarks.
    pub portion: Portion,
    /// What runs those alone, in the words of the command that it is a part of.
    pub command: Vec<String>,
    /// The same, process by process.
    pub processes: Vec<BenchProcess>,
}

/// A process, and the benchmarks that it lists.
struct ListedProcess {
    process: BenchProcess,
    ids: Vec<String>,
}

/// Which benchmarks of `command` are this shard's. What no bench lists, as counts and
/// figures, is the first shard's.
///
/// # Errors
/// It does not build, lists nothing as Criterion does, or none is left for this shard.
pub fn part(command: &[String], shard: Shard, gate: &Gate) -> Result<Part, Failure> {
    let all: Vec<ListedProcess> = match is_cargo(command) {
        true => built(command)?.into_iter().map(of_many).collect(),
        false => vec![alone(command)],
    }
    .into_iter()
    .collect::<Result<_, _>>()?;
    let names = || all.iter().flat_map(|listed| &listed.ids);
    if names().next().is_none() {
        return Err(refused(
            &command.join(" "),
            "lists no benchmark of Criterion's",
        ));
    }
    for listed in &all {
        if let Some([title, id]) = twins(&listed.ids) {
            let why = format!(
                "lists two benchmarks as `{title}`, the other as `{id}`: parts tell them by their names"
            );
            return Err(Failure::new(format!("{}: {why}", listed.process.name()))
                .remedy("give them names of their own, shorter than 100 bytes"));
        }
    }
    let portion = shard::portion(shard, names().map(String::as_str), gate)?;
    let own: Vec<String> = portion.own.iter().map(|id| pattern(id)).collect();
    let filter = format!("^(?:{})$", own.join("|"));
    if let Some(listed) = all.iter().find(|listed| !listed.ids.is_empty())
        && let Err(why) = list(&listed.process.asked(&filter))?
    {
        let shown = format!("{} {filter} --list", command.join(" "));
        return Err(Failure::new(format!("{shown}: {why}"))
            .remedy("leave out a filter of your own: --shard asks by one"));
    }
    let ours = |listed: &&ListedProcess| {
        shard.index() == 1 || listed.ids.iter().any(|id| portion.own.contains(id))
    };
    let processes = all
        .iter()
        .filter(ours)
        .map(|listed| match listed.ids.is_empty() {
            true => listed.process.clone(),
            false => listed.process.asked(&filter),
        });
    Ok(Part {
        processes: processes.collect(),
        command: asked(command, &filter),
        portion,
    })
}

/// Two benchmarks of one name, which Criterion tells apart by a number.
fn twins(ids: &[String]) -> Option<[&str; 2]> {
    ids.iter().find_map(|id| {
        let (title, number) = id.rsplit_once(" #")?;
        let is_twin = number.parse::<u32>().is_ok() && ids.iter().any(|other| other == title);
        is_twin.then_some([title, id.as_str()])
    })
}

fn is_cargo(command: &[String]) -> bool {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    program == Some(OsStr::new("cargo"))
}

/// The benches that a command of cargo's builds.
fn built(command: &[String]) -> Result<Vec<BenchProcess>, Failure> {
    let mut words = command.splitn(2, |word| word == "--");
    let (cargo, theirs) = (words.next().unwrap_or(&[]), words.next().unwrap_or(&[]));
    let shown = format!("{} --no-run", cargo.join(" "));
    let failure = |cause: String| refused(&shown, &cause).remedy(shown.clone());
    let mut child = Command::new(&command[0])
        .args(&cargo[1..])
        .args(["--no-run", "--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failure(e.to_string()))?;
    let mut said = Vec::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_end(&mut said)
            .map_err(|e| failure(e.to_string()))?;
    }
    let status = child.wait().map_err(|e| failure(e.to_string()))?;
    if !status.success() {
        return Err(failure(format!("ended with {status}")));
    }
    let messages: Vec<Message> = Message::parse_stream(BufReader::new(&*said))
        .filter_map(Result::ok)
        .collect();
    let benches = messages.iter().filter_map(|message| match message {
        Message::CompilerArtifact(made) if made.target.kind.contains(&TargetKind::Bench) => {
            let executable = made.executable.as_ref()?.as_std_path();
            let package = made.manifest_path.parent()?.as_std_path();
            let place = BenchPlace::built(package, executable, &messages);
            Some(BenchProcess::built(executable, theirs, place))
        }
        _ => None,
    });
    Ok(benches.collect())
}

/// A command that cargo has no part in, as it is.
fn alone(command: &[String]) -> Result<ListedProcess, Failure> {
    let process = BenchProcess::here(command.to_vec());
    let shown = format!("{} --list", command.join(" "));
    match list(&process)? {
        Err(cause) => Err(refused(&shown, &cause)),
        Ok(ids) if ids.is_empty() => Err(refused(&shown, "lists no benchmark of Criterion's")),
        Ok(ids) => Ok(ListedProcess { process, ids }),
    }
}

/// One bench of several: others may list what it does not.
fn of_many(process: BenchProcess) -> Result<ListedProcess, Failure> {
    let ids = list(&process)?.unwrap_or_else(|why| {
        eprintln!("{}: left to the first shard: --list {why}", process.name());
        Vec::new()
    });
    Ok(ListedProcess { process, ids })
}

/// The benchmarks that a process lists, or why it lists none.
fn list(process: &BenchProcess) -> Result<Result<Vec<String>, String>, Failure> {
    let asking = process.asked("--list");
    match asking.answer(PATIENCE) {
        Err(e) => Err(refused(process.name(), &e.to_string())),
        Ok(None) => Err(refused(
            &format!("{} --list", process.name()),
            &format!("took longer than {} s and was ended", PATIENCE.as_secs()),
        )),
        Ok(Some((status, _))) if !status.success() => Ok(Err(format!("ended with {status}"))),
        Ok(Some((_, said))) => Ok(Ok(listed(&said).ids)),
    }
}

fn refused(shown: &str, cause: &str) -> Failure {
    Failure::new(format!("{shown}: {cause}"))
        .remedy("--shard takes commands that list their benchmarks as Criterion does")
}

/// The command with one more argument for the benches: cargo passes on what stands behind
/// its own `--`.
fn asked(command: &[String], more: &str) -> Vec<String> {
    let mut asked = command.to_vec();
    if is_cargo(command) && !asked.iter().any(|word| word == "--") {
        asked.push("--".to_owned());
    }
    asked.push(more.to_owned());
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_name_are_seen() {
        let ids = |ids: &[&str]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(twins(&ids(&["a", "b", "a #2"])), Some(["a", "a #2"]));
        assert_eq!(twins(&ids(&["x... #2", "x..."])), Some(["x...", "x... #2"]));
        assert_eq!(twins(&ids(&["issue #2", "issue #3", "a #b", "a"])), None);
    }

    #[test]
    fn benches_are_asked_behind_what_cargo_takes_itself() {
        for (command, expected) in [
            ("cargo bench --bench a", "cargo bench --bench a -- a"),
            ("/bin/cargo bench -- -n", "/bin/cargo bench -- -n a"),
            ("target/a --bench", "target/a --bench a"),
        ] {
            let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(asked(&command, "a").join(" "), expected);
        }
    }
}
