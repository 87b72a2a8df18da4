//! Blocks of operations that time themselves, under a hook or under none.

use std::time::Duration;

use probecost::agent::Agent;
use probecost::host::Obstacle;
use probecost::instrument::RecordLoad;
use probecost::pipeline::http::Tracer;

use crate::fail::fail;
use crate::turns::{self, Ns, Turn};

/// The shortest block of a turn, unless a target says otherwise: settling and attaching
/// take as long.
pub const BLOCK: Duration = Duration::from_millis(5);

/// What every process on the machine pays for while it is in place.
pub trait Hook {
    /// Puts it in place. Nothing to do if it is.
    fn attach(&mut self) -> Result<(), Obstacle>;

    /// Takes it away and waits until nothing is left to be done for it.
    fn detach(&mut self) -> Result<(), Obstacle>;
}

impl Hook for () {
    fn attach(&mut self) -> Result<(), Obstacle> {
        Ok(())
    }

    fn detach(&mut self) -> Result<(), Obstacle> {
        Ok(())
    }
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

impl Hook for Tracer {
    fn attach(&mut self) -> Result<(), Obstacle> {
        Tracer::attach(self)
    }

    fn detach(&mut self) -> Result<(), Obstacle> {
        Tracer::detach(self);
        self.drain().map(drop)
    }
}

impl Hook for RecordLoad {
    fn attach(&mut self) -> Result<(), Obstacle> {
        RecordLoad::attach(self)
    }

    fn detach(&mut self) -> Result<(), Obstacle> {
        RecordLoad::detach(self);
        self.drain().map(drop)
    }
}

/// Blocks under one hook. Where turns are taken it is in place in this side's own only,
/// and otherwise from the first to the last.
pub struct Blocks<H> {
    hook: H,
    shortest: Duration,
    /// How many operations filled the shortest block.
    enough: u64,
}

impl Blocks<()> {
    /// Without a hook. A block of a turn lasts at least so long.
    pub fn plain(shortest: Duration) -> Self {
        Self {
            hook: (),
            shortest,
            enough: 1,
        }
    }
}

impl<H: Hook> Blocks<H> {
    /// Puts the hook in place, or sees that it is not where turns are taken. Criterion's
    /// guess at the number of operations is of no use in turns: it takes waiting and
    /// attaching for operations. A block of a turn lasts at least so long.
    pub fn new(mut hook: H, shortest: Duration) -> Result<Self, Obstacle> {
        if turns::are_taken() {
            hook.detach()?;
        } else {
            hook.attach()?;
        }
        Ok(Self {
            hook,
            shortest,
            enough: 1,
        })
    }

    /// What hooks.
    pub fn hook(&mut self) -> &mut H {
        &mut self.hook
    }

    /// The time of `times` operations. `time` makes any number of them and times them.
    pub fn block(&mut self, times: u64, time: impl FnMut(&mut H, u64) -> Duration) -> Ns {
        let turn = Turn::take();
        self.timed(turn, times, time)
            .unwrap_or_else(|obstacle| fail(&obstacle))
    }

    fn timed(
        &mut self,
        turn: Turn,
        times: u64,
        mut time: impl FnMut(&mut H, u64) -> Duration,
    ) -> Result<Ns, Obstacle> {
        if !turns::are_taken() {
            return Ok(turn.took(time(&mut self.hook, times)));
        }
        self.hook.attach()?;
        let mut made = self.enough.max(times);
        let took = loop {
            let took = time(&mut self.hook, made);
            if took >= self.shortest {
                break took;
            }
            made *= 2;
            self.enough = made;
        };
        self.hook.detach()?;
        Ok(turn.took(took).scaled(times as f64 / made as f64))
    }
}
