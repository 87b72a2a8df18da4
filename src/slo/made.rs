//! What made the evidence.

use crate::schema::Provenance;

/// What measured, when, and how.
pub fn facts(provenance: Option<&Provenance>) -> [(&'static str, String); 4] {
    let fact = |of: fn(&Provenance) -> String| provenance.map_or_else(|| "unknown".into(), of);
    [
        ("measured", fact(|p| p.date.clone())),
        ("commit", fact(commit)),
        (
            "toolchain",
            fact(|p| format!("{}, version {}", p.toolchain, p.version)),
        ),
        ("command", fact(|p| p.command.join(" "))),
    ]
}

/// `text` below them, as remarks.
pub fn headed(provenance: Option<&Provenance>, text: &str) -> String {
    let facts = facts(provenance);
    let lines = facts.map(|(name, fact)| format!("# {name}: {}\n", fact.replace('\n', " ")));
    lines.concat() + text
}

/// What such a text says below them.
pub fn body(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

/// The commit that the program was built from, or that it cannot be known.
pub fn commit(provenance: &Provenance) -> String {
    match (&provenance.commit, provenance.dirty) {
        (Some(commit), Some(false)) => commit.clone(),
        (Some(commit), _) => format!("{commit}, changed since"),
        (None, _) => "unknown".into(),
    }
}
