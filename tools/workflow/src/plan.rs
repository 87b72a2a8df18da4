//! What a run of a workflow does: its jobs in order, and each step with its expressions
//! resolved.

use std::path::Path;

use serde_json::{Value, json};

use crate::contexts::contexts;
use crate::expression::{Scope, fill, holds};
use crate::file::{Job, RunsOn, Step, Variables, Workflow};

/// A step, ready to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A script, its variables, and what runs it.
    Run(String, Vec<(String, String)>, Shell),
    /// The commit, in a work tree: all of the history, or the commit alone.
    Checkout {
        /// With all of the history.
        whole: bool,
    },
    /// Keeps directories from one run to the next.
    Cache,
    /// Hands on those files that are there.
    Upload {
        /// What they are called together.
        name: String,
        /// Files and directories of the work tree.
        paths: Vec<String>,
        /// Fails where none is there.
        must_find: bool,
    },
    /// Takes files that another job handed on.
    Download {
        /// What they are called together, or a pattern of several.
        name: String,
        /// Where they are put.
        path: String,
    },
}

/// What runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// Asked for by name: it also ends where a command before a pipe fails.
    Bash,
    /// What GitHub takes outside of containers.
    Unsaid,
    /// What GitHub takes in a container.
    Sh,
}

impl Shell {
    /// The command and its options, which the script's file follows.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["bash", "--noprofile", "--norc", "-eo", "pipefail"],
            Self::Unsaid => &["bash", "-e"],
            Self::Sh => &["sh", "-e"],
        }
    }
}

/// A run: an event, its contexts.
pub struct Run<'a> {
    /// The workflow.
    pub workflow: &'a Workflow,
    /// What expressions are evaluated in.
    pub scope: Scope,
}

impl<'a> Run<'a> {
    /// A run started by `event` in the work tree, with the answers given by hand.
    ///
    /// # Errors
    /// See [`contexts`].
    pub fn new(
        workflow: &'a Workflow,
        event: &str,
        tree: &Path,
        answers: &[(String, String)],
    ) -> Result<Self, String> {
        Ok(Self {
            workflow,
            scope: Scope {
                contexts: contexts(workflow, event, tree, answers)?,
                succeeded: true,
                tree: tree.to_owned(),
            },
        })
    }

    /// Whether the job runs at all; what is asked from then on is asked of this job.
    ///
    /// # Errors
    /// Its condition names something unknown, or it waits for a job that is not there.
    pub fn wants(&mut self, job: &Job) -> Result<bool, String> {
        self.scope.contexts["matrix"] = json!(job.matrix);
        if let Some(other) = &job.needs
            && self.workflow.called(other).is_empty()
        {
            return Err(format!("no job is called {other}"));
        }
        let groups = [&self.workflow.concurrency, &job.concurrency];
        for concurrency in groups.into_iter().flatten() {
            fill(&concurrency.group, &self.scope)?;
        }
        if let RunsOn::Hosted(label) = &job.runs_on {
            fill(label, &self.scope)?;
        }
        holds(job.r#if.as_deref(), &self.scope)
    }

    /// What a step does, as things stand; nothing where its condition does not hold.
    ///
    /// # Errors
    /// It names something unknown.
    pub fn action(&self, job: &Job, step: &Step) -> Result<Option<Action>, String> {
        if !holds(step.r#if.as_deref(), &self.scope)? {
            return Ok(None);
        }
        let shell = match (self.workflow.shell(job, step), &job.container) {
            (Some("bash"), _) => Shell::Bash,
            (Some("sh"), _) | (None, Some(_)) => Shell::Sh,
            (Some(shell), _) => return Err(format!("shell {shell} is not known")),
            (None, None) => Shell::Unsaid,
        };
        let variables = self.variables(&[&self.workflow.env, &job.env, &step.env])?;
        if let Some(script) = &step.run {
            return Ok(Some(Action::Run(
                fill(script, &self.scope)?,
                variables,
                shell,
            )));
        }
        let with = |key: &str| match step.with.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => fill(text, &self.scope).map(Some),
            Some(other) => Ok(Some(other.to_string())),
        };
        let known = |keys: &[&str]| match step.with.keys().find(|key| !keys.contains(&key.as_str()))
        {
            Some(key) => Err(format!("its input {key} is not known")),
            None => Ok(()),
        };
        let must = |key: &str| with(key)?.ok_or_else(|| format!("its input {key} is missing"));
        let action = step.uses.as_deref().unwrap_or_default();
        let action = action.split_once('@').map_or(action, |(name, _)| name);
        Ok(Some(match action {
            "actions/checkout" => {
                known(&["fetch-depth", "persist-credentials"])?;
                Action::Checkout {
                    whole: with("fetch-depth")?.as_deref() == Some("0"),
                }
            }
            "actions/cache" => {
                known(&["path", "key", "restore-keys"])?;
                for key in ["path", "key"] {
                    must(key)?;
                }
                with("restore-keys")?;
                Action::Cache
            }
            "actions/upload-artifact" => {
                known(&["name", "path", "if-no-files-found", "retention-days"])?;
                let without = with("if-no-files-found")?;
                Action::Upload {
                    name: must("name")?,
                    paths: must("path")?.lines().map(str::to_owned).collect(),
                    must_find: match without.as_deref() {
                        Some("error") => true,
                        None | Some("warn" | "ignore") => false,
                        Some(other) => {
                            return Err(format!("if-no-files-found: {other} is not known"));
                        }
                    },
                }
            }
            "actions/download-artifact" => {
                known(&["name", "pattern", "merge-multiple", "path"])?;
                Action::Download {
                    name: match with("pattern")? {
                        Some(pattern) => pattern,
                        None => must("name")?,
                    },
                    path: must("path")?,
                }
            }
            other => return Err(format!("the action {other} is not known")),
        }))
    }

    fn variables(&self, of: &[&Variables]) -> Result<Vec<(String, String)>, String> {
        of.iter()
            .flat_map(|variables| variables.iter())
            .map(|(name, value)| Ok((name.clone(), fill(value, &self.scope)?)))
            .collect()
    }
}

/// Resolves every expression that any event reaches, when all goes well and when it does
/// not. Gives what is wrong, and which steps no event reaches.
pub fn check(workflow: &Workflow, tree: &Path) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut reached = std::collections::BTreeSet::new();
    for event in workflow.events() {
        let mut run = match Run::new(workflow, event, tree, &[]) {
            Ok(run) => run,
            Err(flaw) => return vec![flaw],
        };
        for (name, job) in &workflow.jobs {
            let mut flaw = |why: String| flaws.push(format!("{event}, job {name}: {why}"));
            run.scope.succeeded = true;
            match run.wants(job) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    flaw(why);
                    continue;
                }
            }
            for succeeded in [true, false] {
                run.scope.succeeded = succeeded;
                for (number, step) in job.steps.iter().enumerate() {
                    match run.action(job, step) {
                        Ok(Some(_)) => drop(reached.insert((name, number))),
                        Ok(None) => {}
                        Err(why) => flaw(format!("{}: {why}", step.title())),
                    }
                }
            }
        }
    }
    for (name, job) in &workflow.jobs {
        for (number, step) in job.steps.iter().enumerate() {
            if !reached.contains(&(name, number)) && flaws.is_empty() {
                flaws.push(format!("job {name}: {}: no event reaches it", step.title()));
            }
        }
    }
    flaws.dedup();
    flaws
}
