//! What is asked of the user's patience.

use std::time::Duration;

use indicatif::HumanDuration;

use super::subjects::Subject;

/// What is asked of the user's patience, in words.
pub fn announcement(subjects: &[Subject], estimate: Duration, time: Option<Duration>) -> String {
    let longest = subjects.iter().map(|s| s.set_up).max().unwrap_or_default();
    let set_up = match longest.as_secs_f64() {
        s if s < 0.1 => String::new(),
        s => format!(", of which each process sets up for {s:.1} s"),
    };
    let time = match time {
        Some(time) => format!("; {} at most", HumanDuration(time)),
        None => String::new(),
    };
    format!(
        "{} benchmarks{set_up}: about {}, and more for what may have changed{time}",
        subjects.len(),
        HumanDuration(estimate)
    )
}
