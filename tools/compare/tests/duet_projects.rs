//! `cargo compare duet` on revisions of a project that cargo builds.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use git2::{IndexAddOption, Repository, Signature};
use rustix::process::{Signal, kill_process, kill_process_group};

use support::{Place, Ran, program};
use tempfile::TempDir;

const MANIFEST: &str = r#"[package]
name = "fake"
version = "0.1.0"
edition = "2024"
[workspace]
[[bench]]
name = "fake"
harness = false
[profile.bench]
lto = false
"#;

const LIBRARY: &str = r#"
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
#[inline(never)]
fn sum(n: u64) -> u64 {
    (0..n).fold(1, |a, b| a.wrapping_mul(31).wrapping_add(b))
}
#[inline(never)]
fn join(n: u64) -> String {
    (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join("-")
}
pub fn all(n: u64) -> u64 {
    sum(n) | join(n).len() as u64
}
"#;

/// A bench with these ids and times, which are in `unit`.
fn bench_in(unit: &str, table: &str) -> String {
    format!(
        r#"use std::fs;
fn main() {{
    let table: &[(&str, u64)] = {table};
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|a| a == "--list") {{
        table.iter().for_each(|(id, _)| println!("{{id}}: benchmark"));
        return;
    }}
    assert!(fake::all(args.len() as u64) > 0, "{{}}", fake::VERSION);
    let id = args.last().unwrap().replace("^(?:", "").replace(")$", "");
    let ns = table.iter().find(|(known, _)| *known == id).unwrap().1;
    let new = format!("{{}}/{{id}}/new", std::env::var("CRITERION_HOME").unwrap());
    fs::create_dir_all(&new).unwrap();
    fs::write(format!("{{new}}/benchmark.json"), format!("{{{{\"full_id\":\"{{id}}\"}}}}")).unwrap();
    let time = 10 * ns + u64::from(std::process::id() % 3);
    println!("{{id}}   time:   [{{ns}}.0 {unit} {{ns}}.0 {unit} {{ns}}.0 {unit}]");
    fs::write(format!("{{new}}/sample.json"), format!("{{{{\"iters\":[10,10],\"times\":[{{time}},{{time}}]}}}}")).unwrap();
}}
"#
    )
}

fn bench_of(table: &str) -> String {
    bench_in("ns", table)
}

/// A project whose bench answers as Criterion's do, and needs nothing but the compiler.
struct Project {
    place: Place,
    /// Where revisions' files lie.
    cache: TempDir,
    repository: Repository,
}

impl Project {
    fn new() -> Self {
        let bench = bench_of("&[(\"a\", 1000), (\"b\", 1000)]");
        Self::of(&[
            ("Cargo.toml", MANIFEST),
            ("src/lib.rs", LIBRARY),
            ("benches/fake.rs", &bench),
        ])
    }

    /// A project of these files.
    fn of(files: &[(&str, &str)]) -> Self {
        let place = Place::new();
        let repository = Repository::init(place.path("")).unwrap();
        let project = Self {
            place,
            cache: tempfile::tempdir().unwrap(),
            repository,
        };
        project.write(".gitignore", "/target\n");
        files
            .iter()
            .for_each(|(name, text)| project.write(name, text));
        project.commit();
        project
    }

    /// Changes a file.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.place.path(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.place.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a bench with these ids and times.
    fn bench(&self, table: &str) {
        self.write("benches/fake.rs", &bench_of(table));
    }

    fn commit(&self) {
        let mut index = self.repository.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = self
            .repository
            .find_tree(index.write_tree().unwrap())
            .unwrap();
        let by = Signature::now("a", "a@example.org").unwrap();
        let parent = self
            .repository
            .head()
            .ok()
            .and_then(|h| h.peel_to_commit().ok());
        self.repository
            .commit(
                Some("HEAD"),
                &by,
                &by,
                "x",
                &tree,
                &parent.iter().collect::<Vec<_>>(),
            )
            .unwrap();
    }

