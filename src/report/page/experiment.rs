//! Which experiment a document is of: documents of one name that measured different things
//! are no series.

use std::collections::BTreeSet;

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
            "load" => Self::named(&match said("/rate/asked").as_str() {
                "" => format!("saturation {}", said("/connections")),
                rate => format!("{rate} a second {}", said("/connections")),
            }),
            "tracing" => Self::named(&format!("{} {}", said("/server"), said("/rate"))),
            "verdict" if document.get("duet").is_some() => Self::named("duet"),
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
            "image" if said("/settings/cold") == "true" => Self::named("cold"),
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
fn names<'a>(document: &'a Value, list: &str, key: &str) -> BTreeSet<&'a str> {
    let rows = document.pointer(list).and_then(Value::as_array);
    let rows = rows.into_iter().flatten();
    rows.filter_map(|row| row.get(key)?.as_str()).collect()
}

fn listed(names: &BTreeSet<&str>, kind: &str) -> String {
    match names.len() {
        0..=MOST_NAMES => names.iter().copied().collect::<Vec<_>>().join(" "),
        many => format!("{many} {kind}"),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
