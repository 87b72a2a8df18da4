//! Whether failures became more frequent.

use statrs::distribution::{DiscreteCDF, Hypergeometric};

/// The chance of so many failures among `with` tries, or more, if the failures of both
/// sides together had fallen on the tries at random: Fisher's exact test, one-sided.
/// `off` and `with` are failures and tries. `None` where there are more failures than tries.
pub fn fisher((off_failed, off): (u64, u64), (failed, with): (u64, u64)) -> Option<f64> {
    if off_failed > off || failed > with {
        return None;
    }
    if failed == 0 {
        return Some(1.0);
    }
    let draws = Hypergeometric::new(off + with, off_failed + failed, with).ok()?;
    Some(draws.sf(failed - 1).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tables() {
        // Fisher's tea: 3 of 4 against 1 of 4 has the chance 17/70.
        let tea = fisher((1, 4), (3, 4)).unwrap();
        assert!((tea - 17.0 / 70.0).abs() < 1e-9, "{tea}");
        let none = fisher((0, 100), (5, 100)).unwrap();
        assert!((none - 0.029_1).abs() < 1e-3, "{none}");
    }

    #[test]
    fn no_failure_is_no_finding_and_impossible_tables_are_refused() {
        assert_eq!(fisher((7, 100), (0, 100)), Some(1.0));
        assert_eq!(fisher((0, 0), (0, 0)), Some(1.0));
        assert_eq!(fisher((3, 2), (0, 1)), None);
        assert!(fisher((0, 1_000_000), (100, 1_000_000)).unwrap() < 1e-20);
    }
}
