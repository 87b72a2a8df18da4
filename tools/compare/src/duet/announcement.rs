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

/// What is known better once the first round was made, where that is much: iterations may be
/// long, and benches may keep times of their own.
pub fn correction(estimate: Duration, first: Duration, all: Duration) -> Option<String> {
    let share = all.as_secs_f64() / estimate.as_secs_f64();
    (!(0.75..=1.25).contains(&share) && all.abs_diff(estimate) > Duration::from_secs(5)).then(
        || {
            format!(
                "the first round took {}: about {} in all",
                HumanDuration(first),
                HumanDuration(all)
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_round_shows_is_said_where_it_is_much() {
        let said = |all| {
            let first = Duration::from_secs(60);
            correction(first, first, Duration::from_secs(all))
        };
        assert_eq!(said(70), None);
        let slow = said(600).unwrap();
        assert!(slow.contains("60 seconds: about 10 minutes"), "{slow}");
        assert!(said(30).is_some());
    }
}