    fn duet(&self, more: &[&str]) -> Ran {
        Ran::of(self.command(more))
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = self
            .place
            .command(&[&["duet", "--format", "json"], more].concat());
        // The outer cargo's wishes are not meant for this project.
        command
            .env("XDG_CACHE_HOME", self.cache.path())
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS");
        command
    }

    /// What `duet` left in the target directory.
    fn left(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.place.path("target/duet"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn revisions_are_built_compared_and_cleared_away() {
    let project = Project::new();
    project.bench("&[(\"a\", 1000), (\"b\", 1060)]");
    let said = project.duet(&["--base", "HEAD"]).exits(2).err;
    assert!(
        said.contains("differs from HEAD in benches/fake.rs"),
        "{said}"
    );
    // With the commit named, the changes are left out.
    project.duet(&["--base", "HEAD", "--head", "HEAD"]).exits(0);
    project.commit();
    let ran = project.duet(&["--base", "HEAD~1"]).exits(1);
    assert_eq!(ran.row("b")["status"], "regressed");
    assert_eq!(ran.row("a")["status"], "unchanged");
    let duet = &ran.json()["duet"];
    assert_eq!(duet["base_commit"].as_str().unwrap().len(), 40);
    assert_ne!(duet["base_commit"], duet["head_commit"]);
    assert_eq!(project.left(), ["build", "lock", "tools"]);
    let trees = project.cache.path().join("probecost/duet");
    assert_eq!(fs::read_dir(trees).unwrap().count(), 0);
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("One layout for both sides"), "{notes}");
    let reason = ran.row("b")["reason"].to_string();
    assert!(reason.contains("slower in 16 of 16 layouts"), "{reason}");
    assert!(
        Path::new(&project.place.path(".git/worktrees"))
            .read_dir()
            .is_err()
    );
    let status = project.repository.statuses(None).unwrap();
    assert!(
        status.iter().all(|s| s.status().is_ignored()),
        "the work tree was touched"
    );
}

/// Cargo tells where its files are without symbolic links.
#[test]
fn a_target_directory_may_be_a_symbolic_link() {
    let project = Project::new();
    fs::create_dir(project.place.path("elsewhere")).unwrap();
    symlink("elsewhere", project.place.path("target")).unwrap();
    project.write(".gitignore", "/target\n/elsewhere\n");
    project.commit();
    let ran = project.duet(&["--base", "HEAD"]).exits(0);
    assert_eq!(ran.json()["summary"]["unchanged"], 2);
}

#[test]
fn a_base_that_cannot_serve_says_why() {
    let project = Project::new();
    project.bench("&[(\"a\", 1000), (\"new\", 1000)]");
    project.commit();
    let ran = project.duet(&["--base", "HEAD~1"]).exits(2);
    assert_eq!(ran.row("b")["status"], "missing");
    assert_eq!(ran.row("new")["status"], "new");
    project.bench("this is no table");
    project.commit();
    let said = project.duet(&["--base", "HEAD"]).exits(2).err;
    assert!(said.contains("base HEAD: does not build"), "{said}");
    assert!(said.contains("no files that are not committed"), "{said}");
    assert_eq!(project.left(), ["build", "lock", "tools"]);
    let said = project.duet(&["--base", "nowhere"]).exits(2).err;
    assert!(
        said.contains("nowhere:") && said.contains("git log"),
        "{said}"
    );
}

/// What changes no code that is measured leaves all of it where it was: the version, a
/// comment, a name, a function more; with and without link-time optimisation.
#[test]
fn both_sides_share_a_layout_whatever_else_changes() {
    for lto in ["lto = false", "lto = true"] {
        let project = Project::new();
        project.edit("Cargo.toml", "lto = false", lto);
        project.commit();
        project.edit("Cargo.toml", "0.1.0", "0.20.11");
        project.edit("src/lib.rs", "fn join", "// Joins.\nfn join_all");
        project.edit("src/lib.rs", "join(n).len", "join_all(n).len");
        let used = "pub fn more(n: u64) -> u64 {\n    sum(n) ^ another(n)\n}\n\
                    #[inline(never)]\nfn another(n: u64) -> u64 {\n    n.rotate_left(9) / 7\n}\n";
        project.edit("src/lib.rs", "pub fn all", &format!("{used}pub fn all"));
        project.edit("benches/fake.rs", "> 0, ", "> 0 && fake::more(9) > 0, ");
        project.commit();
        let ran = project.duet(&["--base", "HEAD~1"]).exits(0);
        let notes = ran.json()["notes"].to_string();
        let same = ["100 % of base's code", "99 % of base's code"];
        assert!(same.iter().any(|s| notes.contains(s)), "{lto}: {notes}");
    }
}

const MEMBER: &str = r#"[package]
name = "member"
version = "0.1.0"
edition = "2024"
[features]
special = []
[[bench]]
name = "fake"
harness = false
required-features = ["special"]
[[bench]]
name = "cycles"
harness = false
[[bench]]
name = "plain"
[[bench]]
name = "none"
harness = false
"#;

/// A member of a workspace, with a feature, benches of four kinds, and one that reads a file
/// of its package; another member does not even build.
#[test]
fn a_member_of_a_workspace_is_built_and_run_as_cargo_does() {
    let library = LIBRARY.replace(
        "pub const",
        "pub const FEATURE: bool = cfg!(feature = \"special\");\npub const",
    );
    let table = "&[(\"a\", fs::read(\"data/times\").unwrap()[0] as u64 * 10)]";
    let fake = bench_of(table).replace("fake::", "member::");
    let environment = r#"fn main() {
    assert!(member::FEATURE);
    let said = |name| std::env::var(name).unwrap();
    assert!(fs::exists(said("CARGO_MANIFEST_DIR") + "/data/times").unwrap());
    assert!(said("LD_LIBRARY_PATH").contains("/target/duet/build/release/deps:"));
    // Where programs may run, which is not so everywhere in /tmp.
    assert!(std::env::current_exe().unwrap().to_str().unwrap().contains("/target/duet/bin/"));"#;
    let fake = fake.replace("fn main() {", environment);
    let cycles = bench_in("cycles", "&[(\"c\", 1000)]").replace("fake::", "member::");
    let other = MANIFEST
        .replace("[workspace]\n", "")
        .replace("[profile.bench]\nlto = false\n", "");
    let project = Project::of(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"member\", \"other\"]\nresolver = \"3\"\n",
        ),
        ("member/Cargo.toml", MEMBER),
        ("member/src/lib.rs", &library),
        ("member/benches/fake.rs", &fake),
        ("member/benches/cycles.rs", &cycles),
        (
            "member/benches/plain.rs",
            "#[test]\nfn a_test_is_no_bench() {}\n",
        ),
        ("member/benches/none.rs", "fn main() {}"),
        ("member/data/times", "d"),
        ("other/Cargo.toml", &other),
        (
            "other/src/lib.rs",
            "compile_error!(\"nobody asked for this one\");",
        ),
        ("other/benches/fake.rs", "fn main() {}"),
    ]);
    project.write("member/data/times", "n");
    project.commit();
    let member = ["--package", "member", "--features", "special"];
    let ran = project
        .duet(&[&["--base", "HEAD~1"][..], &member].concat())
        .exits(1);
    assert_eq!(ran.json()["rows"].as_array().unwrap().len(), 2);
    let slower = ran.row("a");
    assert_eq!(slower["status"], "regressed");
    assert!(
        (slower["change_pct"].as_f64().unwrap() - 10.0).abs() < 0.1,
        "{slower}"
    );
    let other = ran.row("c");
    assert_eq!(
        (&other["status"], &other["unit"]),
        (&"unchanged".into(), &"other".into())
    );
    // None goes without a word.
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("`member:none`, `member:plain`."), "{notes}");
    let cycles = "name = \"cycles\"\n";
    let special = format!("{cycles}required-features = [\"special\"]\n");
    project.edit("member/Cargo.toml", cycles, &special);
    project.commit();
    let ran = project
        .duet(&["--base", "HEAD~1", "--package", "member"])
        .exits(2);
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("`member:fake` (special)"), "{notes}");
    let gone = ran.row("member:cycles");
    assert_eq!(gone["status"], "missing");
    let reason = gone["reason"].to_string();
    assert!(
        reason.contains("only with the features special"),
        "{reason}"
    );
}

