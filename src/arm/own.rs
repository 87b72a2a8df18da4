//! Our own agent as an arm: a process of its own, so that what it takes is counted as any
//! other agent's is.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::spec::{Ready, Spec, Switch};
use crate::agent::record::FileId;
use crate::agent::{self, Counters, Options, Scope, Wakeup};
use crate::host::Obstacle;

/// Names that no agent of a command may take.
pub(super) const RESERVED: [&str; 6] = ["off", "hook", "event", "elsewhere", "stalled", "stats"];

/// What our agent does to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attached, no rule matches, nothing is emitted.
    Hook,
    /// Attached, every call emits an event.
    Event,
    /// The same, for the processes of another cgroup.
    Elsewhere,
    /// The same, and its consumer does not read.
    Stalled,
}

/// How our agent is set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Knobs {
    /// What the agent is told.
    pub options: Options,
    /// Path rules that match nothing.
    pub path_rules: usize,
    /// Inode rules that match nothing.
    pub inode_rules: usize,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            options: Options {
                scope: Scope::Everyone,
                wakeup: Wakeup::Bytes(64 << 10),
                drain_every: Duration::from_millis(100),
                ..Options::default()
            },
            path_rules: 0,
            inode_rules: 0,
        }
    }
}

impl Mode {
    /// Its name in every row.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Event => "event",
            Self::Elsewhere => "elsewhere",
            Self::Stalled => "stalled",
        }
    }

    /// The arm: this executable as an agent for the processes in `program`, or for those in
    /// `elsewhere`, where there are none.
    pub fn spec(
        self,
        knobs: &Knobs,
        program: Option<&Path>,
        elsewhere: Option<&Path>,
    ) -> Result<Spec, Obstacle> {
        let mut knobs = knobs.clone();
        let cgroup = match self {
            Self::Elsewhere => elsewhere.map(Some).ok_or_else(|| {
                Obstacle::new(
                    "no cgroup can be made for the arm elsewhere",
                    "run as root, where a cgroup v2 tree is mounted",
                )
            })?,
            _ => program,
        };
        if let Some(cgroup) = cgroup {
            knobs.options.scope = Scope::Cgroup(cgroup.to_owned());
        }
        let executable = std::env::current_exe()
            .map_err(|error| Obstacle::new(format!("this executable: {error}"), "mount /proc"))?;
        let settings = serde_json::to_string(&knobs).expect("settings are plain data");
        Ok(Spec {
            name: self.name().into(),
            command: vec![
                executable.to_string_lossy().into_owned(),
                "serve-agent".into(),
                settings,
            ],
            environment: Default::default(),
            directory: None,
            ready: Ready::Line(Regex::new("^\\{").expect("a valid pattern")),
            patience: Duration::from_secs(20),
            signals: vec![Signal::SIGTERM],
            stop: None,
            switch: Some(Switch::Lines {
                on: self.name().into(),
                off: "off".into(),
            }),
        })
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Hook, Self::Event, Self::Elsewhere, Self::Stalled]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| format!("{text:?} is not hook, event, elsewhere or stalled"))
    }
}

/// What our agent answers to every line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of all hooks, since it started.
    pub counters: Counters,
    /// Records that its consumer has taken.
    pub received: u64,
}

/// Is our agent, in this process, until the end of standard input: a line is `off` or the
/// name of a mode, anything else a question, and each is answered with what was counted so far.
pub fn serve(knobs: &Knobs) -> Result<(), Obstacle> {
    let mut agent = agent::Agent::start(knobs.options.clone())?;
    for number in 0..knobs.path_rules {
        agent.add_rule(&agent::Rule::Path(format!("/no/such/file/{number}").into()))?;
    }
    for number in 0..knobs.inode_rules {
        let file = FileId::new(u64::MAX - number as u64, 0);
        agent.add_rule(&agent::Rule::File(file))?;
    }
    agent.pause_consumer(true);
    let mut reads = false;
    let mut out = std::io::stdout();
    let mut answer = |agent: &agent::Agent| -> Result<(), Obstacle> {
        let stats = agent.stats()?;
        let answer = Answer {
            counters: stats.total(),
            received: stats.received,
        };
        // Whoever asked is gone where this fails, and standard input ends next.
        let _ = writeln!(
            out,
            "{}",
            serde_json::to_string(&answer).expect("plain data")
        );
        let _ = out.flush();
        Ok(())
    };
    answer(&agent)?;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match (line.as_str(), line.parse::<Mode>()) {
            ("off", _) => {
                agent.detach();
                reads = false;
            }
            (_, Ok(mode)) => {
                agent.set_emitting(mode != Mode::Hook)?;
                reads = mode != Mode::Stalled;
                agent.attach()?;
            }
            _ if reads => {
                // What has not arrived by then is shown by the counts.
                let _ = agent.drain();
            }
            _ => {}
        }
        agent.pause_consumer(!reads);
        answer(&agent)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written_and_reserved() {
        for name in ["hook", "event", "elsewhere", "stalled"] {
            assert_eq!(name.parse::<Mode>().unwrap().name(), name);
            assert!(RESERVED.contains(&name));
        }
        assert!("evnt".parse::<Mode>().is_err());
    }
}
