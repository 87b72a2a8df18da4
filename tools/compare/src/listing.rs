//! What benches answer to `--list`.

/// What Criterion puts in place of the rest of an id that is longer than 100 bytes.
const CUT: &str = "...";

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

/// What a listed id begins with, where Criterion cut it.
pub fn beginning(id: &str) -> Option<&str> {
    // Those after the first with one beginning have a number.
    let numbered = id.rsplit_once(" #");
    let numbered = numbered.filter(|(_, number)| number.parse::<u32>().is_ok());
    let title = numbered.map_or(id, |(title, _)| title);
    let beginning = title.strip_suffix(CUT)?;
    // It cuts between characters, of which one has up to four bytes.
    (97..=100).contains(&beginning.len()).then_some(beginning)
}

/// A regular expression for the whole of a listed id, as filters and results have it.
pub fn pattern(id: &str) -> String {
    match beginning(id) {
        Some(beginning) => format!("{}.+", regex::escape(beginning)),
        None => regex::escape(id),
    }
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
    fn a_long_id_is_known_by_what_the_list_says_of_it() {
        // 100 bytes end inside a letter.
        let id = format!("a+{}", "€".repeat(40));
        let listed = format!("{}...", &id[..98]);
        assert_eq!(beginning(&listed), Some(&id[..98]));
        assert_eq!(beginning(&format!("{listed} #2")), Some(&id[..98]));
        let matches = |asked: &str, id: &str| {
            let whole = regex::Regex::new(&format!("^(?:{})$", pattern(asked)));
            whole.unwrap().is_match(id)
        };
        assert!(matches(&listed, &id) && !matches(&listed, &id[..98]));
        for short in ["a...", "a #2", &id] {
            assert_eq!(beginning(short), None);
            assert!(matches(short, short));
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