/// Cargo builds the package at the root alone, where there is one.
#[test]
fn benches_of_another_member_are_pointed_at() {
    let member = MANIFEST.replace("[workspace]\n", "");
    let member = member.replace("[profile.bench]\nlto = false\n", "");
    let project = Project::of(&[
        (
            "Cargo.toml",
            "[package]\nname = \"root\"\nedition = \"2024\"\n[workspace]\nmembers = [\"member\"]\n",
        ),
        ("src/lib.rs", ""),
        ("member/Cargo.toml", &member),
        ("member/src/lib.rs", LIBRARY),
        ("member/benches/fake.rs", &bench_of("&[(\"a\", 1000)]")),
    ]);
    let said = project.duet(&["--base", "HEAD"]).exits(2).err;
    assert!(said.contains("--package fake"), "{said}");
    project
        .duet(&["--base", "HEAD", "--package", "fake"])
        .exits(0);
}

/// What a project asks of the compiler and the linker holds; what makes both sides alike
/// comes behind it.
#[test]
fn flags_and_linkers_of_a_project_are_kept() {
    let project = Project::new();
    let elsewhere = project.place.path("elsewhere");
    project.write(
        ".cargo/config.toml",
        &format!(
            "[build]\nbuild-dir = \"{}\"\n\
             rustflags = [\"--cfg\", \"special\", \"-Clink-arg=-fuse-ld=bfd\", \
             \"-Clink-arg=-Wl,--dynamic-list=near.list\"]\n\
             [target.x86_64-unknown-linux-gnu]\nlinker = \"gcc\"\n",
            elsewhere.display()
        ),
    );
    project.edit(
        "src/lib.rs",
        "pub const VERSION",
        "#[cfg(not(special))]\ncompile_error!(\"the flags are gone\");\npub const VERSION",
    );
    project.write("near.list", "{ nothing; };\n");
    project.commit();
    // What the linker reads is the revision's, not what lies here.
    fs::remove_file(project.place.path("near.list")).unwrap();
    let committed = ["--base", "HEAD", "--head", "HEAD"];
    let ran = project.duet(&committed).exits(0);
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("100 % of base's code"), "{notes}");
    let ran = project
        .duet(&[&committed[..], &["--as-built"]].concat())
        .exits(0);
    let notes = ran.json()["notes"].to_string();
    assert!(
        notes.contains("functions lie as they were linked"),
        "{notes}"
    );
    // Cargo would take what was compiled for one for what the other asks for.
    assert_eq!(project.left(), ["as-built", "build", "lock", "tools"]);
    assert!(!elsewhere.exists(), "built among what the project builds");
}

