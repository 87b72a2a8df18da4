//! `tools/fleet/job.yaml` is a Job as the Kubernetes API describes it.

use std::path::Path;

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

fn read() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fleet/job.yaml");
    serde_norway::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
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
