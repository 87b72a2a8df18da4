//! Running a workflow: each job in a clean clone, each step in order.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::file::{Job, Workflow};
use crate::plan::{Action, Run, Shell};
use crate::root::Root;

/// The status of a command that GitHub alone can answer.
const NEEDS_GITHUB: i32 = 75;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a step, a job, or a whole run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// As it should.
    Well,
    /// It went as far as it can without GitHub.
    NeedsGithub,
    /// Badly.
    Badly,
}

/// Where and how to run.
#[derive(Debug, Clone)]
pub struct Place {
    /// The repository whose commit is run.
    pub repository: PathBuf,
    /// Where roots are kept.
    pub cache: PathBuf,
    /// What starts it.
    pub event: String,
    /// The inputs given by hand.
    pub answers: Vec<(String, String)>,
    /// Only this job.
    pub job: Option<String>,
    /// Set from outside to end the run.
    pub interrupted: Arc<AtomicBool>,
}

/// Runs a workflow, and says what it does.
///
/// # Errors
/// There is no clone, the workflow says something that is not known, or the run was
/// interrupted.
pub fn run(workflow: &Workflow, place: &Place) -> Result<Ended, String> {
    if !workflow.events().contains(&place.event.as_str()) {
        return Err(format!("{} does not start {}", place.event, workflow.name));
    }
    if let Some(wanted) = &place.job
        && !workflow.jobs.contains_key(wanted)
    {
        let names: Vec<&str> = workflow.jobs.keys().map(String::as_str).collect();
        let names = names.join(", ");
        return Err(format!("no job is called {wanted}; there are {names}"));
    }
    let scratch = TempDir::with_prefix("workflow-").map_err(|e| e.to_string())?;
    let origin = origin(place, scratch.path())?;
    let mut worst = Ended::Well;
    // What was skipped did not succeed either.
    let mut bad = BTreeSet::new();
    for (name, job) in &workflow.jobs {
        if place.job.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let tree = scratch.path().join(name);
        clone(&origin, &tree, true)?;
        let mut run = Run::new(workflow, &place.event, &tree, &place.answers)?;
        let mut needed = job.needs.iter().flat_map(|other| workflow.called(other));
        run.scope.succeeded = needed.all(|other| !bad.contains(other));
        if !run.wants(job).map_err(|why| format!("job {name}: {why}"))? {
            let why = match run.scope.succeeded {
                true => "not wanted by this event",
                false => "not run, for what it needs did not end well",
            };
            println!("job {name}: {why}");
            bad.insert(name.as_str());
            continue;
        }
        run.scope.succeeded = true;
        println!("job {name}");
        let machine = Machine {
            origin: &origin,
            tree: &tree,
            scratch: scratch.path(),
            root: match &job.container {
                Some(container) => Some(Root::of(container, &place.cache)?),
                None => None,
            },
            interrupted: &place.interrupted,
        };
        let ended = steps(job, &mut run, &machine).map_err(|why| format!("job {name}: {why}"))?;
        if ended != Ended::Well {
            bad.insert(name.as_str());
        }
        worst = worst.max(ended);
    }
    Ok(worst)
}

/// Where the steps of a job are done.
struct Machine<'a> {
    origin: &'a Path,
    tree: &'a Path,
    scratch: &'a Path,
    root: Option<Root>,
    interrupted: &'a AtomicBool,
}

fn steps(job: &Job, run: &mut Run, machine: &Machine) -> Result<Ended, String> {
    let mut worst = Ended::Well;
    for step in &job.steps {
        let title = step.title();
        let action = run
            .action(job, step)
            .map_err(|why| format!("{title}: {why}"))?;
        let Some(action) = action else {
            println!("  - {title}: not wanted");
            continue;
        };
        println!("  - {title}");
        let ended = machine
            .act(&action)
            .map_err(|why| format!("{title}: {why}"))?;
        match ended {
            Ended::Well => {}
            Ended::NeedsGithub => println!("    … needs GitHub itself from here on"),
            Ended::Badly => println!("    FAILED"),
        }
        run.scope.succeeded &= ended == Ended::Well;
        worst = worst.max(ended);
    }
    Ok(worst)
}

