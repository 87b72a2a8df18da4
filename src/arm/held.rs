//! An arm that is on, from the switch to its end.

use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{Answer, Arm, CommandAgent, Evidence, Probe, Taken};
use crate::host::Obstacle;
use crate::process::{Child, Ward};
use crate::schema::impact::{OwnHooks, Proof};

/// An arm that is on.
pub enum Held {
    /// Nothing is attached.
    Off,
    /// The kernel counts until this is dropped.
    Stats(OwnedFd),
    /// An agent runs.
    Agent(Box<CommandAgent>),
}

/// What was seen of an arm while it was on.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What the proof rests on.
    pub proof: Proof,
    /// How many eBPF programs it had.
    pub programs: usize,
    /// How often they ran while that was counted; `None` where it could not be.
    pub runs: Option<u64>,
    /// Whether this process may not know what is loaded.
    pub is_blind: bool,
    /// What our own agent hooks.
    pub hooks: Option<OwnHooks>,
}

impl Held {
    /// Turns the arm on. `program` are the processes that the agent may want to know.
    pub fn on(arm: &Arm, ward: &Ward, program: &[u32]) -> Result<Self, Obstacle> {
        match arm {
            Arm::Off => Ok(Self::Off),
            Arm::Stats => aya::sys::enable_stats(aya::sys::Stats::RunTime)
                .map(Self::Stats)
                .map_err(|error| {
                    Obstacle::new(
                        format!("the kernel does not count run times: {error}"),
                        "run as root, or with CAP_SYS_ADMIN",
                    )
                }),
            Arm::Agent(spec) => {
                let mut agent = CommandAgent::start(spec, spec.place(ward), program)?;
                agent.on(program)?;
                Ok(Self::Agent(Box::new(agent)))
            }
        }
    }

    /// Looks at what is attached, and counts whether it runs when `stir` makes calls.
    pub fn prove(&mut self, program: &[u32], stir: impl FnOnce()) -> Seen {
        let mut seen = Seen {
            proof: Proof::None,
            programs: 0,
            runs: None,
            is_blind: false,
            hooks: None,
        };
        let Self::Agent(agent) = self else {
            return seen;
        };
        let evidence: Evidence = agent.prove(program).clone();
        seen.is_blind = agent.is_unseen();
        seen.hooks = agent.hooks().cloned();
        seen.proof = evidence.proof();
        seen.programs = evidence.programs.len();
        if seen.proof == Proof::Bpf
            && let Some(probe) = Probe::start()
        {
            stir();
            seen.runs = Some(probe.runs(&evidence));
        }
        seen
    }

    /// CPU time of its agent's processes so far, in seconds, where they are counted.
    pub fn cpu_seconds(&self) -> Option<f64> {
        match self {
            Self::Agent(agent) => agent.cpu_seconds(),
            Self::Off | Self::Stats(_) => None,
        }
    }

    /// The memory that its agent takes now.
    pub fn taken(&self) -> Taken {
        match self {
            Self::Agent(agent) => agent.taken(),
            Self::Off | Self::Stats(_) => Taken::default(),
        }
    }

    /// What our own agent has counted; `None` for any other.
    pub fn counted(&mut self) -> Option<Answer> {
        match self {
            Self::Agent(agent) if agent.is_ours() => {
                serde_json::from_str(&agent.ask("count").ok()?).ok()
            }
            _ => None,
        }
    }

    /// Fails where its agent has ended by itself.
    pub fn alive(&mut self) -> Result<(), Obstacle> {
        match self {
            Self::Agent(agent) => agent.alive(),
            Self::Off | Self::Stats(_) => Ok(()),
        }
    }

    /// Waits for the end of a job, at most so long; `None` where it still runs, or somebody
    /// pressed Ctrl-C. Fails where its agent ends by itself before the job.
    pub fn watch(
        &mut self,
        job: &mut Child,
        longest: Duration,
    ) -> Result<Option<ExitStatus>, Obstacle> {
        match self {
            Self::Agent(agent) => agent.watch(job, longest),
            Self::Off | Self::Stats(_) => Ok(job.wait(longest)),
        }
    }

    /// Turns the arm off and sees that it is: what its agent printed, and what was unusual.
    pub fn off(self) -> Result<super::Ended, Obstacle> {
        match self {
            Self::Off | Self::Stats(_) => Ok(super::Ended::default()),
            Self::Agent(agent) => agent.stop(),
        }
    }
}

/// Does `action` and says how long it took, in milliseconds.
pub fn timed<T>(action: impl FnOnce() -> T) -> (T, f64) {
    let begin = Instant::now();
    let done = action();
    (done, begin.elapsed().as_secs_f64() * 1e3)
}

/// The pause after a switch, in which caches and the kernel's own work settle.
pub const SETTLE: Duration = Duration::from_millis(20);
