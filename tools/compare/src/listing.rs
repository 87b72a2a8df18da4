//! What benches answer to `--list`.

/// The benchmarks that one target listed, or several, one after the other.
#[derive(Debug, PartialEq)]
pub struct ListAnswer {
    /// Criterion's, by id.
    pub ids: Vec<String>,
    /// Whether the standard library's harness answered, too.
    pub built_in: bool,
}

/// Reads an answer. Criterion says `bench` up to 0.4 and `benchmark` since; the standard
/// library's harness says how many it listed, and Criterion measures none of those.
pub fn listed(said: &str) -> ListAnswer {
    let mut listed = ListAnswer {
        ids: Vec::new(),
        built_in: false,
    };
    for line in said.lines() {
        let id = line.strip_suffix(": benchmark");
        if let Some(id) = id.or_else(|| line.strip_suffix(": bench")) {
            listed.ids.push(id.to_owned());
        } else if let Some(benchmarks) = total(line) {
            listed.built_in = true;
            let others = listed.ids.len().saturating_sub(benchmarks);
            listed.ids.truncate(others);
        }
    }
    listed
}

/// How many benchmarks the standard library's harness says it has listed above.
fn total(line: &str) -> Option<usize> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [
            _,
            "test," | "tests,",
            benchmarks,
            "benchmark" | "benchmarks",
        ] => benchmarks.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_all_criterions_are_read() {
        for said in [
            "a/b: bench\nsome words\nc: bench\n",
            "a/b: benchmark\nc: benchmark\n",
        ] {
            let listed = listed(said);
            assert!(listed.ids == ["a/b", "c"] && !listed.built_in);
        }
    }

    #[test]
    fn those_of_the_standard_library_are_not_wherever_they_stand() {
        for (said, ids) in [
            ("x: test\n\n1 test, 0 benchmarks\n", &[][..]),
            ("x: benchmark\n\n0 tests, 1 benchmark\n", &[]),
            (
                "a: benchmark\nx: test\ny: benchmark\n\n1 test, 1 benchmark\nb: benchmark\n",
                &["a", "b"],
            ),
        ] {
            let listed = listed(said);
            assert!(listed.ids == ids && listed.built_in, "{said}");
        }
    }
}
