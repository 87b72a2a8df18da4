//! What was seen and measured of each arm under one program.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::arm::{Answer, Arm, Ended, Seen, Taken};
use crate::host::Obstacle;
use crate::schema::impact::{ArmKind, ArmReport, ImpactMeasure, OwnHooks, Proof};
use crate::stats::median;

/// What one program's measurement gave.
#[derive(Debug, Clone)]
pub struct ProgramMeasured {
    /// The program.
    pub program: String,
    /// What it was to give, whether or not a block did.
    pub wanted: &'static [ImpactMeasure],
    /// Whether it makes hardly a system call, so that no agent should cost it anything.
    pub is_control: bool,
    /// The arms, `off` first.
    pub arms: Vec<ArmLog>,
    /// How long all rounds of one kind took.
    pub length: Duration,
    /// What is to be known about all of it.
    pub note: Option<String>,
    /// Why it ended before its time, if it did.
    pub ended: Option<Obstacle>,
}

impl ProgramMeasured {
    /// What is to be known about it, its end before its time included.
    pub fn note(&self) -> Option<String> {
        let ended = self.ended.as_ref().map(|obstacle| obstacle.to_string());
        match (&self.note, ended) {
            (Some(note), Some(ended)) => Some(format!("{note}; {ended}")),
            (note, ended) => note.clone().or(ended),
        }
    }
}

/// One arm under one program.
#[derive(Debug, Clone)]
pub struct ArmLog {
    /// Its name.
    pub name: String,
    kind: ArmKind,
    command: Option<String>,
    /// What the proof of every block rests on; none before the first.
    proof: Option<Proof>,
    programs: usize,
    runs: u64,
    /// Whether its programs ever ran for calls that we made, as they then do in any block.
    is_stirred: bool,
    /// Blocks in which none ran although they did in others.
    silent: usize,
    /// Whether this process may not know what it attached.
    is_unseen: bool,
    /// What our own agent hooks; where it lacked a hook in a block, then.
    hooks: Option<OwnHooks>,
    pub(super) on_ms: Vec<f64>,
    pub(super) off_ms: Vec<f64>,
    /// The blocks of each round, in order.
    pub blocks: Vec<ProgramBlock>,
    /// Blocks at the fixed rate.
    pub rated: usize,
    /// Those of them in which the load itself was late, and whose latencies are left out.
    pub misled: usize,
    /// Requests at the fixed rate that were answered after their block; none of a job.
    pub across: Option<u64>,
    /// What our own agent counted, over all blocks.
    pub counted: Counted,
    printed: Option<String>,
    note: Option<String>,
    /// Why it ended before its time, if it did.
    pub ended: Option<Obstacle>,
}

/// One stretch of one arm.
#[derive(Debug, Clone, Default)]
pub struct ProgramBlock {
    /// The round in which it ran.
    pub round: usize,
    /// Which half of it, 0 or 1: each arm comes once in either.
    pub half: usize,
    /// What was measured.
    pub values: BTreeMap<ImpactMeasure, f64>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// CPU time of the program, its agent and what else counts, in seconds.
    pub cpu: Option<f64>,
    /// CPU time of the agent's own processes, in seconds.
    pub agent_cpu: Option<f64>,
    /// Memory of the agent, in bytes: its processes and its maps.
    pub memory: u64,
    /// That of its maps.
    pub maps: u64,
    /// What was tried.
    pub tries: u64,
    /// What failed of it, by kind.
    pub failed: BTreeMap<&'static str, u64>,
}

/// What our own agent counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Calls that were to become events.
    pub wanted: u64,
    /// Events that were lost for want of room.
    pub lost: u64,
    /// Events that arrived at the consumer.
    pub arrived: u64,
}

impl ArmLog {
    /// An arm before its first block.
    pub fn new(arm: &Arm) -> Self {
        let (kind, command) = match arm {
            Arm::Off => (ArmKind::Off, None),
            Arm::Stats => (ArmKind::Stats, None),
            Arm::Agent(spec) if spec.is_ours() => (ArmKind::Own, None),
            Arm::Agent(spec) => (ArmKind::Command, Some(spec.command.join(" "))),
        };
        Self {
            name: arm.name().into(),
            kind,
            command,
            proof: None,
            programs: usize::MAX,
            runs: 0,
            is_stirred: false,
            silent: 0,
            is_unseen: false,
            hooks: None,
            on_ms: Vec::new(),
            off_ms: Vec::new(),
            blocks: Vec::new(),
            rated: 0,
            misled: 0,
            across: None,
            counted: Counted::default(),
            printed: None,
            note: None,
            ended: None,
        }
    }