impl Machine<'_> {
    fn act(&self, action: &Action) -> Result<Ended, String> {
        match action {
            Action::Run(script, variables, shell) => self.script(script, variables, *shell),
            Action::Checkout { whole } => {
                fs::remove_dir_all(self.tree).map_err(|e| e.to_string())?;
                clone(self.origin, self.tree, *whole)?;
                if self.root.is_some() {
                    // The runner's user makes it, and the container's is another.
                    checked(
                        Command::new("chown")
                            .args(["-R", "1001:1001"])
                            .arg(self.tree),
                    )?;
                }
                Ok(Ended::Well)
            }
            // Nothing was kept from an earlier run.
            Action::Cache => Ok(Ended::Well),
            Action::Upload {
                name,
                paths,
                must_find,
            } => {
                let (found, missing): (Vec<_>, Vec<_>) =
                    paths.iter().partition(|path| self.tree.join(path).exists());
                for path in missing {
                    println!("    {path} is not there");
                }
                if found.is_empty() {
                    return Ok(match must_find {
                        true => Ended::Badly,
                        false => Ended::Well,
                    });
                }
                let kept = self.artifact(name);
                fs::create_dir_all(&kept).map_err(|e| e.to_string())?;
                for path in found {
                    let from = self.tree.join(path);
                    // Of one directory, what is in it is handed on.
                    let from = if paths.len() == 1 && from.is_dir() {
                        from.join(".")
                    } else {
                        from
                    };
                    checked(Command::new("cp").arg("-a").arg(from).arg(&kept))?;
                }
                Ok(Ended::Well)
            }
            Action::Download { name, path } => {
                let to = self.tree.join(path);
                fs::create_dir_all(&to).map_err(|e| e.to_string())?;
                let kept = self.artifacts(name);
                // Of a pattern nothing is enough, as GitHub has it.
                if kept.is_empty() && !name.ends_with('*') {
                    println!("    no job handed on {name}");
                    return Ok(Ended::Badly);
                }
                for kept in kept {
                    checked(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&to))?;
                }
                Ok(Ended::Well)
            }
        }
    }

    fn artifact(&self, name: &str) -> PathBuf {
        self.scratch.join("artifacts").join(name)
    }

    /// Those of this name, or whose names begin as it does before its `*`.
    fn artifacts(&self, name: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.scratch.join("artifacts"));
        let fits = |entry: &str| match name.strip_suffix('*') {
            Some(begin) => entry.starts_with(begin),
            None => entry == name,
        };
        let entries = all.into_iter().flatten().flatten();
        let fitting = entries.filter(|entry| fits(&entry.file_name().to_string_lossy()));
        fitting.map(|entry| entry.path()).collect()
    }

    fn script(
        &self,
        script: &str,
        variables: &[(String, String)],
        shell: Shell,
    ) -> Result<Ended, String> {
        let temporary = TempDir::new_in(self.scratch).map_err(|e| e.to_string())?;
        let at = |name: &str| temporary.path().join(name);
        let write = |name: &str, text: &str| fs::write(at(name), text).map_err(|e| e.to_string());
        write("step.sh", script)?;
        for file in ["env", "output", "path", "summary"] {
            write(file, "")?;
        }
        // The one command here that is GitHub's own.
        write(
            "gh.sh",
            &format!("#!/bin/sh\necho \"    gh $*\"\nexit {NEEDS_GITHUB}\n"),
        )?;
        // Had this process written what is started, a child that is forked meanwhile could
        // still have it open: "Text file busy".
        let mut install = Command::new("install");
        install.arg("--mode=755").args([at("gh.sh"), at("gh")]);
        checked(&mut install)?;

        let [program, options @ ..] = shell.words() else {
            unreachable!("a shell has a name")
        };
        let mut command = match &self.root {
            Some(root) => {
                let mut command = root.command(self.tree, temporary.path());
                command.arg(program);
                command
            }
            None => Command::new(program),
        };
        let path = command
            .get_envs()
            .find_map(|(key, value)| (key == "PATH").then_some(value?.to_owned()))
            .or_else(|| std::env::var_os("PATH"))
            .unwrap_or_default();
        let mut with_gh = temporary.path().as_os_str().to_owned();
        with_gh.push(":");
        with_gh.push(path);
        // What this machine says of itself; the workflow's own comes after it.
        for variable in ["RUSTFLAGS", "CARGO_TARGET_DIR", "PROBECOST_REQUIRE_AGENT"] {
            command.env_remove(variable);
        }
        command
            .args(options)
            .arg(at("step.sh"))
            .current_dir(self.tree)
            .env("PATH", with_gh)
            .env("CI", "true")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_RUN_ID", "1")
            .env("GITHUB_REPOSITORY", "probecost/probecost")
            .env("GITHUB_WORKSPACE", self.tree)
            .env("GITHUB_ENV", at("env"))
            .env("GITHUB_OUTPUT", at("output"))
            .env("GITHUB_PATH", at("path"))
            .env("GITHUB_STEP_SUMMARY", at("summary"))
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let status = self
            .ended(&mut command)
            .map_err(|why| format!("{program}: {why}"))?;
        for file in ["env", "output", "path"] {
            if fs::metadata(at(file)).is_ok_and(|file| file.len() > 0) {
                return Err(format!(
                    "it writes to GITHUB_{}, which is not known",
                    file.to_uppercase()
                ));
            }
        }
        let summary = fs::read_to_string(at("summary")).unwrap_or_default();
        if !summary.is_empty() {
            println!("    the job's summary: {} lines", summary.lines().count());
        }
        Ok(match status.code() {
            Some(0) => Ended::Well,
            Some(NEEDS_GITHUB) => Ended::NeedsGithub,
            _ => Ended::Badly,
        })
    }

    /// Runs a command to its end, or to ours. In a group of its own: Ctrl-C reaches us alone,
    /// and what we do about it all of the step.
    fn ended(&self, command: &mut Command) -> Result<ExitStatus, String> {
        let command = command.stdin(Stdio::null()).process_group(0);
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        while !self.interrupted.load(Ordering::Relaxed) {
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        // What has just ended by itself needs none.
        let _ = kill_process_group(Pid::from_child(&child), Signal::TERM);
        child.wait().map_err(|e| e.to_string())?;
        Err("interrupted; start it again".to_owned())
    }
}

