//! What changed about a machine, whether it still counts as the same one or not.

use std::collections::{BTreeMap, BTreeSet};

use probecost::schema::Host;
use serde_json::Value;

/// Each trait that differs, as `kernel: 6.12.1 → 6.12.48`.
pub fn differences(old: &Host, new: &Host) -> Vec<String> {
    let (old, new) = (traits(old), traits(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let word = |value: Option<&String>| value.map_or("unknown", String::as_str).to_owned();
    names
        .into_iter()
        .map(|name| (name, word(old.get(name)), word(new.get(name))))
        .filter(|(_, old, new)| old != new)
        .map(|(name, old, new)| format!("{name}: {old} → {new}"))
        .collect()
}

/// All that is recorded of a machine, by name.
fn traits(host: &Host) -> BTreeMap<String, String> {
    let mut traits = BTreeMap::new();
    if let Ok(Value::Object(parts)) = serde_json::to_value(host) {
        for (name, value) in &parts {
            collect(name, value, &mut traits);
        }
    }
    traits
}

fn collect(name: &str, value: &Value, traits: &mut BTreeMap<String, String>) {
    let mut note = |words: String| {
        traits.insert(name.replace('_', " "), words);
    };
    match value {
        Value::Null => {}
        Value::String(words) => note(words.clone()),
        Value::Object(parts) => {
            for (part, value) in parts {
                collect(&format!("{name} {part}"), value, traits);
            }
        }
        other => note(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn host(kernel: &str, retbleed: Option<&str>) -> Host {
        let mitigations = match retbleed {
            Some(words) => json!({ "retbleed": words }),
            None => json!({}),
        };
        serde_json::from_value(json!({
            "cpu_model": "Example CPU", "cores": 2, "memory_bytes": 1, "kernel": kernel,
            "virtualisation": "kvm", "governor": null, "clock_source": "tsc",
            "mitigations": mitigations, "smt": null, "turbo": null,
        }))
        .unwrap()
    }

    #[test]
    fn what_differs_is_named_with_both_sides() {
        let old = host("6.12.1", None);
        assert!(differences(&old, &old).is_empty());
        assert_eq!(
            differences(&old, &host("6.12.48", Some("Vulnerable"))),
            [
                "kernel: 6.12.1 → 6.12.48",
                "mitigations retbleed: unknown → Vulnerable"
            ]
        );
    }
}
