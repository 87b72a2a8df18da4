//! How an agent is started, known to be ready, switched and stopped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use regex::Regex;

use crate::host::Obstacle;
use crate::process::{Ward, WardPlace};

/// Names that no agent of a command may take.
pub(super) const RESERVED: [&str; 6] = ["off", "hook", "event", "elsewhere", "stalled", "stats"];

/// An agent, as a command line or a file describes it.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name in every row.
    pub name: String,
    /// The command, a word each.
    pub command: Vec<String>,
    /// Its environment, beside ours.
    pub environment: BTreeMap<String, String>,
    /// Its working directory; none: ours.
    pub directory: Option<PathBuf>,
    /// How one sees that it is ready.
    pub ready: Ready,
    /// How long it may take until then.
    pub patience: Duration,
    /// The signals that ask it to end, one after the other.
    pub signals: Vec<Signal>,
    /// A command that ends it, before any signal.
    pub stop: Option<Vec<String>>,
    /// What turns it on and off while it stays.
    pub switch: Option<Switch>,
}

/// How one sees that an agent is ready.
#[derive(Debug, Clone)]
pub enum Ready {
    /// Its programs are attached or it traces the program, and nothing more comes; or,
    /// where it does neither, it has become quiet.
    Settled,
    /// It printed a line that matches.
    Line(Regex),
    /// This socket takes connections.
    Socket(PathBuf),
    /// It said what it hooks: our own agent.
    Hooks,
}

/// What turns an agent on and off while its process stays.
#[derive(Debug, Clone)]
pub enum Switch {
    /// Commands, each run to its end.
    Commands {
        /// On.
        on: Vec<Vec<String>>,
        /// Off.
        off: Vec<Vec<String>>,
    },
    /// Lines to its standard input, each answered by a line.
    Lines {
        /// On.
        on: String,
        /// Off.
        off: String,
    },
}

impl Spec {
    /// An agent that is only a name and a command: `opensnoop='opensnoop -T'`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, command) = text
            .split_once('=')
            .ok_or("an agent is NAME='COMMAND', e.g. opensnoop='opensnoop -T'")?;
        Self::new(name, words(command)?)
    }

    /// An agent with all else as it is by default.
    pub fn new(name: &str, command: Vec<String>) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!(
                "{name:?} is no name of an arm: letters, digits and -_.+ are"
            ));
        }
        if RESERVED.contains(&name) {
            return Err(format!(
                "{name} is an arm of its own; name the agent otherwise"
            ));
        }
        if command.is_empty() {
            return Err(format!("the agent {name} has no command"));
        }
        Ok(Self {
            name: name.into(),
            command,
            environment: BTreeMap::new(),
            directory: None,
            ready: Ready::Settled,
            patience: Duration::from_secs(20),
            signals: vec![Signal::SIGINT, Signal::SIGTERM],
            stop: None,
            switch: None,
        })
    }

    /// Whether it is our own agent, which answers lines.
    pub fn is_ours(&self) -> bool {
        matches!(self.switch, Some(Switch::Lines { .. }))
    }

    /// Where it runs.
    pub(super) fn place(&self, ward: &Ward) -> WardPlace {
        ward.place(&format!("agent-{}", self.name))
    }

    /// Whether it wants to know the program's processes, and so must come after them.
    pub fn wants_pids(&self) -> bool {
        self.command.iter().any(|word| word.contains(PIDS))
    }

    /// One of its commands, as and where it runs, with the program's processes filled in.
    pub fn filled(&self, words: &[String], pids: &[u32]) -> Command {
        let list: Vec<_> = pids.iter().map(u32::to_string).collect();
        let list = list.join(",");
        let fill = |word: &String| word.replace(PIDS, &list);
        let mut command = Command::new(fill(&words[0]));
        command.args(words[1..].iter().map(fill));
        command.envs(&self.environment);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

/// What stands for the program's processes in a command.
const PIDS: &str = "{pid}";

/// A command line cut into words as a shell would, quotes and backslashes included.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    shlex::split(text).ok_or_else(|| format!("a quote in {text:?} is not closed"))
}

/// A signal by its name, with or without `SIG`.
pub fn signal(name: &str) -> Result<Signal, Obstacle> {
    let upper = name.to_uppercase();
    let whole = if upper.starts_with("SIG") {
        upper
    } else {
        format!("SIG{upper}")
    };
    whole.parse().map_err(|_| {
        Obstacle::new(
            format!("{name:?} is no signal"),
            "name one as INT, TERM, HUP",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_a_name_and_a_command() {
        let spec = Spec::parse("open=bpftrace -e 'kprobe:x { @ = count(); }'").unwrap();
        assert_eq!(spec.name, "open");
        assert_eq!(
            spec.command,
            ["bpftrace", "-e", "kprobe:x { @ = count(); }"]
        );
        for (text, cause) in [
            ("opensnoop", "NAME='COMMAND'"),
            ("=x", "no name"),
            ("a b=x", "no name"),
            ("a=", "no command"),
            ("a='x", "not closed"),
            ("off=x", "arm of its own"),
        ] {
            let error = Spec::parse(text).unwrap_err();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }

    #[test]
    fn processes_of_the_program_are_filled_in() {
        let spec = Spec::parse("s=strace -f -p {pid}").unwrap();
        assert!(spec.wants_pids());
        let command = spec.filled(&spec.command, &[7, 8]);
        assert!(command.get_args().eq(["-f", "-p", "7,8"]), "{command:?}");
        assert!(!Spec::parse("s=strace").unwrap().wants_pids());
    }

    #[test]
    fn signals_have_short_names() {
        assert_eq!(signal("int").unwrap(), Signal::SIGINT);
        assert_eq!(signal("SIGTERM").unwrap(), Signal::SIGTERM);
        assert!(signal("NOPE").is_err());
    }
}
