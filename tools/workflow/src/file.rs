//! A workflow's file, every key of it known.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

/// A file under `.github/workflows`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Workflow {
    /// What it is called.
    pub name: String,
    /// What starts it.
    pub on: Triggers,
    /// What its token may do.
    pub permissions: Option<BTreeMap<String, String>>,
    /// What it does not run beside.
    pub concurrency: Option<Concurrency>,
    /// What its steps leave unsaid.
    pub defaults: Option<Defaults>,
    /// Variables of all steps.
    #[serde(default)]
    pub env: Variables,
    /// Its jobs.
    pub jobs: IndexMap<String, Job>,
}

/// Variables, which may hold expressions.
pub type Variables = IndexMap<String, String>;

/// What starts a workflow, each with its own settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// A push.
    pub push: Option<Push>,
    /// A pull request, opened or renewed.
    #[serde(default, deserialize_with = "present")]
    pub pull_request: Option<PullRequest>,
    /// The clock.
    pub schedule: Option<Vec<Cron>>,
    /// A hand.
    #[serde(default, deserialize_with = "present")]
    pub workflow_dispatch: Option<Dispatch>,
}

/// Which pushes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// To these branches.
    pub branches: Vec<String>,
}

/// Which changes of a pull request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequest {
    /// All that GitHub takes for granted, unless named.
    pub types: Option<Vec<String>>,
}

/// When.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// Minute, hour, day, month, weekday.
    pub cron: String,
}

/// What is asked of whoever starts it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// By name.
    #[serde(default)]
    pub inputs: IndexMap<String, Input>,
}

/// One question.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The question.
    pub description: String,
    /// Whether it must be answered.
    #[serde(default)]
    pub required: bool,
    /// What kind of answer.
    pub r#type: Option<String>,
    /// The answers to choose from.
    #[serde(default)]
    pub options: Vec<String>,
    /// The answer unless another is given.
    pub default: Option<String>,
}

/// What does not run at the same time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Concurrency {
    /// Those of one name.
    pub group: String,
    /// Whether a newer one ends an older.
    #[serde(default)]
    pub cancel_in_progress: bool,
    /// How many wait for their turn.
    #[serde(default)]
    pub queue: Queue,
}

/// How many wait while another one of their group runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// The newest, which pushes out whatever waited before.
    #[default]
    Single,
    /// All of them, up to a hundred.
    Max,
}

/// What steps leave unsaid.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Of their scripts.
    pub run: RunDefaults,
}

/// What scripts leave unsaid.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunDefaults {
    /// Their shell.
    pub shell: String,
}

/// Steps on one machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Job {
    /// Runs only if.
    pub r#if: Option<String>,
    /// Runs after.
    pub needs: Option<String>,
    /// Whose approval it asks for.
    pub environment: Option<String>,
    /// On which machine.
    pub runs_on: RunsOn,
    /// Ended after so long.
    pub timeout_minutes: Option<u32>,
    /// What its token may do.
    pub permissions: Option<BTreeMap<String, String>>,
    /// What it does not run beside.
    pub concurrency: Option<Concurrency>,
    /// As often as its matrix says, each time with other values.
    pub strategy: Option<Strategy>,
    /// The values of this time.
    #[serde(skip)]
    pub matrix: IndexMap<String, serde_json::Value>,
    /// In which container.
    pub container: Option<Container>,
    /// What its steps leave unsaid.
    pub defaults: Option<Defaults>,
    /// Variables of its steps.
    #[serde(default)]
    pub env: Variables,
    /// One after the other.
    pub steps: Vec<Step>,
}

/// How often a job runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Strategy {
    /// Whether the others are ended where one fails.
    pub fail_fast: Option<bool>,
    /// Once with each value, and with each of another with each of those.
    pub matrix: IndexMap<String, Vec<serde_json::Value>>,
}

/// The labels of a machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum RunsOn {
    /// One of GitHub's own.
    Hosted(String),
    /// One of ours.
    Own(Vec<String>),
}

/// A container.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Its image.
    pub image: String,
    /// As `docker create` takes them.
    #[serde(default)]
    pub options: String,
}

/// One step: a script, or somebody's action.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// What it is called.
    pub name: Option<String>,
    /// Runs only if.
    pub r#if: Option<String>,
    /// The action.
    pub uses: Option<String>,
    /// Its inputs.
    #[serde(default)]
    pub with: IndexMap<String, serde_json::Value>,
    /// The script.
    pub run: Option<String>,
    /// Its shell.
    pub shell: Option<String>,
    /// Its variables.
    #[serde(default)]
    pub env: Variables,
}

impl Workflow {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or says something that this knows no meaning of.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is no workflow, or says something that this knows no meaning of.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut workflow: Self = serde_norway::from_str(text).map_err(|e| e.to_string())?;
        let jobs = std::mem::take(&mut workflow.jobs).into_iter();
        workflow.jobs = jobs.flat_map(|(name, job)| times(name, job)).collect();
        Ok(workflow)
    }

    /// The shell that a step's script asks for, itself or by what it leaves unsaid.
    pub fn shell<'a>(&'a self, job: &'a Job, step: &'a Step) -> Option<&'a str> {
        let defaults = [&job.defaults, &self.defaults].into_iter().flatten();
        let unsaid = defaults.map(|defaults| defaults.run.shell.as_str()).next();
        step.shell.as_deref().or(unsaid)
    }

    /// The job of this name, or those that a matrix makes of it.
    pub fn called(&self, job: &str) -> Vec<&str> {
        let names = self
            .jobs
            .iter()
            .filter(|(name, of)| match of.matrix.is_empty() {
                true => *name == job,
                false => name.starts_with(&format!("{job}-")),
            });
        names.map(|(name, _)| name.as_str()).collect()
    }

    /// The events that start it.
    pub fn events(&self) -> Vec<&'static str> {
        let on = &self.on;
        let all = [
            ("push", on.push.is_some()),
            ("pull_request", on.pull_request.is_some()),
            ("schedule", on.schedule.is_some()),
            ("workflow_dispatch", on.workflow_dispatch.is_some()),
        ];
        all.into_iter()
            .filter_map(|(event, starts)| starts.then_some(event))
            .collect()
    }
}

impl Step {
    /// What it is called, or does.
    pub fn title(&self) -> &str {
        let does = || self.run.as_deref().or(self.uses.as_deref());
        let title = self.name.as_deref().or_else(does).unwrap_or("nothing");
        title.lines().next().unwrap_or_default()
    }
}

/// A job once for each combination of its matrix, called by its values.
fn times(name: String, job: Job) -> Vec<(String, Job)> {
    let mut times = vec![(name, job)];
    let matrix = times[0].1.strategy.iter().flat_map(|s| s.matrix.clone());
    for (key, values) in matrix.collect::<Vec<_>>() {
        let mut each = Vec::new();
        for (name, job) in &times {
            for value in &values {
                let mut job = job.clone();
                job.matrix.insert(key.clone(), value.clone());
                let shown = value.as_str().map_or(value.to_string(), str::to_owned);
                each.push((format!("{name}-{shown}"), job));
            }
        }
        times = each;
    }
    times
}

/// A trigger that is named and says nothing more is there all the same.
fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Some(Option::<T>::deserialize(from)?.unwrap_or_default()))
}
