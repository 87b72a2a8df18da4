//! `tools/fleet/job.yaml` is a Job as the Kubernetes API describes it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

#[path = "../../../tests/support/program.rs"]
mod program;

use program::program;

fn read() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fleet/job.yaml");
    serde_norway::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What of `yaml` the API does not know: a Job read from it and written again has lost it.
fn unknown(yaml: &Value) -> Result<bool, String> {
    let job: Job = serde_json::from_value(yaml.clone()).map_err(|e| e.to_string())?;
    Ok(serde_json::to_value(job).unwrap() != *yaml)
}

#[test]
fn the_api_knows_every_field_of_it() {
    let yaml = read();
    assert_eq!(unknown(&yaml), Ok(false));
    // A field misspelt, in another place, or of another type is seen.
    let mut misspelt = yaml.clone();
    let spec = misspelt["spec"].as_object_mut().unwrap();
    let mode = spec.remove("completionMode").unwrap();
    spec.insert("completionmode".into(), mode);
    assert_eq!(unknown(&misspelt), Ok(true));
    let mut mistyped = yaml;
    mistyped["spec"]["completions"] = "8".into();
    assert!(unknown(&mistyped).is_err());
}

#[test]
fn every_index_has_a_shard() {
    let job: Job = serde_json::from_value(read()).unwrap();
    let spec = job.spec.unwrap();
    assert_eq!(spec.completion_mode.as_deref(), Some("Indexed"));
    let pod = spec.template.spec.unwrap();
    // Needed for a limit of tries of each index.
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    let container = &pod.containers[0];
    let shards = container
        .env
        .iter()
        .flatten()
        .find(|env| env.name == "SHARDS");
    let shards: i32 = shards.unwrap().value.as_ref().unwrap().parse().unwrap();
    assert_eq!(spec.completions, Some(shards));
    assert!(spec.max_failed_indexes <= spec.completions);
    let mounted = container.volume_mounts.iter().flatten().map(|m| &m.name);
    let volumes: Vec<_> = pod.volumes.iter().flatten().map(|v| &v.name).collect();
    assert_eq!(mounted.collect::<Vec<_>>(), volumes);
}

/// A directory with a `cargo-compare` that leaves its arguments and what origin/main is.
fn bench() -> tempfile::TempDir {
    let bench = tempfile::tempdir().unwrap();
    let file = bench.path().join("with a space");
    let file = file.join("cargo-compare");
    let text = "#!/bin/sh\necho \"$@\"\ngit log -1 --format=%s origin/main || true\n";
    program(&file, text);
    bench
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Not with the branch that the claim's clone happened to have.
#[test]
fn a_pod_compares_with_what_was_fetched() {
    let bench = bench();
    let at = |name: &str| bench.path().join(name).display().to_string();
    let (claim, project) = (at("claim"), at("pod"));
    fs::create_dir(&claim).unwrap();
    let set_up = "git init -q -b main upstream; cd upstream
        commit() { git -c user.name=a -c user.email=a@a commit -q --allow-empty -m \"$1\"; }
        commit stale; git clone -q . ../claim/project
        commit fresh; git -C ../claim/project fetch -q";
    let mut made = Command::new("bash");
    made.args(["-ec", set_up]).current_dir(bench.path());
    said(&made.output().unwrap());
    let job: Job = serde_json::from_value(read()).unwrap();
    let pod = job.spec.unwrap().template.spec.unwrap();
    let script = &pod.containers[0].args.as_ref().unwrap()[0];
    let script = script
        .replace("/tmp/project", &project)
        .replace("/claim", &claim);
    let path = format!("{}:{}", at("with a space"), std::env::var("PATH").unwrap());
    let mut pod = Command::new("bash");
    pod.args(["-euc", &script]).current_dir(&claim);
    for (name, value) in [("PATH", &*path), ("SHARDS", "8"), ("BASE", "origin/main")] {
        pod.env(name, value);
    }
    pod.env("HEAD", "HEAD").env("JOB_COMPLETION_INDEX", "0");
    assert!(said(&pod.output().unwrap()).ends_with("\nfresh\n"));
}

#[test]
fn the_gate_of_an_array_may_lie_anywhere() {
    let bench = bench();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fleet/slurm.sbatch");
    let run = |task: Option<&str>| {
        let mut task_of = Command::new("bash");
        task_of.arg(&script).arg(bench.path().join("a b"));
        task_of.env("COMPARE", bench.path().join("with a space/cargo-compare"));
        task_of.env_remove("SLURM_ARRAY_TASK_ID").env("SHARDS", "4");
        task_of.envs(task.map(|task| ("SLURM_ARRAY_TASK_ID", task)));
        said(&task_of.output().unwrap())
    };
    assert!(run(None).starts_with("merge "));
    assert!(run(Some("3")).starts_with("duet --shard 3/4 "));
}