/// A signal may reach `duet` alone, or all that was started in a terminal.
#[test]
fn a_signal_ends_a_build_and_breaks_no_link() {
    let project = Project::new();
    let signs = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("SIGNS", signs.path()).process_group(0);
        command
    };
    project.write(
        ".cargo/config.toml",
        "[target.x86_64-unknown-linux-gnu]\nlinker = \"./slow-cc\"\n",
    );
    // From the fifth time on that functions are ordered, rounds of the two targets are made.
    let linker = "#!/bin/sh\n\
                  case \"$*\" in *symbol-ordering-file*)\n\
                  echo . >>\"$SIGNS/links\"\n\
                  [ \"$(wc -l <\"$SIGNS/links\")\" -le 4 ] || { touch \"$SIGNS/again\"; sleep 2; };;\n\
                  */pairs/00/plain*)\n\
                  [ -e \"$SIGNS/plain\" ] || { touch \"$SIGNS/plain\"; sleep 2; };;\n\
                  esac\nexec cc \"$@\"\n";
    program(&project.place.path("slow-cc"), linker);
    project.write("benches/more.rs", &bench_of("&[(\"more\", 1000)]"));
    project.edit(
        "Cargo.toml",
        "[profile",
        "[[bench]]\nname = \"more\"\nharness = false\n[profile",
    );
    project.commit();
    let duet = command(&["--base", "HEAD"]);
    let said = Ran::signalled(duet, &signs.path().join("plain"), |pid| {
        kill_process(pid, Signal::INT)
    });
    let said = said.exits(2).err;
    assert!(said.contains("interrupted while laying out"), "{said}");
    let _ = fs::remove_file(signs.path().join("links"));
    let duet = command(&["--base", "HEAD"]);
    let terminal = |pid| kill_process_group(pid, Signal::INT);
    let ran = Ran::signalled(duet, &signs.path().join("again"), terminal).exits(3);
    let reason = ran.row("a")["reason"].to_string();
    assert!(reason.contains("interrupted"), "{reason}");
    let slow = "fn main() {\n    \
                let sign = |name| std::fs::write(std::env::var(\"SIGNS\").unwrap() + name, \"\").unwrap();\n    \
                sign(\"/began\");\n    \
                std::thread::sleep(std::time::Duration::from_secs(30));\n    \
                sign(\"/ended\");\n}\n";
    project.write("build.rs", slow);
    project.commit();
    let duet = command(&["--base", "HEAD"]);
    let alone = |pid| kill_process(pid, Signal::TERM);
    let said = Ran::signalled(duet, &signs.path().join("began"), alone)
        .exits(2)
        .err;
    assert!(said.contains("interrupted while building base"), "{said}");
    assert!(!signs.path().join("ended").exists(), "it was waited for");
}

