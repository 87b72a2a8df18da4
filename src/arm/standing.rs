//! An arm between its blocks: an agent with a switch stays, any other is started anew.

use super::{Arm, CommandAgent, Ended, Held};
use crate::host::Obstacle;
use crate::process::Ward;

/// An arm that is turned on and off again and again.
pub struct Standing<'a> {
    arm: &'a Arm,
    ward: &'a Ward,
    kept: Option<Box<CommandAgent>>,
}

impl<'a> Standing<'a> {
    /// An arm that is off.
    pub fn new(arm: &'a Arm, ward: &'a Ward) -> Self {
        Self {
            arm,
            ward,
            kept: None,
        }
    }

    /// Turns it on. `program` are the processes that its agent may want to know.
    pub fn on(&mut self, program: &[u32]) -> Result<Held, Obstacle> {
        match self.kept.take() {
            Some(mut agent) => {
                agent.switch(true)?;
                Ok(Held::Agent(agent))
            }
            None => Held::on(self.arm, self.ward, program),
        }
    }

    /// Turns it off and sees that it is.
    pub fn off(&mut self, held: Held) -> Result<Ended, Obstacle> {
        match held {
            Held::Agent(mut agent) if agent.has_switch() => {
                agent.switch(false)?;
                if agent.is_ours() {
                    agent.must_be_detached()?;
                }
                self.kept = Some(agent);
                Ok(Ended::default())
            }
            held => held.off(),
        }
    }

    /// Ends the agent that stayed, if one did.
    pub fn end(&mut self) -> Result<Option<Ended>, Obstacle> {
        self.kept.take().map(|agent| agent.stop()).transpose()
    }
}