/// A repository to clone from, and to push to: of a pull request it has the merge, whose
/// first parent is the base.
fn origin(place: &Place, scratch: &Path) -> Result<PathBuf, String> {
    let bare = scratch.join("origin.git");
    checked(
        Command::new("git")
            .args(["clone", "--quiet", "--bare", "--no-hardlinks"])
            .arg(&place.repository)
            .arg(&bare),
    )?;
    let git = |arguments: &[&str]| -> Result<String, String> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&bare).args(arguments);
        let output = command.output().map_err(|e| format!("git: {e}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("git {}: {}", arguments.join(" "), said.trim()))
        }
    };
    let head = git(&["rev-parse", "HEAD"])?;
    let commit = match (place.event.as_str(), git(&["rev-parse", "HEAD^1"])) {
        ("pull_request", Ok(base)) => {
            let name = ["-c", "user.name=merge", "-c", "user.email=merge@localhost"];
            let merge = [
                "commit-tree",
                "HEAD^{tree}",
                "-p",
                &base,
                "-p",
                &head,
                "-m",
                "Merge",
            ];
            git(&[&name[..], &merge].concat())?
        }
        _ => head,
    };
    git(&["update-ref", "refs/heads/workflow", &commit])?;
    git(&["symbolic-ref", "HEAD", "refs/heads/workflow"])?;
    Ok(bare)
}

fn clone(origin: &Path, tree: &Path, whole: bool) -> Result<(), String> {
    let depth: &[&str] = if whole { &[] } else { &["--depth=1"] };
    checked(
        Command::new("git")
            .args(["clone", "--quiet"])
            .args(depth)
            .arg(format!("file://{}", origin.display()))
            .arg(tree),
    )
}

fn checked(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
