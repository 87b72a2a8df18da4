//! Which functions an operation spends more time in than before. Pure.

use std::collections::BTreeSet;

use super::fold::Stacks;

/// Less than this share of an operation is what samples happen to meet.
const LEAST: f64 = 0.005;

/// A function that an operation spends more time in.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// Its name.
    pub function: String,
    /// By how much, in nanoseconds of one operation.
    pub ns: f64,
}

/// The functions that grew, most first. Samples give each function's share of the time, and
/// `times_ns`, what an operation takes on either side, turn those into nanoseconds.
pub fn growth([base, head]: [&Stacks; 2], [base_ns, head_ns]: [f64; 2]) -> Vec<Growth> {
    let (before, after) = (base.own(), head.own());
    let functions: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut grown: Vec<Growth> = functions
        .into_iter()
        .map(|function| Growth {
            function: function.to_owned(),
            ns: head_ns * after.get(function).unwrap_or(&0.0)
                - base_ns * before.get(function).unwrap_or(&0.0),
        })
        .filter(|growth| growth.ns > LEAST * head_ns)
        .collect();
    grown.sort_by(|a, b| b.ns.total_cmp(&a.ns));
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacks(samples: &[(&str, usize)]) -> Stacks {
        let mut script = String::new();
        for (function, count) in samples {
            for _ in 0..*count {
                script += &format!("b  1/1  1.0:  1 cpu-clock: \n\t1 {function}+0x1 (/b)\n\n");
            }
        }
        Stacks::of_perf(script.as_bytes()).unwrap()
    }

    #[test]
    fn what_takes_longer_is_named_and_what_only_has_another_share_is_not() {
        let base = stacks(&[("parse", 50), ("copy", 50)]);
        let head = stacks(&[("parse", 25), ("copy", 25), ("check", 49), ("noise", 1)]);
        let grown = growth([&base, &head], [100.0, 200.0]);
        assert_eq!(grown[0].function, "check");
        assert!((grown[0].ns - 98.0).abs() < 1e-9);
        assert!(!grown.iter().any(|g| g.function == "parse"), "{grown:?}");
    }
}