    /// Whether its programs ever ran for calls that we made.
    pub fn is_stirred(&self) -> bool {
        self.is_stirred
    }

    /// What was seen of it in one block, when we made calls and, where that was looked at,
    /// when the program ran.
    pub fn saw(&mut self, seen: &Seen, program: Option<&Seen>) {
        let same = self.proof.is_none_or(|proof| proof == seen.proof);
        self.proof = Some(if same { seen.proof } else { Proof::None });
        self.programs = self.programs.min(seen.programs);
        self.is_unseen |= seen.is_blind;
        if self.lacking().is_none() {
            self.hooks.clone_from(&seen.hooks);
        }
        let [stirred, besides] = [Some(seen), program].map(|seen| seen.and_then(|s| s.runs));
        self.is_stirred |= stirred > Some(0);
        self.silent += usize::from(self.is_stirred && stirred == Some(0) && besides <= Some(0));
        self.runs += stirred.unwrap_or(0) + besides.unwrap_or(0);
    }

    /// How long it took to turn it on.
    pub fn turned_on(&mut self, milliseconds: f64) {
        self.on_ms.push(milliseconds);
    }

    /// How long it took to turn it off, and what it left.
    pub fn turned_off(&mut self, milliseconds: f64, ended: Ended) {
        self.off_ms.push(milliseconds);
        self.left(ended);
    }

    /// What its agent left when it ended.
    pub fn left(&mut self, ended: Ended) {
        if !ended.printed.is_empty() {
            self.printed = Some(ended.printed);
        }
        self.note = self.note.take().or(ended.note);
    }

    /// What our agent counted between two answers.
    pub fn counts(&mut self, before: Answer, after: Answer) {
        let counters = after.counters - before.counters;
        self.counted.wanted += counters.submitted + counters.failed;
        self.counted.lost += counters.failed;
        self.counted.arrived += after.received - before.received;
    }

    /// Whether its programs were seen to run, in every block where our own calls make them,
    /// or it needs no such proof.
    fn fires(&self) -> bool {
        self.proof != Some(Proof::Bpf) || (self.runs > 0 && self.silent == 0)
    }

    /// What our own agent does not see for want of a hook.
    fn lacking(&self) -> Option<String> {
        self.hooks.as_ref().and_then(OwnHooks::lacking)
    }

    /// Whether something was attached in every block, and its programs ran; of our own agent,
    /// for all that it is to see.
    pub fn proven(&self) -> bool {
        match self.kind {
            ArmKind::Off | ArmKind::Stats => true,
            ArmKind::Own | ArmKind::Command => {
                !matches!(self.proof, None | Some(Proof::None))
                    && self.fires()
                    && self.lacking().is_none()
            }
        }
    }

    /// Why it proves nothing, where it does not.
    pub fn doubt(&self) -> Option<String> {
        if let Some(obstacle) = &self.ended {
            return Some(obstacle.to_string());
        }
        if let Some(lacking) = self.lacking() {
            return Some(format!(
                "not proven: {lacking}; see cargo run -- host --rungs"
            ));
        }
        match self.proof {
            _ if self.proven() => None,
            None => Some("no block of it was measured".into()),
            Some(Proof::Bpf) if self.silent > 0 => Some(format!(
                "not proven: none of its eBPF programs ran in {} block(s), and they did in others",
                self.silent
            )),
            Some(Proof::Bpf) => Some(
                "not proven: it attached eBPF programs, and none ran when files were opened, \
                 programs started and sockets connected"
                    .into(),
            ),
            Some(_) if self.is_unseen => Some(
                "not proven: this user may not list eBPF programs, and it traced no process of \
                 the program; run as root, or with CAP_SYS_ADMIN"
                    .into(),
            ),
            Some(_) => Some(
                "not proven: it attached no eBPF program, traced no process of the program, \
                 and is no audit daemon"
                    .into(),
            ),
        }
    }

    /// What the document says of it.
    pub fn report(&self, program: &str) -> ArmReport {
        let switch = |times: &[f64]| median(times);
        ArmReport {
            program: program.into(),
            arm: self.name.clone(),
            kind: self.kind,
            command: self.command.clone(),
            proof: self.proof.unwrap_or(Proof::None),
            proven: self.proven() && self.ended.is_none(),
            hooks: self.hooks.clone(),
            bpf_programs: if self.programs == usize::MAX {
                0
            } else {
                self.programs
            },
            run_count: self.runs,
            switch_ms: match (switch(&self.on_ms), switch(&self.off_ms)) {
                (Some(on), Some(off)) if self.kind != ArmKind::Off => Some([on, off]),
                _ => None,
            },
            blocks: self.blocks.len(),
            across: self.across,
            printed: self.printed.clone(),
            reason: self.doubt().or_else(|| self.note.clone()),
        }
    }

