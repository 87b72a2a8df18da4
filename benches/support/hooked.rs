//! Blocks under a hook that every process pays for, the other side of a duet as well.

#![allow(dead_code, reason = "each target takes what it needs")]

use std::time::Duration;

use probecost::agent::{Agent, Load};
use probecost::host::Obstacle;

use super::required::fail;
use super::turns::{self, Ns, Turn};

/// What hooks something.
pub trait Hook {
    /// Puts the hook in place. Nothing to do if it is.
    fn attach(&mut self) -> Result<(), Obstacle>;

    /// Takes it away and waits until nothing is left to do for it.
    fn detach(&mut self) -> Result<(), Obstacle>;
}

impl Hook for Agent {
    fn attach(&mut self) -> Result<(), Obstacle> {
        Agent::attach(self)
    }

    fn detach(&mut self) -> Result<(), Obstacle> {
        Agent::detach(self);
        self.drain().map(drop)
    }
}

impl Hook for Load {
    fn attach(&mut self) -> Result<(), Obstacle> {
        Load::attach(self)
    }

    fn detach(&mut self) -> Result<(), Obstacle> {
        Load::detach(self);
        self.drain().map(drop)
    }
}

/// Blocks of operations under one hook. Where turns are taken it is in place in this
/// side's own only, and otherwise from the first to the last.
pub struct Hooked<'a, H> {
    hook: &'a mut H,
    /// The least nanoseconds that an operation took.
    ns_per_op: f64,
}

impl<'a, H: Hook> Hooked<'a, H> {
    /// To attach takes longer than what Criterion then asks for, which would be measured
    /// with cold caches: a block of a turn has operations for so many nanoseconds.
    const SHORTEST: f64 = 5e6;

    /// Attaches, or sees that nothing is attached where turns are taken.
    pub fn new(hook: &'a mut H) -> Result<Self, Obstacle> {
        if turns::are_taken() {
            hook.detach()?;
        } else {
            hook.attach()?;
        }
        Ok(Self {
            hook,
            ns_per_op: f64::INFINITY,
        })
    }

    /// What hooks.
    pub fn hook(&mut self) -> &mut H {
        self.hook
    }

    /// The time of `times` operations, of which `time` makes and times any number.
    pub fn block(&mut self, times: u64, time: impl FnOnce(&mut H, u64) -> Duration) -> Ns {
        let turn = Turn::take();
        if !turns::are_taken() {
            return turn.took(time(self.hook, times));
        }
        self.turn(turn, times, time)
            .unwrap_or_else(|obstacle| fail(&obstacle))
    }

    fn turn(
        &mut self,
        turn: Turn,
        times: u64,
        time: impl FnOnce(&mut H, u64) -> Duration,
    ) -> Result<Ns, Obstacle> {
        let made = times.max((Self::SHORTEST / self.ns_per_op) as u64);
        self.hook.attach()?;
        let took = turn.took(time(self.hook, made));
        self.hook.detach()?;
        self.ns_per_op = self.ns_per_op.min(took.get() / made as f64);
        Ok(took.scaled(times as f64 / made as f64))
    }
}
