//! An arm between its blocks: an agent with a switch stays, any other is started anew.

use super::proof::what_stays;
use super::{Arm, Baseline, CommandAgent, Ended, Evidence, Held};
use crate::host::Obstacle;
use crate::process::Ward;

/// An arm that is turned on and off again and again.
pub struct Standing<'a> {
    arm: &'a Arm,
    ward: &'a Ward,
    kept: Option<Box<CommandAgent>>,
    /// Of the machine before its agent last started.
    before: Option<Baseline>,
}

impl<'a> Standing<'a> {
    /// An arm that is off.
    pub fn new(arm: &'a Arm, ward: &'a Ward) -> Self {
        Self {
            arm,
            ward,
            kept: None,
            before: None,
        }
    }

    /// Turns it on. `program` are the processes that its agent may want to know.
    pub fn on(&mut self, program: &[u32]) -> Result<Held, Obstacle> {
        match self.kept.take() {
            Some(mut agent) => {
                agent.on(program)?;
                Ok(Held::Agent(agent))
            }
            None => {
                self.before = matches!(self.arm, Arm::Agent(_)).then(Baseline::now);
                Held::on(self.arm, self.ward, program)
            }
        }
    }

    /// What its agent, which has ended, left loaded. What goes by itself is given a moment.
    pub fn left(&self) -> Evidence {
        let (Arm::Agent(spec), Some(before)) = (self.arm, &self.before) else {
            return Evidence::default();
        };
        let place = spec.place(self.ward);
        what_stays(|| before.orphans(&place))
    }

    /// Turns it off and sees that it is.
    pub fn off(&mut self, held: Held) -> Result<Ended, Obstacle> {
        match held {
            Held::Agent(mut agent) if agent.has_switch() => {
                agent.off()?;
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
