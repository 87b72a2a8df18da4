//! Two revisions, built alike: the same profile, the same dependencies, the same compiler,
//! paths of one length.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use cargo_metadata::{Message, Metadata, MetadataCommand, TargetKind};
use rustix::process::{Pid, Signal, kill_process_group};

use super::checkouts::{checkouts, settings};
use super::criterion;
use super::harness::Executable;
use super::interrupt::Interrupt;
use super::link;
use super::names::{Names, bench_names, cause, named, none_built, requiring, without_features};
use super::own::{self, Made};

pub use super::names::Target;
use super::stand_in;
use super::tree::{COMMITTED, Side, Tree, lock_file, one_lock_file, one_toolchain};
use crate::bench_place::{self, BenchPlace};
use crate::failure::Failure;
use crate::lock;
use crate::repository;

/// How often one looks for a Ctrl-C while cargo builds.
const GLANCE: Duration = Duration::from_millis(100);

/// Where everything is built, kept between runs for its dependencies, and locked while
/// one runs.
pub struct BuildDir {
    root: PathBuf,
    /// Where the revisions' files lie.
    checkouts: PathBuf,
    /// The work tree's Cargo.lock, whether it is there or not.
    lock_file: PathBuf,
    /// Held until we are done.
    _locks: [File; 2],
}

/// What is built of a project, as cargo is asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[group(id = "selection", multiple = true)]
pub struct Selection {
    /// Only these bench targets
    #[arg(long = "bench", value_name = "NAME", num_args = 1..)]
    pub benches: Vec<String>,
    /// The package of a workspace whose benches to build
    #[arg(long, short, value_name = "NAME")]
    pub package: Option<String>,
    /// Features to build with
    #[arg(long, short = 'F', value_name = "FEATURES", num_args = 1..)]
    pub features: Vec<String>,
    /// Compare what cargo builds, without a layout that both sides share
    #[arg(long)]
    pub as_built: bool,
}

/// Both sides, built.
pub struct Built {
    /// Base's and head's commit.
    pub commits: [String; 2],
    /// Their bench executables.
    pub benches: [BTreeMap<Target, Executable>; 2],
    /// Bench targets that were asked for by name, and that one side lacks.
    pub lacking: [Vec<String>; 2],
    /// Those that were not built on a side, for want of these features.
    pub unbuilt: [BTreeMap<Target, Vec<String>>; 2],
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

impl BuildDir {
    /// The directory of the project around the current directory.
    ///
    /// # Errors
    /// No project here, or somebody else is building in it.
    pub fn enter() -> Result<Self, Failure> {
        let metadata = MetadataCommand::new().no_deps().exec().map_err(|e| {
            Failure::new(format!("cargo metadata: {}", cause(&e)))
                .remedy("cd to a Rust project, or --bin-base EXE --bin-head EXE")
        })?;
        let lock_file = lock_file(&metadata);
        let root = metadata.target_directory.into_std_path_buf().join("duet");
        let (root, lock) = enter(&root, "CARGO_TARGET_DIR")?;
        // Machines that share a cache may have target directories of their own at one path.
        let (checkouts, other) = enter(&checkouts(&root), "XDG_CACHE_HOME")?;
        let directory = Self {
            root,
            checkouts,
            lock_file,
            _locks: [lock, other],
        };
        directory.clear();
        Ok(directory)
    }

