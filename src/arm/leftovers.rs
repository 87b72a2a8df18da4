//! What agents left loaded when they ended.

use super::Evidence;
use crate::host::Obstacle;

/// eBPF programs and links that outlived their agents. As long as one of them is loaded,
/// nothing runs without an agent.
#[derive(Debug, Default)]
pub struct Leftovers(Vec<(String, Evidence)>);

impl Leftovers {
    /// Keeps in mind what this agent left.
    pub fn note(&mut self, agent: &str, left: Evidence) {
        if !left.is_empty() {
            self.0.push((agent.to_owned(), left));
        }
    }

    /// Fails while any of it is loaded.
    pub fn must_be_gone(&self) -> Result<(), Obstacle> {
        let loaded = (self.0.iter())
            .map(|(agent, left)| (agent, left.left()))
            .find(|(_, left)| !left.is_empty());
        match loaded {
            None => Ok(()),
            Some((agent, left)) => Err(Obstacle::new(
                format!(
                    "{} eBPF programs and {} links that the agent {agent} left are still loaded, \
                     so that nothing can be compared with them",
                    left.programs.len(),
                    left.links.len()
                ),
                "see `bpftool prog` and remove what it pinned below /sys/fs/bpf",
            )),
        }
    }
}
