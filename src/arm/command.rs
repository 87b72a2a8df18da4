//! An agent that runs: started, proven, switched, stopped.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

use super::own::DETAIL;
use super::proof::{map_memory, resident, wants_to_run, what_stays};
use super::{Baseline, Evidence, Ready, Spec, Switch, Taken};
use crate::host::Obstacle;
use crate::process::{Child, WardPlace, interrupted, interruption};
use crate::schema::impact::OwnHooks;

/// How long an agent's programs and its use of the CPU must stay as they are.
const CALM: Duration = Duration::from_millis(60);

/// How long an agent that attaches nothing must be quiet to count as ready.
const QUIET: Duration = Duration::from_millis(400);

/// The share of a CPU below which an agent is calm.
const CALM_SHARE: f64 = 0.2;

/// How long what a busy agent has attached must stay as it is: under load it never calms.
const STEADY: Duration = Duration::from_secs(1);

/// How long an agent may take to answer a signal, a line, or a command.
const ANSWER: Duration = Duration::from_secs(3);

/// How long before a job's end an agent may be seen to end that ends with it.
const TOGETHER: Duration = Duration::from_millis(20);

/// An agent whose process runs. Dropped, it is switched off, ended by its own command, and
/// killed with all that it started.
pub struct CommandAgent {
    spec: Spec,
    /// The processes of the program that it was last turned on for.
    program: Vec<u32>,
    /// Whether it began to be turned on, and is not off again.
    is_on: bool,
    place: WardPlace,
    child: Child,
    stdin: Option<ChildStdin>,
    baseline: Baseline,
    evidence: Evidence,
    /// What it said that it hooks, where it is our own.
    hooks: Option<OwnHooks>,
}

/// What an agent leaves when it has been stopped.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// What it printed.
    pub printed: String,
    /// What was unusual about its end, if anything was.
    pub note: Option<String>,
}

impl CommandAgent {
    /// Starts an agent in `place` and waits until it is ready. `program` are the processes
    /// it may want to know.
    pub fn start(spec: &Spec, place: WardPlace, program: &[u32]) -> Result<Self, Obstacle> {
        let baseline = Baseline::now();
        let command = spec.filled(&spec.command, program);
        let (child, stdin) = match spec.switch {
            Some(Switch::Lines { .. }) => {
                let mut child = place.start_piped(command, &[])?;
                let stdin = child.stdin();
                (child, stdin)
            }
            _ => (place.start(command, &[])?, None),
        };
        let mut agent = Self {
            spec: spec.clone(),
            program: program.to_vec(),
            is_on: false,
            place,
            child,
            stdin,
            baseline,
            evidence: Evidence::default(),
            hooks: None,
        };
        agent.become_ready(program)?;
        Ok(agent)
    }

