//! How long it takes from a stall to what is done about it.

use super::psi::WINDOW_US;

/// An account of stalls at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// CLOCK_MONOTONIC, in nanoseconds.
    pub(super) at: u64,
    /// Microseconds stalled since the account began.
    pub(super) stalled: u64,
}

/// For each reaction the time since the account had grown by `threshold_us` within a window,
/// counted anew after the reaction before it, in milliseconds. Reactions to what this account
/// did not show have none.
pub(super) fn delays(account: &[Moment], reactions: &[u64], threshold_us: u64) -> Vec<f64> {
    let mut before = 0;
    let mut delays = Vec::new();
    for reaction in reactions {
        let between = account
            .iter()
            .filter(|m| (before..=*reaction).contains(&m.at));
        let between: Vec<Moment> = between.copied().collect();
        if let Some(crossed) = crossing(&between, threshold_us) {
            delays.push((reaction - crossed) as f64 / 1e6);
        }
        before = *reaction;
    }
    delays
}

/// When the account had grown by so much within a window.
fn crossing(account: &[Moment], threshold_us: u64) -> Option<u64> {
    let mut first = 0;
    account.iter().find_map(|now| {
        while now.at - account[first].at > WINDOW_US * 1000 {
            first += 1;
        }
        let grown = now.stalled.saturating_sub(account[first].stalled);
        (grown >= threshold_us).then_some(now.at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Looked at every 10 ms; each stretch of so many milliseconds stalls for this share.
    fn account(stretches: &[(u64, f64)]) -> Vec<Moment> {
        let (mut at, mut stalled) = (0, 0.0);
        let mut account = vec![Moment { at, stalled: 0 }];
        for (ms, share) in stretches {
            for _ in 0..ms / 10 {
                at += 10 * MS;
                stalled += 10_000.0 * share;
                let stalled = stalled as u64;
                account.push(Moment { at, stalled });
            }
        }
        account
    }

    #[test]
    fn each_reaction_belongs_to_the_crossing_before_it() {
        // Half of the time: 100 ms are over after 200 ms, and again 200 ms after a reaction.
        let half = account(&[(6000, 0.5)]);
        let reactions = [1000, 2500, 5500].map(|ms| ms * MS);
        assert_eq!(delays(&half, &reactions, 100_000), [800.0, 1300.0, 2800.0]);
    }

    #[test]
    fn what_grew_over_more_than_a_window_crossed_nothing() {
        // 4 % of 2 s are 80 ms.
        let slow = account(&[(8000, 0.04), (1000, 1.0)]);
        assert_eq!(delays(&slow, &[7000 * MS], 100_000), [0.0; 0]);
        let found = delays(&slow, &[8500 * MS], 100_000);
        assert!((found[0] - 470.0).abs() < 20.0, "{found:?}");
        assert_eq!(delays(&[], &[5], 1), [0.0; 0]);
    }
}
