//! A project made for a trial: a library of loops, its benches, and two commits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use compare::failure::Failure;
use git2::{IndexAddOption, Repository, Signature};

/// The kinds of loop, each a function of `loops/lib.rs`.
const LOOPS: [&str; 6] = ["parse", "hash", "sort", "search", "words", "escape"];

/// How a bench is set going, by what the command line says.
const OBEYS: &str =
    "criterion::criterion_group!(benches, loops);\ncriterion::criterion_main!(benches);\n";

/// The same by what the code says, whatever the command line does.
const INSISTS: &str = "fn main() {
    let mut c = Criterion::default()
        .configure_from_args()
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    loops(&mut c);
    c.final_summary();
}
";

/// What a project is like.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub benchmarks: usize,
    /// How often a benchmark does its work in one iteration.
    pub passes: u64,
    /// How much it works on.
    pub bytes: usize,
    pub lto: bool,
    /// The version of Criterion.
    pub criterion: &'static str,
    /// What every process sets up, in seconds.
    pub set_up: u64,
    /// Whether the bench sets its times in code.
    pub insists: bool,
}

impl Recipe {
    pub const SMALL: Self = Self {
        benchmarks: 4,
        passes: 20,
        bytes: 1024,
        lto: false,
        criterion: "0.8",
        set_up: 0,
        insists: false,
    };
}

/// A change that no benchmark should feel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Version,
    Function,
    Name,
    Comment,
}

impl Change {
    pub const ALL: [Self; 4] = [Self::Version, Self::Function, Self::Name, Self::Comment];

    pub fn words(self) -> &'static str {
        match self {
            Self::Version => "another version",
            Self::Function => "one more function",
            Self::Name => "another name",
            Self::Comment => "a comment",
        }
    }
}

/// The files of a project, by name.
pub struct Files(BTreeMap<&'static str, String>);

impl Files {
    pub fn new(recipe: &Recipe) -> Self {
        let bench = include_str!("loops/bench.rs")
            .replace(
                "BYTES: usize = 1024",
                &format!("BYTES: usize = {}", recipe.bytes),
            )
            .replace("from_secs(0)", &format!("from_secs({})", recipe.set_up));
        let starts = if recipe.insists { INSISTS } else { OBEYS };
        Self(BTreeMap::from([
            (".gitignore", "/target\nCargo.lock\n".to_owned()),
            ("Cargo.toml", manifest(recipe)),
            ("src/lib.rs", include_str!("loops/lib.rs").to_owned()),
            ("src/loops.rs", table(recipe)),
            ("benches/loops.rs", bench + starts),
        ]))
    }

    /// Makes the change, a different one for each `k`.
    pub fn change(&mut self, change: Change, k: usize) {
        match change {
            Change::Version => {
                let version = format!("version = \"0.{}.{k}\"", 2 + 7 * k);
                self.replace("Cargo.toml", "version = \"0.1.0\"", &version);
            }
            Change::Function => {
                let function = format!(
                    "fn more_{k}(work: &Work) -> u64 {{\n    let all = work.text.chars().step_by({});\n    \
                     all.fold({k}, |a, c| a.rotate_left(3) ^ u64::from(c))\n}}\n\n",
                    k + 2
                );
                let before = ["/// What all of it comes to.", "/// Does the same"][k % 2];
                self.replace("src/lib.rs", before, &(function + before));
                let sum = "work.text.len() as u64 ^ ";
                self.replace("src/lib.rs", sum, &format!("{sum}more_{k}(work) ^ "));
            }
            // By turns of what is measured, and of what that calls.
            Change::Name => {
                let name = LOOPS[k % 4];
                match k / 4 % 2 {
                    0 => self.replace(
                        "src/loops.rs",
                        &format!("{name}_0"),
                        &format!("{name}_x{k}_0"),
                    ),
                    _ => {
                        let new = format!("{name}_x{k}::<");
                        self.replace("src/loops.rs", &format!("{name}::<"), &new);
                        // What `summary` calls.
                        if name == "hash" {
                            self.replace("src/lib.rs", "hash::<", &new);
                        }
                        let new = format!("fn {name}_x{k}<");
                        self.replace("src/lib.rs", &format!("fn {name}<"), &new);
                    }
                }
            }
            Change::Comment => {
                let comment = "// One line more.\n".repeat(k + 1);
                self.replace("src/lib.rs", "/// FNV", &format!("{comment}/// FNV"));
            }
        }
    }

    /// Has a benchmark do one pass in twenty more.
    pub fn plant(&mut self, benchmark: usize) {
        let name = function(benchmark);
        let from = format!("fn {name}(work: &Work) -> u64 {{\n    passes(20,");
        self.replace(
            "src/loops.rs",
            &from,
            &from.replace("passes(20,", "passes(21,"),
        );
    }

    /// Puts `to` in the place of `from`, which must be there: a trial without its change
    /// would come right by itself.
    fn replace(&mut self, file: &'static str, from: &str, to: &str) {
        let text = self.0.entry(file).or_default();
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replace(from, to);
    }

    /// Commits them as they are.
    pub fn commit(&self, place: &Path) -> Result<(), Failure> {
        for (name, text) in &self.0 {
            let path = place.join(name);
            let directory = path.parent().unwrap_or(place);
            fs::create_dir_all(directory).map_err(|e| Failure::at(directory, e))?;
            fs::write(&path, text).map_err(|e| Failure::at(&path, e))?;
        }
        record(place).map_err(|e| Failure::at(place, e))
    }
}

fn record(place: &Path) -> Result<(), git2::Error> {
    let repository = match Repository::open(place) {
        Ok(repository) => repository,
        Err(_) => Repository::init(place)?,
    };
    let mut index = repository.index()?;
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let by = Signature::now("trials", "trials@example.org")?;
    let parent = repository
        .head()
        .and_then(|head| head.peel_to_commit())
        .ok();
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &by, &by, "A trial", &tree, &parents)?;
    Ok(())
}

fn manifest(recipe: &Recipe) -> String {
    format!(
        "[package]\nname = \"loops\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [dev-dependencies]\ncriterion = {{ version = \"{}\", default-features = false, \
         features = [\"cargo_bench_support\"] }}\n\n[lib]\nbench = false\n\n\
         [[bench]]\nname = \"loops\"\nharness = false\n\n[profile.bench]\nlto = {}\n",
        recipe.criterion, recipe.lto
    )
}

pub fn id(benchmark: usize) -> String {
    format!("{}/{benchmark:03}", LOOPS[benchmark % LOOPS.len()])
}

fn function(benchmark: usize) -> String {
    id(benchmark).replace('/', "_")
}

/// A function for each benchmark, and all of them by their ids.
fn table(recipe: &Recipe) -> String {
    let mut functions = "use super::*;\n\n".to_owned();
    let mut all =
        "/// Every benchmark.\npub const ALL: &[(&str, fn(&Work) -> u64)] = &[\n".to_owned();
    for k in 0..recipe.benchmarks {
        let (name, kind, passes) = (function(k), LOOPS[k % LOOPS.len()], recipe.passes);
        functions += &format!(
            "fn {name}(work: &Work) -> u64 {{\n    passes({passes}, work, {kind}::<{k}>)\n}}\n\n"
        );
        all += &format!("    (\"{}\", {name}),\n", id(k));
    }
    functions + &all + "];\n"
}
