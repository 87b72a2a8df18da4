//! What `probecost seccomp` says of a profile. The profile itself is an OCI
//! `linux.seccomp` object, alone in its file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::coverage::Kernel;
use super::{Finding, Outcome, Provenance};

/// `seccomp-learnt.json`, beside a profile: what it was learnt from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Learnt {
    /// The version of this form.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// The command.
    pub command: Vec<String>,
    /// Each run, in order.
    pub runs: Vec<LearningRun>,
    /// Each call of the command, in the order in which they first came: those that came
    /// last are the ones that more runs would add to.
    pub calls: Vec<LearntCall>,
    /// Calls that the profile allows besides: a runtime's, and those made in the program's name.
    pub base: Vec<String>,
    /// What the kernel itself counted meanwhile, all runs together; none where this user may
    /// not ask it.
    #[serde(default)]
    pub kernel: Option<Kernel>,
    /// What is not in the profile, and why: a sentence each.
    pub missed: Vec<String>,
}

/// One run of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LearningRun {
    /// Different calls that it made.
    pub calls: u64,
    /// Of these, how many no run before it had made.
    pub new: u64,
    /// Processes that it consisted of.
    pub processes: u64,
    /// How it ended, in words.
    pub ending: String,
}

/// One call of the command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LearntCall {
    /// Its name.
    pub name: String,
    /// How often it was made, in all runs.
    pub made: u64,
    /// The run that made it first, from 1 on.
    pub run: u64,
    /// How long after the first call of that run, in milliseconds.
    pub after_ms: f64,
}

/// What came of a command under a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    /// The version of this form.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// The command.
    pub command: Vec<String>,
    /// What a call outside the profile met.
    pub mode: SeccompMode,
    /// Calls that the profile allows.
    pub allowed: u64,
    /// Calls made, by the command and all that descends from it.
    pub made: u64,
    /// Calls outside the profile, the most frequent first.
    pub denied: Vec<DeniedCall>,
    /// What was not seen, and may have been denied: a sentence each.
    pub missed: Vec<String>,
    /// How the command ended, in words.
    pub ending: String,
    /// Whether nothing was denied; inconclusive where that was not seen of all.
    pub verdict: Outcome,
}

/// What a call outside the profile meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeccompMode {
    /// It is carried out, and logged by the kernel.
    Log,
    /// The kernel kills the process.
    Kill,
}

/// A call outside the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeniedCall {
    /// Its name.
    pub name: String,
    /// How often.
    pub times: u64,
}

/// `seccomp.json`: profiles beside the one that containers get by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeccompReport {
    /// The version of this form.
    pub schema: u32,
    /// What made it.
    pub provenance: Provenance,
    /// The default profile's calls and bytes, in the same form as the learnt ones.
    pub default: ProfileSize,
    /// Every measure of every profile, and what became of it.
    pub rows: Vec<Finding>,
}

/// How much a profile allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileSize {
    /// Calls allowed.
    pub calls: u64,
    /// Bytes of its JSON.
    pub bytes: u64,
}

impl Learnt {
    /// The version that is written.
    pub const SCHEMA: u32 = 1;
}

impl Replay {
    /// The version that is written.
    pub const SCHEMA: u32 = 1;
}

impl SeccompReport {
    /// The version that is written.
    pub const SCHEMA: u32 = 1;
}
