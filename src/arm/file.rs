//! An agent as a file describes it: what a command line cannot hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;

use super::spec::{Ready, Spec, Switch, signal, words};
use crate::host::Obstacle;

/// The longest that an agent may be given to become ready, in seconds.
const LONGEST_WAIT: f64 = 600.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    command: String,
    directory: Option<PathBuf>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    ready: ReadyTable,
    #[serde(default)]
    stop: StopTable,
    switch: Option<SwitchTable>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ReadyTable {
    line: Option<String>,
    socket: Option<PathBuf>,
    within_s: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct StopTable {
    signals: Option<Vec<String>>,
    command: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchTable {
    on: Vec<String>,
    off: Vec<String>,
}

impl Spec {
    /// The agent that the file at `path` describes.
    pub fn read(path: &Path) -> Result<Self, Obstacle> {
        let wrong = |why: String| {
            Obstacle::new(
                format!("{}: {}", path.display(), why.trim_end()),
                "see docs/impact.md for what a file of an agent holds",
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        parse(&text).map_err(wrong)
    }
}

fn parse(text: &str) -> Result<Spec, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut spec = Spec::new(&file.name, words(&file.command)?)?;
    spec.directory = file.directory;
    spec.environment = file.environment;
    spec.ready = match (file.ready.line, file.ready.socket) {
        (Some(line), None) => Ready::Line(Regex::new(&line).map_err(|error| error.to_string())?),
        (None, Some(socket)) => Ready::Socket(socket),
        (None, None) => Ready::Settled,
        (Some(_), Some(_)) => return Err("ready.line and ready.socket exclude each other".into()),
    };
    if let Some(seconds) = file.ready.within_s {
        if !(seconds > 0.0 && seconds <= LONGEST_WAIT) {
            return Err(format!(
                "ready.within_s is {seconds}, and must lie in 0..{LONGEST_WAIT}"
            ));
        }
        spec.patience = Duration::from_secs_f64(seconds);
    }
    if let Some(names) = file.stop.signals {
        let signals = names.iter().map(|name| signal(name));
        spec.signals = signals
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())?;
    }
    spec.stop = file.stop.command.as_deref().map(command).transpose()?;
    let all = |commands: &[String]| {
        commands
            .iter()
            .map(|c| command(c))
            .collect::<Result<_, _>>()
    };
    spec.switch = match file.switch {
        Some(table) if table.on.is_empty() || table.off.is_empty() => {
            return Err("switch.on and switch.off each need a command".into());
        }
        Some(table) => Some(Switch::Commands {
            on: all(&table.on)?,
            off: all(&table.off)?,
        }),
        None => None,
    };
    Ok(spec)
}

/// The words of a command that stops or switches.
fn command(text: &str) -> Result<Vec<String>, String> {
    let words = words(text)?;
    match words.is_empty() {
        true => Err("stop.command, switch.on and switch.off take no empty command".into()),
        false => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn a_file_holds_what_a_line_cannot() {
        let spec = parse(
            r#"
            name = "guard"
            command = "guard --config 'a b.toml'"
            directory = "/var/lib/guard"
            environment = { RUST_LOG = "warn" }
            ready = { line = "listening", within_s = 5 }
            stop = { signals = ["TERM"], command = "guardctl stop" }
            switch = { on = ["guardctl enable all"], off = ["guardctl disable all"] }
            "#,
        )
        .unwrap();
        assert_eq!(spec.command, ["guard", "--config", "a b.toml"]);
        assert_eq!(spec.environment["RUST_LOG"], "warn");
        assert_eq!(spec.patience, Duration::from_secs(5));
        assert_eq!(spec.signals, [Signal::SIGTERM]);
        assert!(matches!(spec.ready, Ready::Line(line) if line.is_match("now listening")));
        let Some(Switch::Commands { on, .. }) = spec.switch else {
            panic!("no switch");
        };
        assert_eq!(on, [["guardctl", "enable", "all"]]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, cause) in [
            ("name = 'a'", "missing field `command`"),
            ("name = 'a'\ncommand = 'b'\nredy = 1", "redy"),
            ("name = 'a'\ncommand = 'b'\nready = { line = '(' }", "regex"),
            (
                "name = 'a'\ncommand = 'b'\nready = { line = 'x', socket = '/y' }",
                "exclude",
            ),
            (
                "name = 'a'\ncommand = 'b'\nready = { within_s = 0 }",
                "within_s",
            ),
            (
                "name = 'a'\ncommand = 'b'\nstop = { signals = ['X'] }",
                "no signal",
            ),
            (
                "name = 'a'\ncommand = 'b'\nswitch = { on = [], off = ['x'] }",
                "each need a command",
            ),
            (
                "name = 'a'\ncommand = 'b'\nswitch = { on = [''], off = ['x'] }",
                "no empty command",
            ),
            (
                "name = 'a'\ncommand = 'b'\nstop = { command = '' }",
                "no empty command",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }
}
