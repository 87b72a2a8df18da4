//! What is wrong with a workflow though GitHub would take it.

use std::path::Path;

use crate::file::{Concurrency, Container, Job, Queue, RunsOn, Step, Variables, Workflow};

/// Every flaw, one sentence each; `text` is the file.
pub fn flaws(workflow: &Workflow, text: &str) -> Vec<String> {
    let mut flaws = Vec::new();
    if workflow.permissions.is_none() {
        flaws.push("no permissions for the whole workflow".to_owned());
    }
    for (name, job) in &workflow.jobs {
        let mut flaw = |why: &str| flaws.push(format!("job {name}: {why}"));
        if job.timeout_minutes.is_none() {
            flaw("no timeout-minutes");
        }
        let own = matches!(job.runs_on, RunsOn::Own(_));
        if own && job.concurrency.is_none() {
            flaw(
                "no concurrency of its own: a run whose jobs are all skipped would \
                 push a waiting one out of the group",
            );
        }
        let environments = [&workflow.env, &job.env];
        let pinned = |env: &Variables| env.contains_key("RUSTUP_TOOLCHAIN");
        if own && !environments.into_iter().any(pinned) {
            flaw("its compiler is another one tomorrow: RUSTUP_TOOLCHAIN");
        }
        let groups = [&workflow.concurrency, &job.concurrency];
        let mut groups = groups.into_iter().flatten();
        if groups.any(|group| group.cancel_in_progress && group.queue == Queue::Max) {
            flaw("GitHub takes no queue where a newer run ends the older");
        }
        if own && job.concurrency.as_ref().is_some_and(evicts) {
            flaw("the next run pushes out one that waits for our machine: queue: max");
        }
        if own && workflow.concurrency.is_some() {
            flaw("the whole workflow shares a group");
        }
        if own && workflow.on.pull_request.is_some() && job.environment.is_none() {
            flaw("code of others reaches our machine without approval");
        }
        if let RunsOn::Hosted(image) = &job.runs_on
            && image.ends_with("-latest")
        {
            flaw(&format!("{image} is another one tomorrow"));
        }
        if let Some(Container { image, .. }) = &job.container
            && !exact(image)
        {
            flaw(&format!("{image} is another one tomorrow"));
        }
        let mut trusted = false;
        for step in &job.steps {
            for why in unready(workflow, job, step, trusted) {
                flaw(&format!("{}: {why}", step.title()));
            }
            let script = step.run.as_deref().unwrap_or_default();
            trusted |= script.contains("safe.directory");
            let mut flaw = |why: &str| flaw(&format!("{}: {why}", step.title()));
            match (&step.uses, &step.run) {
                (Some(action), None) => {
                    let commit = action.split_once('@').map_or("", |(_, revision)| revision);
                    if commit.len() != 40 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
                        flaw("not pinned by commit");
                    } else if !text.contains(&format!("{action} # v")) {
                        flaw("no version beside the commit");
                    }
                }
                // Text that others write must not become part of a script.
                (None, Some(script)) if script.contains("${{") => {
                    flaw("an expression inside a script");
                }
                (None, Some(script)) if measures_into(&cached(job), script) => flaw(
                    "its runs lie in a cache: the next run finds them made, and measures nothing",
                ),
                (None, Some(_)) => {}
                _ => flaw("not one of uses and run"),
            }
        }
        let values = job.steps.iter().flat_map(|step| step.env.values());
        if values.clone().any(|value| value.contains("base.sha")) {
            flaw("base.sha may lie behind the merge's first parent: HEAD^1");
        }
    }
    flaws
}

/// What a step's script needs, and does not have where it runs; `trusted` is whether git was
/// told of the checkout.
fn unready(workflow: &Workflow, job: &Job, step: &Step, trusted: bool) -> Vec<&'static str> {
    let Some(script) = &step.run else {
        return Vec::new();
    };
    let contained = job.container.is_some();
    let reads_git = ["cargo compare", ".ci/run", "tools/"];
    let reads_git = reads_git.iter().any(|command| script.contains(command));
    let own = matches!(job.runs_on, RunsOn::Own(_));
    let environments = [&workflow.env, &job.env, &step.env];
    let requires = |env: &Variables| env.get("PROBECOST_REQUIRE_AGENT").is_some_and(|v| v == "1");
    let endless = |line: &str| line.contains("compare duet") && !line.contains("--minutes");
    let flaws = [
        (
            contained && reads_git && !trusted,
            "git refuses a checkout of another owner, as a container has it: safe.directory \
             first",
        ),
        (
            contained && workflow.shell(job, step).is_none(),
            "in a container GitHub runs it by sh: say which shell",
        ),
        (
            own && script.contains("cargo suite") && !environments.iter().any(|env| requires(env)),
            "without PROBECOST_REQUIRE_AGENT=1 rows without an agent would be none",
        ),
        (
            script.lines().any(endless),
            "a duet without --minutes may outlast the job",
        ),
    ];
    let found = flaws.into_iter().filter(|(is_there, _)| *is_there);
    found.map(|(_, why)| why).collect()
}

/// What a job keeps from one run to the next.
fn cached(job: &Job) -> Vec<&str> {
    let caches = job.steps.iter().filter(|step| {
        let action = step.uses.as_deref().unwrap_or_default();
        action.starts_with("actions/cache@")
    });
    caches
        .filter_map(|step| step.with.get("path")?.as_str())
        .flat_map(str::lines)
        .collect()
}

/// Whether a script leaves the runs of `compare run` in one of these directories.
fn measures_into(directories: &[&str], script: &str) -> bool {
    let runs = script.lines().filter(|line| line.contains("compare run "));
    let mut places = runs.map(|line| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == "--out");
        words.next().unwrap_or("target/runs")
    });
    places.any(|out| directories.iter().any(|d| Path::new(out).starts_with(d)))
}

/// Whether a group has no more than one that waits.
fn evicts(concurrency: &Concurrency) -> bool {
    concurrency.queue == Queue::Single
}

/// Whether an image is named down to the patch, `rust:1.95.0-bookworm`.
fn exact(image: &str) -> bool {
    let tag = image.split_once(':').map_or("", |(_, tag)| tag);
    let version = tag.split('-').next().unwrap_or_default();
    version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok())
}
