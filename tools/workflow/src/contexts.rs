//! What GitHub would tell a run about itself, for each event.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::file::Workflow;

/// The repository's name, as forks and branches are told apart by it.
const REPOSITORY: &str = "probecost/probecost";

/// The contexts of a run of `workflow` started by `event`, on the commit of the work tree.
/// `answers` are the inputs that were given by hand.
///
/// # Errors
/// An answer that was not asked for, or a question without one.
pub fn contexts(
    workflow: &Workflow,
    event: &str,
    tree: &Path,
    answers: &[(String, String)],
) -> Result<Value, String> {
    let commit = git(tree, &["rev-parse", "HEAD"]);
    let parent = git(tree, &["rev-parse", "HEAD^1"]);
    let (reference, payload) = match event {
        "pull_request" => (
            "refs/pull/1/merge",
            json!({"pull_request": {
                "number": 1,
                "base": {"ref": "main", "sha": parent},
                "head": {"ref": "change", "sha": commit, "repo": {"full_name": REPOSITORY}},
                "labels": [{"name": "perf"}],
            }}),
        ),
        _ => ("refs/heads/main", json!({})),
    };
    let inputs = match event {
        "workflow_dispatch" => inputs(workflow, answers)?,
        _ => json!({}),
    };
    Ok(json!({
        "github": {
            "event_name": event,
            "event": payload,
            "ref": reference,
            "ref_name": reference.rsplit('/').next(),
            "repository": REPOSITORY,
            "run_id": "1",
            "run_number": "1",
            "sha": commit,
            "token": "",
            "workflow": workflow.name,
            "workspace": tree,
        },
        "inputs": inputs,
        "runner": {"os": "Linux", "arch": "X64", "temp": std::env::temp_dir()},
    }))
}

fn inputs(workflow: &Workflow, answers: &[(String, String)]) -> Result<Value, String> {
    let asked = workflow.on.workflow_dispatch.as_ref();
    let asked = asked.map(|dispatch| &dispatch.inputs);
    if let Some((name, _)) = answers
        .iter()
        .find(|(name, _)| !asked.is_some_and(|asked| asked.contains_key(name)))
    {
        return Err(format!("{name} is no input of {}", workflow.name));
    }
    let mut inputs = Map::new();
    for (name, input) in asked.into_iter().flatten() {
        let given = answers.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        let answer = given.or(input.default.as_ref()).cloned();
        let choice =
            input.options.is_empty() || answer.as_ref().is_some_and(|a| input.options.contains(a));
        if !choice {
            return Err(format!("{name}: {answer:?} is none of {:?}", input.options));
        }
        // A text that must be given is anything.
        let answer = answer.unwrap_or_else(|| {
            if input.required {
                "a trial".into()
            } else {
                String::new()
            }
        });
        inputs.insert(
            name.clone(),
            match input.r#type.as_deref() {
                Some("boolean") => Value::Bool(answer == "true"),
                _ => Value::String(answer),
            },
        );
    }
    Ok(Value::Object(inputs))
}

fn git(tree: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(tree)
        .args(arguments)
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
