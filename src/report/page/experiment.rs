//! Which experiment a document is of: documents of one name that measured different things
//! are no series.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What tells a document from others of its stream that ran with other settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Experiment {
    /// In words, for a heading; empty where a stream has only one.
    pub(super) short: String,
    /// All that tells it from others.
    whole: String,
}

/// Names that stand in a heading; of more only their number does.
const MOST_NAMES: usize = 2;
/// The first port that Linux chooses by itself, unless told otherwise.
const FIRST_CHOSEN: u16 = 32_768;

impl Experiment {
    /// Of a document of this stream.
    pub(super) fn of(stream: &str, document: &Value) -> Self {
        let said = |at: &str| document.pointer(at).map(plain).unwrap_or_default();
        match stream {
            "impact" => {
                let programs = names(document, "/rows", "program");
                let mut arms = names(document, "/rows", "arm");
                arms.remove("off");
                Self {
                    short: [listed(&programs, "programs"), listed(&arms, "arms")].join(" "),
                    whole: format!("{programs:?} {arms:?}"),
                }
            }
            "soak" if said("/settings/canary") == "true" => Self::named("canary"),
            "soak" => Self::named(&said("/settings/load")),
            "load" => {
                let steps = document.pointer("/ladder").and_then(Value::as_array);
                // The rate of a ladder is what it found.
                let pace = match said("/rate/asked").as_str() {
                    _ if steps.is_some_and(|steps| !steps.is_empty()) => "ladder".to_owned(),
                    "" => "saturation".to_owned(),
                    rate => format!("{rate} a second"),
                };
                let (connections, url) = (said("/connections"), said("/url"));
                Self::named(&format!("{pace} {connections} {}", server(&url)))
            }
            "overhead" => {
                let workloads = names(document, "/rows", "workload");
                let agent = [
                    "/settings/ring_bytes",
                    "/settings/wakeup",
                    "/settings/drain_ms",
                    "/settings/rules",
                    "/agent/open/rung",
                    "/agent/connect/rung",
                ];
                Self {
                    short: listed(&workloads, "workloads"),
                    whole: format!("{workloads:?} {:?}", agent.map(said)),
                }
            }
            "pressure" => {
                let mut policies = names(document, "/arms", "policy");
                policies.retain(|policy| !["off", "observe"].contains(&policy.as_str()));
                let limit = said("/settings/limit_mb");
                Self {
                    short: format!("{} {limit} MB", listed(&policies, "policies")),
                    whole: format!("{policies:?} {:?}", settings(document)),
                }
            }
            "tracing" => Self::named(&format!("{} {}", said("/server"), said("/rate"))),
            "verdict" => {
                let kind = document.get("duet").map_or("check", |_| "duet");
                let (ids, shard) = (names(document, "/rows", "id"), said("/shard/shard"));
                let short = format!("{kind} {} {shard}", listed(&ids, "benchmarks"));
                Self {
                    short: short.trim_end().to_owned(),
                    whole: format!("{kind} {ids:?} {shard}"),
                }
            }
            "coverage" | "monitor" => {
                let command = document
                    .pointer("/command/0")
                    .map(plain)
                    .unwrap_or_default();
                let program = command.rsplit('/').next().unwrap_or_default().to_owned();
                Self {
                    short: program,
                    whole: said("/command"),
                }
            }
            "image" => {
                let images = names(document, "/images", "image");
                let at_once = names(document, "/pulls", "at_once");
                let cold = match said("/settings/cold").as_str() {
                    "true" => "cold ",
                    _ => "",
                };
                Self {
                    short: format!("{cold}{}", listed(&images, "images")),
                    whole: format!("{images:?} {at_once:?} {:?}", settings(document)),
                }
            }
            _ => Self::default(),
        }
    }

    fn named(name: &str) -> Self {
        Self {
            short: name.to_owned(),
            whole: name.to_owned(),
        }
    }
}

/// What the rows of a list are of.
fn names(document: &Value, list: &str, key: &str) -> BTreeSet<String> {
    let rows = document.pointer(list).and_then(Value::as_array);
    let rows = rows.into_iter().flatten();
    rows.filter_map(|row| row.get(key).map(plain)).collect()
}

fn listed(names: &BTreeSet<String>, kind: &str) -> String {
    match names.len() {
        0..=MOST_NAMES => names.iter().cloned().collect::<Vec<_>>().join(" "),
        many => format!("{many} {kind}"),
    }
}

/// All settings but those of which only the precision depends.
fn settings(document: &Value) -> BTreeMap<&str, String> {
    let all = document.get("settings").and_then(Value::as_object);
    let all = all.into_iter().flatten();
    all.filter(|(name, _)| !["seed", "rounds"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), plain(value)))
        .collect()
}

/// A server by its URL, without the scheme, and without a port that the kernel chose: our
/// own has another each time.
fn server(url: &str) -> String {
    let url = url.strip_prefix("http://").unwrap_or(url);
    let chosen = url.strip_prefix("127.0.0.1:").and_then(|rest| {
        let (port, path) = rest.split_once('/')?;
        let is_chosen = port.parse::<u16>().is_ok_and(|port| port >= FIRST_CHOSEN);
        is_chosen.then(|| format!("127.0.0.1/{path}"))
    });
    chosen.unwrap_or_else(|| url.to_owned())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
