//! Every rung of the agent's ladder, tried by itself: `probecost host --rungs`.
//!
//! A line each: its name; `taken` where the agent hooks by it here, `holds` where
//! it also could, `no`, or `wrong`; and why.

use std::fs::File;
use std::net::UdpSocket;
use std::process::Command;

use probecost::agent::{Agent, Operation, Options, Rung, Scope};
use probecost::host::Obstacle;
use probecost::report;
use probecost::schema::Exit;

/// How often the operation is done.
const TIMES: u64 = 100;

/// Prints them; failed where a rung is `wrong`: it holds, and does not do what it
/// promises.
pub fn print() -> Exit {
    let everyone = Options {
        scope: Scope::Everyone,
        ..Options::default()
    };
    let best = Agent::start(everyone).map(|agent| agent.hooks().clone());
    let (mut text, mut wrong) = (String::new(), false);
    for operation in Operation::ALL {
        let taken = best
            .as_ref()
            .ok()
            .and_then(|hooks| hooks.of(operation).rung);
        for &rung in operation.rungs() {
            let (word, why) = match proven(operation, rung) {
                Ok(()) if taken == Some(rung) => ("taken", String::new()),
                Ok(()) => ("holds", String::new()),
                Err(Flaw::Missing(why)) => ("no", why),
                Err(Flaw::Wrong(why)) => ("wrong", why),
            };
            wrong |= word == "wrong";
            text += &format!("{:<36} {word:<5} {why}\n", rung.name());
        }
    }
    report::print(&text);
    if wrong { Exit::Failed } else { Exit::Passed }
}

/// Why a rung cannot be used.
enum Flaw {
    /// It does not hold here.
    Missing(String),
    /// It holds, and does not do what it promises.
    Wrong(String),
}

impl From<Obstacle> for Flaw {
    fn from(obstacle: Obstacle) -> Self {
        Self::Wrong(obstacle.to_string())
    }
}

/// Whether by this rung each operation gives one event while the agent is
/// attached and none afterwards.
fn proven(operation: Operation, rung: Rung) -> Result<(), Flaw> {
    let options = Options {
        rung: Some(rung),
        // What runs is another process than the one that asks for it.
        scope: match operation {
            Operation::Exec => Scope::Everyone,
            Operation::Open | Operation::Connect => Scope::ThisProcess,
        },
        ..Options::default()
    };
    let mut agent = Agent::start(options).map_err(|obstacle| Flaw::Missing(obstacle.why))?;
    let hook = agent.hooks().of(operation);
    if hook.rung != Some(rung) {
        let tried = hook.tried.iter().find(|tried| tried.rung == rung);
        let why = tried.map_or("not tried", |tried| &tried.error);
        return Err(Flaw::Missing(why.into()));
    }
    let target = UdpSocket::bind("127.0.0.1:0").map_err(|error| failed(&error))?;
    let times = || {
        (0..TIMES).try_for_each(|_| match operation {
            Operation::Open => File::open("/etc/hosts").map(drop),
            Operation::Connect => UdpSocket::bind("127.0.0.1:0")?.connect(target.local_addr()?),
            Operation::Exec => Command::new("/bin/true").status().map(drop),
        })
    };

    agent.attach_only(operation)?;
    agent.set_emitting(true)?;
    let before = agent.stats()?;
    times().map_err(|error| failed(&error))?;
    let after = agent.drain()?;
    agent.detach();
    times().map_err(|error| failed(&error))?;
    let detached = agent.stats()?;

    let counts = after.of(operation) - before.of(operation);
    let one_each = match operation {
        // Strangers run programs, too.
        Operation::Exec => counts.submitted >= TIMES,
        Operation::Open | Operation::Connect => counts.submitted == TIMES,
    };
    let arrived = after.received - before.received;
    if !one_each || counts.submitted != counts.seen || arrived != counts.submitted {
        return Err(Flaw::Wrong(format!("{TIMES} operations gave {counts:?}")));
    }
    let unwanted = detached.of(operation).seen - after.of(operation).seen;
    if unwanted > 0 {
        return Err(Flaw::Wrong(format!(
            "detached, it still saw {unwanted} calls"
        )));
    }
    Ok(())
}

fn failed(error: &std::io::Error) -> Flaw {
    Flaw::Wrong(format!("the operation failed: {error}"))
}