    fn become_ready(&mut self, program: &[u32]) -> Result<(), Obstacle> {
        let begin = Instant::now();
        let mut seen = (Evidence::default(), begin);
        loop {
            self.alive()?;
            let ready = match &self.spec.ready {
                Ready::Settled => self.settled(program, &mut seen)?,
                Ready::Line(line) => self.child.output.text().lines().any(|l| line.is_match(l)),
                Ready::Socket(path) => UnixStream::connect(path).is_ok(),
                Ready::Hooks => {
                    self.hooks = hooks_in(&self.child.output.text());
                    self.hooks.is_some()
                }
            };
            if ready {
                return Ok(());
            }
            if interrupted() {
                return Err(interruption());
            }
            if begin.elapsed() > self.spec.patience {
                let seconds = self.spec.patience.as_secs_f64();
                return Err(self.obstacle(
                    &format!("is not ready after {seconds} s"),
                    "say in an --agent-file how one sees that it is ready, or give it longer",
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether what it has attached, and its use of the CPU, stay as they are; or, where
    /// there is work for it, what it has attached stays for longer. `seen` is what it had
    /// attached, and since when.
    fn settled(
        &mut self,
        program: &[u32],
        seen: &mut (Evidence, Instant),
    ) -> Result<bool, Obstacle> {
        let (begin, used) = (Instant::now(), self.cpu_used());
        let before = self.attached(program);
        if before != seen.0 {
            *seen = (before.clone(), begin);
        }
        let window = if before.is_empty() { QUIET } else { CALM };
        let (mut looks, mut hungry) = (0, 0);
        while begin.elapsed() < window {
            std::thread::sleep(Duration::from_millis(5));
            self.alive()?;
            looks += 1;
            hungry += usize::from(before.is_empty() && wants_to_run(&self.pids()));
            if before.is_empty() && !self.attached(program).is_empty() {
                return Ok(false);
            }
        }
        // On a busy machine, one that waits for a CPU uses none.
        let used = self.cpu_used() - used;
        let is_calm = used < CALM_SHARE * window.as_secs_f64() && 2 * hungry < looks;
        let is_steady = !before.is_empty() && seen.1.elapsed() >= STEADY;
        Ok((is_calm || is_steady) && self.attached(program) == before)
    }

    fn cpu_used(&self) -> f64 {
        self.cpu_seconds().unwrap_or(0.0)
    }

    /// Turns it on for a program of these processes, where it has a switch; without one it
    /// is on as long as it runs.
    pub fn on(&mut self, program: &[u32]) -> Result<(), Obstacle> {
        self.program = program.to_vec();
        self.is_on = true;
        self.switch(true)
    }

    /// Turns it off, where it has a switch.
    pub fn off(&mut self) -> Result<(), Obstacle> {
        self.switch(false)?;
        self.is_on = false;
        Ok(())
    }

    fn switch(&mut self, on: bool) -> Result<(), Obstacle> {
        match self.spec.switch.clone() {
            None => Ok(()),
            Some(Switch::Lines { on: yes, off: no }) => {
                self.ask(if on { &yes } else { &no }).map(drop)
            }
            Some(Switch::Commands { on: yes, off: no }) => {
                let commands = if on { yes } else { no };
                commands.iter().try_for_each(|words| self.command(words))
            }
        }
    }

    /// Sends a line and gives the line that answers it.
    pub fn ask(&mut self, line: &str) -> Result<String, Obstacle> {
        let before = self.child.output.lines();
        let sent = match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{line}").is_ok(),
            None => false,
        };
        let begin = Instant::now();
        while sent && begin.elapsed() < ANSWER {
            if self.child.output.lines() > before {
                return Ok(self.child.output.last_line().unwrap_or_default());
            }
            self.alive()?;
            std::thread::sleep(Duration::from_micros(200));
        }
        Err(self.obstacle(
            &format!("does not answer {line:?}"),
            "start it by hand and see",
        ))
    }

    /// Runs one of its commands to its end, whoever presses Ctrl-C meanwhile.
    fn command(&self, words: &[String]) -> Result<(), Obstacle> {
        let command = self.spec.filled(words, &self.program);
        let mut child = self.place.start(command, &[])?;
        match child.wait_out(self.spec.patience) {
            Some(status) if status.success() => Ok(()),
            status => {
                child.output.settle(Duration::from_millis(50));
                let how = status.map_or("does not end".into(), |status| status.to_string());
                let said = child.output.last_line().unwrap_or_default();
                Err(self.obstacle(
                    &format!("cannot be told: {} gives {how} ({said})", words.join(" ")),
                    "run that command by hand",
                ))
            }
        }
    }

    /// Looks again at what it has attached since it started.
    pub fn prove(&mut self, program: &[u32]) -> &Evidence {
        self.evidence = self.attached(program);
        &self.evidence
    }

    /// What it was seen to have when last looked at.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Fails where its process has ended.
    pub fn alive(&mut self) -> Result<(), Obstacle> {
        let Some(status) = self.child.status() else {
            return Ok(());
        };
        self.child.output.settle(Duration::from_millis(50));
        Err(self.obstacle(
            &format!("ended by itself ({status})"),
            "run its command by hand; it may need root, tracefs, or another option",
        ))
    }

    /// Waits for the end of a job under it, at most so long; `None` where that still runs, or
    /// somebody pressed Ctrl-C. Fails where it ends by itself before the job.
    pub fn watch(
        &mut self,
        job: &mut Child,
        longest: Duration,
    ) -> Result<Option<ExitStatus>, Obstacle> {
        let mut ended = job.wait_beside(&self.child, longest);
        if let Some(status) = self.child.status()
            && self.spec.wants_pids()
            && status.success()
        {
            // A tracer has nothing left to do when the job has ended.
            ended = ended.or_else(|| job.wait(TOGETHER));
            if ended.is_some() {
                return Ok(ended);
            }
        }
        self.alive().map(|()| ended)
    }

    /// Whether this process may not know what it has attached.
    pub fn is_unseen(&self) -> bool {
        self.baseline.is_blind()
    }

    /// CPU time of its processes so far, in seconds, where they are counted.
    pub fn cpu_seconds(&self) -> Option<f64> {
        self.place.cpu_seconds()
    }

    /// The memory that it takes now.
    pub fn taken(&self) -> Taken {
        let pids = self.pids();
        Taken {
            resident: resident(&pids),
            maps: map_memory(&pids),
        }
    }

    fn pids(&self) -> Vec<u32> {
        self.place.pids_of(&self.child)
    }

    /// What it has attached by now.
    fn attached(&self, program: &[u32]) -> Evidence {
        self.baseline.evidence(&self.pids(), program)
    }

    /// Whether it can be off while it runs.
    pub fn has_switch(&self) -> bool {
        self.spec.switch.is_some()
    }

    /// Fails where links that it was seen to have are still there.
    pub fn must_be_detached(&self) -> Result<(), Obstacle> {
        self.left_none(|| Evidence {
            links: self.evidence.left().links,
            ..Evidence::default()
        })
    }

    /// Fails where what is `left` of it stays.
    fn left_none(&self, left: impl Fn() -> Evidence) -> Result<(), Obstacle> {
        let left = what_stays(left);
        if left.is_empty() {
            return Ok(());
        }
        let (programs, links) = (left.programs.len(), left.links.len());
        Err(self.obstacle(
            &format!("left {programs} eBPF programs and {links} links behind when it was off"),
            "see `bpftool prog` and remove what it pinned below /sys/fs/bpf",
        ))
    }

    /// Whether it is our own, which answers questions.
    pub fn is_ours(&self) -> bool {
        self.spec.is_ours()
    }

    /// What it hooks, where it is our own.
    pub fn hooks(&self) -> Option<&OwnHooks> {
        self.hooks.as_ref()
    }

    /// The detailed statistics of our own agent: none where it keeps none, or has ended.
    fn detail(&mut self) -> String {
        let asked = self.ask(DETAIL).is_ok();
        let text = self.child.output.text();
        let line = text
            .lines()
            .next_back()
            .filter(|line| asked && *line != "null");
        line.unwrap_or_default().to_owned()
    }

    /// Ends it, and waits until what it attached is gone. Fails where that stays, or its
    /// own command does not end it.
    pub fn stop(mut self) -> Result<Ended, Obstacle> {
        // What ours prints are answers; its detailed statistics are worth keeping.
        let detail = self.is_ours().then(|| self.detail());
        // What it attached since it was proven must go, too.
        let held = self.baseline.held(&self.pids());
        self.evidence = std::mem::take(&mut self.evidence).and(held);
        // Asked once, and not again when this is dropped.
        let asked = match self.spec.stop.take() {
            Some(words) => self.command(&words).map(|()| {
                self.child.wait_out(ANSWER);
            }),
            None => Ok(()),
        };
        // One that reads lines ends where they do.
        self.stdin = None;
        let mut note = None;
        if self.child.status().is_none() {
            let took = self.child.stop(&self.spec.signals, ANSWER);
            if self.spec.signals.first() != Some(&took) {
                note = Some(format!("it took {took} to end it"));
            }
        }
        self.place.kill();
        asked.and(self.left_none(|| self.evidence.left()))?;
        self.child.output.settle(Duration::from_millis(50));
        Ok(Ended {
            printed: match detail {
                Some(detail) => detail,
                None => self.child.output.text(),
            },
            note,
        })
    }

    /// What went wrong, with the last it said.
    fn obstacle(&self, what: &str, remedy: &str) -> Obstacle {
        let said = match self.child.output.last_line() {
            Some(line) => format!(", and its last words were: {line}"),
            None => String::new(),
        };
        Obstacle::new(format!("the agent {} {what}{said}", self.spec.name), remedy)
    }
}

/// The first line that says what our own agent hooks. One that has not ended may be a part.
fn hooks_in(text: &str) -> Option<OwnHooks> {
    let (whole, _) = text.rsplit_once('\n')?;
    let said = |line| serde_json::from_str(line).ok();
    whole.lines().find_map(said)
}

impl Drop for CommandAgent {
    fn drop(&mut self) {
        // What it set up outlives its processes. That it fails is no news: something did before.
        if self.is_on
            && let Some(Switch::Commands { off, .. }) = &self.spec.switch
        {
            for words in off {
                let _ = self.command(words);
            }
        }
        if let Some(words) = &self.spec.stop {
            let _ = self.command(words);
        }
        // What left its group would run beside whatever is measured next.
        self.place.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Ward;

    #[test]
    fn what_our_agent_hooks_is_read_when_it_is_whole() {
        let hooks = OwnHooks::default();
        let line = serde_json::to_string(&hooks).unwrap();
        assert_eq!(hooks_in(&format!("a warning\n{line}")), None);
        assert_eq!(hooks_in(&format!("a warning\n{line}\n")), Some(hooks));
    }

    #[test]
    fn an_agent_that_never_becomes_ready_leaves_nothing_behind() {
        let ward = Ward::new().unwrap();
        let place = || ward.place("agent-a");
        if place().cgroup().is_none() {
            println!("skipped: only a cgroup holds those who leave their group");
            return;
        }
        let mut spec = Spec::parse("a=sh -c 'setsid sleep 1000 & sleep 1000'").unwrap();
        spec.ready = Ready::Socket("/no/such/socket".into());
        spec.patience = Duration::from_millis(200);
        let obstacle = CommandAgent::start(&spec, place(), &[]).err().unwrap();
        assert!(obstacle.why.contains("not ready"), "{obstacle}");
        assert!(place().pids().is_empty());
    }

    /// Under a job that goes on it measured nothing from there on; after the job it has
    /// nothing left to do, if it is one that follows processes.
    #[test]
    fn an_agent_that_ends_by_itself_is_excused_by_the_end_of_its_job_alone() {
        let ward = Ward::new().unwrap();
        let go = ward.directory().join("go");
        let ready = regex::Regex::new("ready").unwrap();
        let script = "echo ready; until test -e $0; do sleep 0.01; done";
        for (pid, job, is_excused) in [
            ("{pid}", &["sleep", "1000"][..], false),
            ("{pid}", &["true"], true),
            ("", &["true"], false),
        ] {
            let line = format!("a=sh -c '{script}' {} {pid}", go.display());
            let mut spec = Spec::parse(&line).unwrap();
            spec.ready = Ready::Line(ready.clone());
            let mut agent = CommandAgent::start(&spec, ward.place("agent-a"), &[1]).unwrap();
            let mut command = std::process::Command::new(job[0]);
            command.args(&job[1..]);
            let mut child = ward.place("program").start(command, &[]).unwrap();
            if job == ["true"] {
                assert!(child.wait_out(ANSWER).is_some());
            }
            std::fs::write(&go, "").unwrap();
            assert!(agent.child.wait_out(ANSWER).is_some());
            let watched = agent.watch(&mut child, Duration::from_secs(600));
            let why = watched.as_ref().err().map(|obstacle| obstacle.why.clone());
            assert_eq!(watched.is_ok(), is_excused, "{pid} {job:?}: {why:?}");
            assert!(agent.alive().is_err(), "a service does not end");
            std::fs::remove_file(&go).unwrap();
        }
    }
}
