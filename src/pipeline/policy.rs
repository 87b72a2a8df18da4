//! Which events matter.

use hashbrown::{HashMap, HashSet};

use super::hashing::Hashing;
use crate::agent::record::{FileId, Record, Target};

/// Events that matter, or never do. Like a rule of the kernel's side, it denies
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Opens of exactly this path, and runs of it as a program.
    Path(Box<[u8]>),
    /// The same of this directory and of whatever lies below it: `/etc` takes in
    /// `/etc/hosts`, and not `/etcetera`.
    Below(Box<[u8]>),
    /// The same of this file under any name, where the hook sees files.
    File(FileId),
    /// Every connect.
    Connects,
    /// Calls from this cgroup (v2), by its inode number, matter never.
    TrustedCgroup(u64),
}

/// What the policy makes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A pattern names it.
    Matched,
    /// No pattern names it.
    Unmatched,
    /// It comes from a trusted cgroup.
    Trusted,
}

/// A set of patterns. One look-up costs the same however many there are.
#[derive(Debug, Clone)]
pub struct Policy {
    paths: HashMap<Box<[u8]>, Reach, Hashing>,
    files: HashSet<FileId, Hashing>,
    trusted: HashSet<u64, Hashing>,
    /// The lengths of the directories with a pattern, so that a path is cut only
    /// where one of them can end.
    directories: Lengths,
    connects: bool,
    patterns: usize,
}

/// What the patterns of one path take in.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    itself: bool,
    below: bool,
}

impl Policy {
    /// No pattern: nothing matches.
    pub fn new(hashing: Hashing) -> Self {
        Self {
            paths: HashMap::with_hasher(hashing.clone()),
            files: HashSet::with_hasher(hashing.clone()),
            trusted: HashSet::with_hasher(hashing),
            directories: Lengths::default(),
            connects: false,
            patterns: 0,
        }
    }

    /// How many patterns have been added.
    pub fn len(&self) -> usize {
        self.patterns
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.patterns == 0
    }

    /// Adds a pattern; one that is there already changes nothing but
    /// [`len`](Self::len).
    pub fn add(&mut self, pattern: Pattern) {
        self.patterns += 1;
        match pattern {
            Pattern::Path(path) => self.paths.entry(path).or_default().itself = true,
            Pattern::Below(path) => {
                let directory = path.strip_suffix(b"/").unwrap_or(&path);
                self.directories.insert(directory.len());
                let reach = self.paths.entry(directory.into()).or_default();
                *reach = Reach {
                    itself: true,
                    below: true,
                };
            }
            Pattern::File(file) => {
                self.files.insert(file);
            }
            Pattern::Connects => self.connects = true,
            Pattern::TrustedCgroup(cgroup) => {
                self.trusted.insert(cgroup);
            }
        }
    }

    /// What the policy makes of this event.
    pub fn judge(&self, record: &Record) -> Decision {
        if !self.trusted.is_empty() && self.trusted.contains(&record.cgroup()) {
            return Decision::Trusted;
        }
        let matched = match record.target {
            Target::Path(path) | Target::Program(path) => {
                record.file.is_some_and(|file| self.files.contains(file)) || self.names(path)
            }
            Target::Address(_) => self.connects,
        };
        if matched {
            Decision::Matched
        } else {
            Decision::Unmatched
        }
    }

    fn names(&self, path: &[u8]) -> bool {
        self.paths.get(path).is_some_and(|reach| reach.itself)
            || self
                .directories
                .ends_in(path)
                .any(|end| self.paths.get(&path[..end]).is_some_and(|dir| dir.below))
    }
}

/// A set of lengths, one bit each; the last bit stands for all from there on.
#[derive(Debug, Clone, Copy, Default)]
struct Lengths(u64);

impl Lengths {
    const LAST: usize = 63;

    fn insert(&mut self, length: usize) {
        self.0 |= 1 << length.min(Self::LAST);
    }

    /// Where a directory of one of these lengths could end in `path`.
    fn ends_in(self, path: &[u8]) -> impl Iterator<Item = usize> {
        let mut short = self.0 & !(1 << Self::LAST);
        let long = (short != self.0).then(|| path.get(Self::LAST..)).flatten();
        std::iter::from_fn(move || {
            let length = short.trailing_zeros() as usize;
            short &= short.wrapping_sub(1);
            (length < path.len().min(Self::LAST)).then_some(length)
        })
        .filter(|&end| path[end] == b'/')
        .chain(
            long.into_iter()
                .flat_map(|rest| memchr::memchr_iter(b'/', rest))
                .map(|end| end + Self::LAST),
        )
    }
}

