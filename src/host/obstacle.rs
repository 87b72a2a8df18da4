//! What stands in the way of something, and the way round it.

use std::fmt;

/// Whether a capability is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is, and this is how.
    Present(String),
    /// It is not.
    Missing(Obstacle),
    /// This process cannot see whether it is.
    Unknown(Obstacle),
}

/// What stands in the way, and the way round it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The cause.
    pub why: String,
    /// What to do about it, with the command to type where there is one.
    pub remedy: String,
}

impl Obstacle {
    /// An obstacle and the way round it.
    pub fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.remedy)
    }
}

impl std::error::Error for Obstacle {}

impl From<Result<String, Obstacle>> for State {
    fn from(result: Result<String, Obstacle>) -> Self {
        result.map_or_else(State::Missing, State::Present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obstacle_reads_as_cause_and_remedy() {
        let obstacle = Obstacle::new("tracefs is not mounted", "mount -t tracefs x /y");
        assert_eq!(
            obstacle.to_string(),
            "tracefs is not mounted; mount -t tracefs x /y"
        );
    }
}