/// Cargo reads what lies in the directories above: neither the work tree's configuration nor
/// its workspace is the revisions' own. Benches run with each side's environment.
#[test]
fn each_side_is_built_by_its_own_configuration() {
    let configured = |cfg: &str| {
        format!(
            "[build]\nrustflags = [\"--cfg\", \"{cfg}\"]\n\
             [target.'cfg(all())']\nrunner = \"no-such-program\"\n\
             [env]\nSIDE = \"{cfg}\"\nDATA = {{ value = \"data\", relative = true }}\n"
        )
    };
    let wanted = |cfg: &str, other: &str| {
        format!(
            "#[cfg(any(not({cfg}), {other}, leaked))]\ncompile_error!(\"whose flags?\");\n\
             pub const SIDE: &str = \"{cfg}\";\n{LIBRARY}"
        )
    };
    let project = Project::new();
    let environment = r#"fn main() {
    let said = |name| std::env::var(name).unwrap();
    assert_eq!(said("SIDE"), fake::SIDE);
    assert_eq!(said("DATA"), said("CARGO_MANIFEST_DIR") + "/data");
    assert_eq!(said("CARGO_PKG_VERSION"), fake::VERSION);
    if std::env::args().any(|a| a == "--list") {
        let all: Vec<_> = std::env::vars().collect();
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
        let sizes = fs::OpenOptions::new().append(true).create(true).open(said("SIZES"));
        std::io::Write::write_all(&mut sizes.unwrap(), format!("{} {bytes}\n", all.len()).as_bytes()).unwrap();
    }"#;
    project.edit("benches/fake.rs", "fn main() {", environment);
    project.edit("Cargo.toml", "[workspace]\n", "");
    project.write(".cargo/config.toml", &configured("old"));
    project.write("src/lib.rs", &wanted("old", "newer"));
    project.commit();
    project.edit("Cargo.toml", "[[bench]]", "[workspace]\n[[bench]]");
    project.edit("Cargo.toml", "0.1.0", "0.20.11");
    project.write(".cargo/config.toml", &configured("newer"));
    project.write("src/lib.rs", &wanted("newer", "old"));
    project.commit();
    // What is not committed is nobody's.
    project.write(".cargo/config.toml", &configured("leaked"));
    let mut command = project.command(&["--base", "HEAD~1", "--head", "HEAD"]);
    let sizes = project.cache.path().join("sizes");
    command.env("SIZES", &sizes);
    let ran = Ran::of(command).exits(0);
    assert_eq!(ran.json()["summary"]["unchanged"], 2);
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("without the runner"), "{notes}");
    // What lies on the stack moves addresses.
    let sizes = fs::read_to_string(sizes).unwrap();
    let sizes: Vec<&str> = sizes.lines().collect();
    assert!(sizes.len() == 2 && sizes[0] == sizes[1], "{sizes:?}");
}