    /// Builds the benches of both revisions.
    ///
    /// # Errors
    /// No such revision, it does not build, or it has no benches.
    pub fn build(
        &self,
        base: &str,
        head: &str,
        selection: &Selection,
        interrupt: &Interrupt,
    ) -> Result<Built, Failure> {
        let trees = [
            self.export(Side::Base, base)?,
            self.export(Side::Head, head)?,
        ];
        let mut notes = Vec::new();
        notes.extend(one_toolchain(&trees)?);
        notes.extend(one_lock_file(&trees, &self.lock_file)?);
        if trees.iter().any(Tree::has_runner) {
            notes.push(
                "Benches are started as they are, without the runner of .cargo/config.toml."
                    .to_owned(),
            );
        }
        let metadata = [trees[0].metadata(&[])?, trees[1].metadata(&[])?];
        let [old, new] = &metadata;
        let names = named(&selection.benches, [bench_names(old), bench_names(new)])?;
        let options = match yielding(&trees, [old, new], &self.root)? {
            Ok(options) => options,
            Err(why) => {
                notes.push(format!(
                    "Benches that set their own times, or know whole seconds only, keep them: {why}."
                ));
                Default::default()
            }
        };
        let built = |side: usize| {
            let tree = &trees[side];
            // Cargo takes the other side's for this one's unless its files are newer.
            tree.renew().map_err(|e| Failure::at(&tree.root, e))?;
            let names = &names.here[side];
            let messages = self.cargo(tree, selection, names, &options[side], interrupt)?;
            self.take(tree, &messages)
        };
        let mut benches = [built(0)?, built(1)?];
        if benches.iter().all(BTreeMap::is_empty) {
            return Err(none_built(selection.package.as_deref(), new));
        }
        let unbuilt = [0, 1].map(|side| {
            let package = selection.package.as_deref();
            let mut all = requiring(&trees[side].root, &metadata[side], package);
            // Of those that are asked for by name cargo itself says so.
            all.retain(|target, _| {
                selection.benches.is_empty() && !benches[side].contains_key(target)
            });
            all
        });
        let mut nowhere = unbuilt.clone();
        for (side, all) in nowhere.iter_mut().enumerate() {
            all.retain(|target, _| !benches[1 - side].contains_key(target));
        }
        notes.extend(without_features(&nowhere));
        let executables = benches.iter_mut().flat_map(BTreeMap::values_mut);
        bench_place::level(executables.map(|executable| &mut executable.place));
        let [base, head] = trees;
        Ok(Built {
            commits: [base.commit, head.commit],
            benches,
            lacking: names.lacking,
            unbuilt,
            notes,
        })
    }

    fn export(&self, side: Side, revision: &str) -> Result<Tree, Failure> {
        let root = self.checkouts.join(side.name());
        let (commit, inside) = repository::export(Path::new("."), revision, &root)?;
        let project = root.join(&inside);
        if !project.is_dir() {
            let cause = format!("has no directory {}", inside.display());
            return Err(Failure::new(format!("{} {revision} {cause}", side.name()))
                .remedy("cd to a directory that both have, and --package NAME"));
        }
        let around = repository::root(Path::new("."));
        Ok(Tree {
            side,
            revision: revision.to_owned(),
            commit,
            project,
            root,
            settings: around.map_or_else(Vec::new, |r| settings(&r, &self.checkouts)),
        })
    }

    /// Where cargo compiles: it does not see that another compiler stands in for its own.
    fn target(&self, selection: &Selection) -> PathBuf {
        self.root.join(match selection.as_built {
            true => "as-built",
            false => "build",
        })
    }

    /// Where a side's executables are kept, and what they use.
    fn own(&self, side: Side) -> PathBuf {
        self.root.join("bin").join(side.name())
    }

    /// Where both sides' executables are called from: programs may run where they are built, and
    /// not in every directory for temporary files.
    pub fn pairs(&self) -> PathBuf {
        self.root.join("bin/pairs")
    }

    fn cargo(
        &self,
        tree: &Tree,
        selection: &Selection,
        names: &Names,
        options: &[String],
        interrupt: &Interrupt,
    ) -> Result<Vec<Message>, Failure> {
        let targets: Vec<String> = match names {
            Names::All => vec!["--benches".to_owned()],
            // Nothing of what is asked for is here: the other side's rows say so.
            Names::These(names) if names.is_empty() => return Ok(Vec::new()),
            Names::These(names) => names
                .iter()
                .flat_map(|n| ["--bench".to_owned(), n.clone()])
                .collect(),
        };
        let mut command = Command::new("cargo");
        command
            .args(["bench", "--no-run"])
            .args(["--message-format", "json-render-diagnostics"])
            .args(&tree.settings)
            .args(options)
            .args(targets)
            .args(selection.package.iter().flat_map(|p| ["--package", p]))
            .args(selection.features.iter().flat_map(|f| ["--features", f]))
            .current_dir(&tree.project)
            .env("CARGO_TARGET_DIR", self.target(selection))
            .env("CARGO_BUILD_BUILD_DIR", self.target(selection))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Whatever signal asks us to stop, we end all of it.
            .process_group(0);
        let (tools, own) = (self.root.join("tools"), self.own(tree.side));
        stand_in::take_part(&mut command, &tools, &tree.root, selection.as_built)
            .map_err(|e| Failure::at(&tools, e))?;
        own::take_part(&mut command, &own).map_err(|e| Failure::at(&own, e))?;
        let failed = |cause: &str| {
            let remedy = match Path::new("Cargo.toml").exists() {
                true => format!("git checkout {} && cargo bench --no-run", tree.revision),
                false => "cd to the package with the benches".to_owned(),
            };
            Failure::new(format!("{tree}: {cause}")).remedy(remedy)
        };
        let mut child = command
            .spawn()
            .map_err(|e| failed(&format!("cargo: {e}")))?;
        let out = child.stdout.take();
        let messages = thread::spawn(move || -> Vec<Message> {
            let messages = out.map(|out| Message::parse_stream(BufReader::new(out)));
            messages.into_iter().flatten().flatten().collect()
        });
        let status = loop {
            let ended = child.try_wait();
            if let Some(status) = ended.map_err(|e| failed(&format!("cargo: {e}")))? {
                break status;
            }
            if interrupt.came() {
                // It may have ended by itself in the meantime.
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                return Err(Failure::new(format!("interrupted while building {tree}")));
            }
            thread::sleep(GLANCE);
        };
        let messages = messages.join().unwrap_or_default();
        match status.success() {
            true => Ok(messages),
            false => Err(failed(&format!(
                "does not build (cargo bench --no-run ended with {status}; its errors stand above){COMMITTED}"
            ))),
        }
    }

