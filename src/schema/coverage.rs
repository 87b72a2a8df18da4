//! `coverage.json`: which system calls of a command were seen, by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Provenance;

/// The calls of one command, all its threads and children.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The version of this form.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// The command.
    pub command: Vec<String>,
    /// How the calls were hooked.
    pub rung: String,
    /// Who knew what was to be expected.
    pub expected_by: Option<Witness>,
    /// Calls seen of those expected, as a share of 1.
    pub share: Option<f64>,
    /// Each call that was seen or expected, the most frequent first.
    pub calls: Vec<Call>,
    /// Processes that were watched.
    pub processes: u64,
    /// What the kernel itself counted.
    pub kernel: Kernel,
    /// What was not seen, and why: a sentence each.
    pub missed: Vec<String>,
    /// Whether it was ended before its own end, since its time was over.
    #[serde(default)]
    pub out_of_time: bool,
}

/// A second counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The program wrote down what it did.
    Program,
    /// `strace -c -f`, attached to the same processes.
    Strace,
}

/// A system call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// How often it was seen.
    pub seen: u64,
    /// How often the witness counted it; none where he does not speak of it.
    pub expected: Option<u64>,
}

/// The kernel's own count of the counting program's runs, on the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kernel {
    /// How often it ran.
    pub runs: u64,
    /// Of these, how many became a count: of the command, or of everybody else.
    pub counted: u64,
}

impl Coverage {
    /// The version that is written.
    pub const SCHEMA: u32 = 1;
    /// The least share that passes.
    pub const LEAST_SHARE: f64 = 0.95;
}