/// Cargo has one place for both sides' binaries, libraries and generated files: a bench that
/// asks them for its times must not get the other side's.
#[test]
fn a_bench_uses_what_was_built_of_its_own_side() {
    let bench = bench_of(
        r#"&[
        ("binary", number(&std::process::Command::new(env!("CARGO_BIN_EXE_tool")).output().unwrap().stdout)),
        ("generated", number(&fs::read(concat!(env!("OUT_DIR"), "/time")).unwrap())),
        ("library", fake::time()),
        ("native", fake::native_time()),
    ]"#,
    );
    let number = "fn number(said: &[u8]) -> u64 {\n    \
                  String::from_utf8_lossy(said).trim().parse().unwrap()\n}\n";
    let time = "#[inline(never)]\npub fn time() -> u64 {\n    \
                include_str!(\"../time\").trim().parse().unwrap()\n}\n\
                unsafe extern \"C\" {\n    safe fn native() -> u64;\n}\n#[inline(never)]\n\
                pub fn native_time() -> u64 {\n    native()\n}\n";
    let generate = r#"use std::{env, fs, process::Command};
fn main() {
    let (out, time) = (env::var("OUT_DIR").unwrap(), include_str!("time"));
    fs::write(format!("{out}/time"), time).unwrap();
    let source = format!("{out}/native.c");
    fs::write(&source, format!("unsigned long long native(void) {{ return {time}; }}\n")).unwrap();
    let library = format!("{out}/libnative.so");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o", &library, &source]).status();
    assert!(made.unwrap().success());
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=dylib=native");
}
"#;
    let project = Project::of(&[
        (
            "Cargo.toml",
            &MANIFEST.replace("[[bench]]", "[lib]\ncrate-type = [\"dylib\"]\n[[bench]]"),
        ),
        // One standard library for both halves.
        (
            ".cargo/config.toml",
            "[build]\nrustflags = [\"-Cprefer-dynamic\"]\n",
        ),
        ("build.rs", generate),
        ("src/lib.rs", &format!("{LIBRARY}{time}")),
        (
            "src/bin/tool.rs",
            "fn main() {\n    print!(\"{}\", include_str!(\"../../time\"));\n}\n",
        ),
        ("benches/fake.rs", &format!("{bench}{number}")),
        ("time", "1000\n"),
    ]);
    project.write("time", "1100\n");
    project.commit();
    for more in [&[][..], &["--as-built"]] {
        let ran = project
            .duet(&[&["--base", "HEAD~1"][..], more].concat())
            .exits(1);
        for id in ["binary", "generated", "library", "native"] {
            assert_eq!(ran.row(id)["status"], "regressed", "{id} {more:?}");
        }
    }
}

