//! Our own agent as an arm: a process of its own, so that what it takes is counted as any
//! other agent's is.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::spec::{Ready, Spec, Switch};
use crate::agent::record::{FileId, Record};
use crate::agent::{self, Counters, Options, Scope, Wakeup};
use crate::host::{self, Obstacle};
use crate::pipeline::{Cgroups, Detail, DetailReport, Hashing};
use crate::schema::impact::OwnHooks;

/// What our agent does to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnMode {
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
    /// An allow-list of cgroups: those in it beside the program's.
    pub allow: Option<Vec<PathBuf>>,
    /// Whether it counts events by process, path and cgroup.
    pub detail: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            options: Options {
                scope: Scope::Everyone,
                // Every byte of a ring counts three times: as a map, and mapped twice.
                ring_bytes: 1 << 20,
                wakeup: Wakeup::Bytes(64 << 10),
                drain_every: Duration::from_millis(100),
                ..Options::default()
            },
            path_rules: 0,
            inode_rules: 0,
            allow: None,
            detail: false,
        }
    }
}

impl Knobs {
    /// Whether our agent can be set so on this machine: it is started, and gone again.
    ///
    /// # Errors
    /// It cannot.
    pub fn try_out(&self) -> Result<(), Obstacle> {
        start(self, |_: &[u8]| ()).map(drop)
    }
}

impl OwnMode {
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
            Self::Elsewhere => Some(elsewhere.ok_or_else(|| no_cgroup("the arm elsewhere"))?),
            _ => program,
        };
        knobs.options.scope = match (cgroup, knobs.allow.take()) {
            (None, None) => Scope::Everyone,
            (Some(cgroup), None) => Scope::Cgroup(cgroup.to_owned()),
            (Some(cgroup), Some(others)) => {
                Scope::Cgroups([vec![cgroup.to_owned()], others].concat())
            }
            (None, Some(_)) => return Err(no_cgroup("an allow-list")),
        };
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
            ready: Ready::Hooks,
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

fn no_cgroup(what: &str) -> Obstacle {
    Obstacle::new(
        format!("no cgroup can be made for {what}"),
        "run as root, where a cgroup v2 tree is mounted",
    )
}

impl std::str::FromStr for OwnMode {
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

/// Our agent, set so, with its rules.
fn start(
    knobs: &Knobs,
    sink: impl FnMut(&[u8]) + Send + 'static,
) -> Result<agent::Agent, Obstacle> {
    let mut agent = agent::Agent::start_with(knobs.options.clone(), sink)?;
    for number in 0..knobs.path_rules {
        agent.add_rule(&agent::Rule::Path(format!("/no/such/file/{number}").into()))?;
    }
    for number in 0..knobs.inode_rules {
        let file = FileId::new(u64::MAX - number as u64, 0);
        agent.add_rule(&agent::Rule::File(file))?;
    }
    Ok(agent)
}

/// Is our agent, in this process, until the end of standard input. First it says what it
/// hooks; then a line is `off` or the name of a mode, anything else a question, and each is
/// answered with what was counted so far.
pub fn serve(knobs: &Knobs) -> Result<(), Obstacle> {
    let detail = knobs.detail.then(SharedDetail::default);
    let counted = detail.clone();
    let mut agent = start(knobs, move |bytes: &[u8]| {
        // Decoding is what an agent at least does with a record.
        let record = std::hint::black_box(Record::decode(bytes));
        if let (Ok(record), Some(detail)) = (record, &counted) {
            detail.lock().add(&record);
        }
    })?;
    agent.pause_consumer(true);
    agent::heap::release_free_memory();
    let mut reads = false;
    // Whoever asked is gone where a line cannot be written, and standard input ends next.
    let say = |line: String| {
        let _ = writeln!(std::io::stdout(), "{line}");
    };
    let answer = |agent: &agent::Agent, reads: bool| -> Result<(), Obstacle> {
        let counters = agent.stats()?.total();
        if reads {
            // What has not arrived by then is shown by the counts.
            let _ = agent.drain();
        }
        let answer = Answer {
            counters,
            // Records come in their order: what came besides was submitted since.
            received: agent.stats()?.received.min(counters.submitted),
        };
        say(serde_json::to_string(&answer).expect("plain data"));
        Ok(())
    };
    let hooks = OwnHooks::from(agent.hooks());
    say(serde_json::to_string(&hooks).expect("plain data"));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == DETAIL {
            let report = detail.as_ref().map(SharedDetail::report);
            say(serde_json::json!(report).to_string());
            continue;
        }
        let is_question = match (line.as_str(), line.parse::<OwnMode>()) {
            ("off", _) => {
                agent.detach();
                reads = false;
                false
            }
            (_, Ok(mode)) => {
                agent.set_emitting(mode != OwnMode::Hook)?;
                reads = mode != OwnMode::Stalled;
                agent.attach()?;
                false
            }
            _ => true,
        };
        agent.pause_consumer(!reads);
        answer(&agent, is_question && reads)?;
    }
    Ok(())
}

/// Asks for the detailed statistics: a line of JSON, `null` where none are kept.
pub(super) const DETAIL: &str = "detail";

/// How many of each kind are told.
const TOP: usize = 10;

/// What the consumer's thread counts, and this one reports.
#[derive(Clone)]
struct SharedDetail(Arc<Mutex<Detail>>);

impl Default for SharedDetail {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Detail::new(&Hashing::random()))))
    }
}

impl SharedDetail {
    fn lock(&self) -> MutexGuard<'_, Detail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> DetailReport {
        let root = host::cgroup2_mount().ok();
        self.lock().report(TOP, &mut Cgroups::new(root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written_and_reserved() {
        for name in ["hook", "event", "elsewhere", "stalled"] {
            assert_eq!(name.parse::<OwnMode>().unwrap().name(), name);
            assert!(crate::arm::spec::RESERVED.contains(&name));
        }
        assert!("evnt".parse::<OwnMode>().is_err());
    }
}