    /// Keeps the bench executables, and what they use: the next side's build may put its own in
    /// their place.
    fn take(
        &self,
        tree: &Tree,
        messages: &[Message],
    ) -> Result<BTreeMap<Target, Executable>, Failure> {
        let own = self.own(tree.side);
        let cannot = |path: &Path, e: io::Error| {
            Failure::at(path, format!("cannot keep what was built: {e}")).remedy("df -h")
        };
        own::keep(&own, &tree.root, messages).map_err(|e| cannot(&own, e))?;
        let scripts = Made::of(&own, messages);
        let mut benches = BTreeMap::new();
        for message in messages {
            let Message::CompilerArtifact(artifact) = message else {
                continue;
            };
            let (Some(made), Some(package)) =
                (&artifact.executable, artifact.manifest_path.parent())
            else {
                continue;
            };
            if !artifact.target.kind.contains(&TargetKind::Bench) {
                continue;
            }
            let manifest = artifact.manifest_path.as_std_path();
            let target = Target::of(&tree.root, manifest, &artifact.target.name);
            let path = own.join(format!("{:02}", benches.len())).join(&target.name);
            link::rescue(made.as_std_path(), &path, &scripts).map_err(|e| cannot(&path, e))?;
            let place = BenchPlace::built(package.as_std_path(), made.as_std_path(), messages)
                .on_a_side(
                    &own::libraries(&own),
                    |path| scripts.own(path),
                    own::environment(&own, made.as_std_path()),
                );
            benches.insert(target, Executable { path, place });
        }
        Ok(benches)
    }

    /// Removes the trees; what was compiled of the dependencies stays.
    fn clear(&self) {
        for side in [Side::Base, Side::Head] {
            // One that is not there needs no removing.
            let _ = fs::remove_dir_all(self.checkouts.join(side.name()));
        }
        let _ = fs::remove_dir_all(self.root.join("bin"));
    }
}

/// Makes a directory, which the environment's `variable` moves, and holds it against others
/// as long as its lock is open.
fn enter(directory: &Path, variable: &str) -> Result<(PathBuf, File), Failure> {
    let at = |path: &Path, e: io::Error| {
        Failure::at(path, e).remedy(format!("{variable}=DIR takes another directory"))
    };
    fs::create_dir_all(directory).map_err(|e| at(directory, e))?;
    // Cargo tells where things are without symbolic links.
    let directory = directory.canonicalize().map_err(|e| at(directory, e))?;
    let path = directory.join("lock");
    let lock = File::create(&path).map_err(|e| at(&path, e))?;
    let lock = lock::hold(lock, &path, "another duet runs here")?;
    Ok((directory, lock))
}

impl Drop for BuildDir {
    fn drop(&mut self) {
        self.clear();
        let _ = fs::remove_dir_all(&self.checkouts);
    }
}

/// Options that have cargo build both sides with a Criterion that takes its times from us,
/// none where nobody needs that; otherwise why neither side can be.
fn yielding(
    trees: &[Tree; 2],
    metadata: [&Metadata; 2],
    place: &Path,
) -> Result<Result<[Vec<String>; 2], String>, Failure> {
    let patches = criterion::yielding(metadata, place)?;
    Ok(patches.and_then(|patches| {
        for (tree, patch) in trees.iter().zip(&patches) {
            if !patch.is_empty() {
                // Of its words the first line, without what to type next.
                let why = |e: Failure| {
                    let said = e.to_string();
                    let line = said.lines().next().unwrap_or_default();
                    line.trim_end_matches(COMMITTED).to_owned()
                };
                tree.metadata(patch).map_err(why)?;
            }
        }
        Ok(patches)
    }))
}