impl FromIterator<Pattern> for Policy {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut policy = Self::new(Hashing::random());
        for pattern in patterns {
            policy.add(pattern);
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sample::Sample;

    fn judge(patterns: Vec<Pattern>, sample: Sample) -> Decision {
        let bytes = sample.bytes();
        let policy: Policy = patterns.into_iter().collect();
        policy.judge(&Record::decode(&bytes).unwrap())
    }

    fn open(path: &str) -> Sample {
        Sample {
            path: path.into(),
            ..Sample::default()
        }
    }

    #[test]
    fn a_path_matches_itself_only() {
        let patterns = || vec![Pattern::Path((*b"/etc/hosts").into())];
        assert_eq!(judge(patterns(), open("/etc/hosts")), Decision::Matched);
        assert_eq!(judge(patterns(), open("/etc/hosts2")), Decision::Unmatched);
        assert_eq!(judge(patterns(), open("/etc/host")), Decision::Unmatched);
        assert_eq!(judge(patterns(), open("/etc/hosts/x")), Decision::Unmatched);
    }

    #[test]
    fn a_directory_takes_in_what_lies_below() {
        for written in ["/etc", "/etc/"] {
            let patterns = || vec![Pattern::Below(written.as_bytes().into())];
            assert_eq!(
                judge(patterns(), open("/etc/ssl/certs/a")),
                Decision::Matched
            );
            assert_eq!(judge(patterns(), open("/etc")), Decision::Matched);
            assert_eq!(judge(patterns(), open("/etcetera")), Decision::Unmatched);
            assert_eq!(judge(patterns(), open("/usr/etc/x")), Decision::Unmatched);
        }
        let root = vec![Pattern::Below((*b"/").into())];
        assert_eq!(judge(root, open("/anything")), Decision::Matched);
        let long = format!("/{}", "d".repeat(200));
        let patterns = vec![Pattern::Below(long.as_bytes().into())];
        assert_eq!(
            judge(patterns, open(&format!("{long}/f"))),
            Decision::Matched
        );
    }

    #[test]
    fn a_file_matches_under_any_name() {
        let patterns = || vec![Pattern::File(FileId::new(7, 8))];
        let named = |file| Sample {
            file,
            ..open("/some/name")
        };
        assert_eq!(judge(patterns(), named(Some((7, 8)))), Decision::Matched);
        assert_eq!(judge(patterns(), named(Some((8, 7)))), Decision::Unmatched);
        assert_eq!(judge(patterns(), named(None)), Decision::Unmatched);
    }

    #[test]
    fn trust_goes_before_every_pattern() {
        let patterns = |cgroup| {
            vec![
                Pattern::Below((*b"/").into()),
                Pattern::TrustedCgroup(cgroup),
            ]
        };
        let cgroup = Sample::default().cgroup;
        assert_eq!(judge(patterns(cgroup), open("/x")), Decision::Trusted);
        assert_eq!(judge(patterns(cgroup + 1), open("/x")), Decision::Matched);
    }

    #[test]
    fn connects_match_where_asked_for() {
        let connect = || Sample {
            kind: Sample::CONNECT,
            path: vec![2, 0, 0, 53, 127, 0, 0, 1],
            ..Sample::default()
        };
        assert_eq!(judge(vec![Pattern::Connects], connect()), Decision::Matched);
        let paths = vec![Pattern::Below((*b"/").into())];
        assert_eq!(judge(paths, connect()), Decision::Unmatched);
    }

    /// The one look-up and the patterns read one by one say the same.
    #[test]
    fn a_thousand_patterns_agree_with_reading_them_one_by_one() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut name = || {
            (0..random.usize(1..5))
                .map(|_| format!("/{}", ["a", "bb", "c", "dd"][random.usize(..4)]))
                .collect::<String>()
        };
        let patterns: Vec<(String, bool)> = (0..1000).map(|i| (name(), i % 3 == 0)).collect();
        let some = &patterns[..30];
        let policy: Policy = some
            .iter()
            .map(|(path, below)| {
                let path = path.as_bytes().into();
                if *below {
                    Pattern::Below(path)
                } else {
                    Pattern::Path(path)
                }
            })
            .collect();
        let mut matched = 0;
        for (path, _) in &patterns {
            let expected = some.iter().any(|(rule, below)| {
                path == rule || (*below && path.starts_with(&format!("{rule}/")))
            });
            assert_eq!(policy.names(path.as_bytes()), expected, "{path}");
            matched += usize::from(expected);
        }
        assert!((100..900).contains(&matched), "{matched}");
    }
}