/// As it is where there is no network, and cargo has fetched what is built here alone.
#[test]
fn what_other_platforms_depend_on_need_not_be_here() {
    let project = Project::new();
    let windows = "[target.'cfg(windows)'.dependencies]\nwindows-only = \"1\"\n[profile";
    project.edit("Cargo.toml", "[profile", windows);
    project.write(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\nlocal-registry = \"registry\"\n",
    );
    let listed = format!(
        "{{\"name\":\"windows-only\",\"vers\":\"1.0.0\",\"deps\":[],\"features\":{{}},\
         \"cksum\":\"{}\",\"yanked\":false}}\n",
        "0".repeat(64)
    );
    project.write("registry/index/wi/nd/windows-only", &listed);
    project.commit();
    let ran = project.duet(&["--base", "HEAD"]).exits(0);
    assert_eq!(ran.json()["summary"]["unchanged"], 2);
}

#[test]
fn sides_that_cannot_be_held_against_each_other_say_so_in_a_sentence() {
    let project = Project::new();
    let path = project.place.path("Cargo.lock");
    fs::write(
        path,
        "version = 4\n\n[[package]]\nname = \"fake\"\nversion = \"0.1.0\"\n",
    )
    .unwrap();
    let lists = "fn main() {\n    println!(\"m: benchmark\\nn: benchmark\");\n}\n";
    project.write("benches/more.rs", lists);
    project.edit(
        "Cargo.toml",
        "[profile",
        "[[bench]]\nname = \"more\"\nharness = false\n[profile",
    );
    project.commit();
    let ran = project
        .duet(&["--base", "HEAD~1", "--bench", "more", "fake"])
        .exits(0);
    assert_eq!(ran.row("more")["status"], "new");
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("base has no Cargo.lock"), "{notes}");
    // Of a target that one side lacks, what matches is a row.
    let ran = project
        .duet(&["--base", "HEAD", "--head", "HEAD~1", "--only", "^[am]$"])
        .exits(2);
    let gone = ran.row("m");
    assert_eq!(gone["status"], "missing");
    assert_eq!(gone["reason"], "more: head has no such bench target");
    assert_eq!(ran.json()["rows"].as_array().unwrap().len(), 2);
    let said = project
        .duet(&["--base", "HEAD", "--bench", "mor"])
        .exits(2)
        .err;
    assert!(
        said.contains("neither side has") && said.contains("--bench more"),
        "{said}"
    );
    project.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.2.3\"\n");
    project.commit();
    fs::remove_file(project.place.path("rust-toolchain.toml")).unwrap();
    project.commit();
    let mut command = project
        .place
        .command(&["duet", "--base", "HEAD~1", "--head", "HEAD"]);
    command
        .env("XDG_CACHE_HOME", project.cache.path())
        .env_remove("RUSTUP_TOOLCHAIN");
    let said = Ran::of(command).exits(2).err;
    assert!(
        said.contains("base asks for the toolchain `1.2.3`"),
        "{said}"
    );
    let gone = "[workspace]\n[dependencies]\nno-such-crate = { path = \"gone\" }";
    project.edit("Cargo.toml", "[workspace]", gone);
    project.commit();
    project.edit("Cargo.toml", gone, "[workspace]");
    project.commit();
    let said = project.duet(&["--base", "HEAD~1"]).exits(2).err;
    assert!(said.contains("base HEAD~1: cargo cannot read it"), "{said}");
    assert!(said.contains("gone/Cargo.toml`: No such file"), "{said}");
    assert!(said.contains("no files that are not committed"), "{said}");
    project.write("later/x", "");
    project.commit();
    let mut command = project.command(&["--base", "HEAD~1"]);
    command.current_dir(project.place.path("later"));
    let said = Ran::of(command).exits(2).err;
    assert!(
        said.contains("base HEAD~1 has no directory later"),
        "{said}"
    );
}