    /// Its block beside one of another arm: in the same half of the same round.
    pub fn beside(&self, other: &ProgramBlock) -> Option<&ProgramBlock> {
        let place = |block: &ProgramBlock| (block.round, block.half);
        self.blocks
            .iter()
            .find(|block| place(block) == place(other))
    }

    /// Whether it is an agent, which takes memory and CPU time.
    pub fn is_agent(&self) -> bool {
        matches!(self.kind, ArmKind::Own | ArmKind::Command)
    }
}

impl ProgramBlock {
    /// Whether it is a run of a job that failed. What fails of a service are single requests.
    pub fn is_failed(&self) -> bool {
        self.values.contains_key(&ImpactMeasure::Seconds) && !self.failed.is_empty()
    }

    /// The memory that its agent took, at two looks.
    pub fn took(&mut self, before: Taken, after: Taken) {
        // A tracer may have ended with what it traced.
        self.memory = before.memory().max(after.memory());
        self.maps = before.maps.max(after.maps);
    }

    /// The CPU time of the program and of its agent, at the beginning and the end.
    pub fn used(&mut self, before: CpuSeconds, after: CpuSeconds) {
        let since = |(after, before): (f64, f64)| after - before;
        self.agent_cpu = after.1.zip(before.1).map(since);
        let program = after.0.zip(before.0).map(since);
        self.cpu = program.map(|program| program + self.agent_cpu.unwrap_or(0.0));
    }
}

/// CPU time so far of the program and of its agent, where it is counted.
type CpuSeconds = (Option<f64>, Option<f64>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arm::Spec;
    use crate::schema::overhead::{HookReport, TriedRung};

    fn log() -> ArmLog {
        let spec = Spec::parse("a=agent").unwrap();
        ArmLog::new(&Arm::Agent(Box::new(spec)))
    }

    fn seen(runs: u64) -> Seen {
        Seen {
            proof: Proof::Bpf,
            programs: 1,
            runs: Some(runs),
            is_blind: false,
            hooks: None,
        }
    }

    #[test]
    fn one_that_runs_in_one_block_and_not_in_the_next_is_not_proven() {
        let mut log = log();
        log.saw(&seen(3), None);
        assert!(log.proven() && log.is_stirred());
        // The program makes it run where our own calls for once did not.
        log.saw(&seen(0), Some(&seen(7)));
        assert!(log.proven());
        log.saw(&seen(0), Some(&seen(0)));
        let doubt = log.doubt().unwrap();
        assert!(
            doubt.contains("none of its eBPF programs ran in 1 block"),
            "{doubt}"
        );
    }

    #[test]
    fn our_own_agent_is_not_proven_where_a_hook_did_not_hold() {
        let held = |rung: Option<&str>| HookReport {
            rung: rung.map(str::to_owned),
            tried: vec![TriedRung {
                rung: "lsm".into(),
                error: "no such hook".into(),
            }],
        };
        let block = |connect| Seen {
            hooks: Some(OwnHooks {
                open: held(Some("tp_btf/sys_enter")),
                connect: held(connect),
                exec: held(Some("tp_btf/sched_process_exec")),
            }),
            ..seen(3)
        };
        let mut log = log();
        log.saw(&block(Some("cgroup/connect4+connect6")), None);
        assert!(log.proven(), "{:?}", log.doubt());
        log.saw(&block(None), None);
        // It stays in doubt, whatever comes.
        log.saw(&block(Some("cgroup/connect4+connect6")), None);
        let report = log.report("program");
        assert!(!report.proven);
        let reason = report.reason.unwrap();
        let said = "not proven: no hook for connects holds here (lsm: no such hook)";
        assert!(reason.starts_with(said), "{reason}");
        assert_eq!(report.hooks.unwrap().connect.rung, None);
    }

    #[test]
    fn one_that_only_the_program_stirs_is_proven_by_it() {
        let mut log = log();
        log.saw(&seen(0), Some(&seen(7)));
        log.saw(&seen(0), None);
        assert!(log.proven(), "{:?}", log.doubt());
    }
}
