//! Jobs: real programs that run to their end, one process an observation.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::NamedTempFile;

use super::program::{file_name, find};
use crate::host::Obstacle;

/// A program that runs to its end, again and again.
pub trait Job {
    /// Its name in every row.
    fn name(&self) -> &str;

    /// Makes it ready to run once more, which is not timed.
    fn prepare(&mut self) -> Result<Command, Obstacle>;

    /// Whether it makes hardly a system call, so that no agent should cost it anything.
    fn is_control(&self) -> bool {
        false
    }
}

/// A C library, built from nothing: make starts a compiler for each file.
pub struct Build {
    source: PathBuf,
    jobs: usize,
}

/// Lines of a log that match.
pub struct Grep(Text);

/// The sum of a column: hardly a system call, so no agent may cost it anything.
pub struct Awk(Text);

/// Containers, one after the other: each started, run and removed.
pub struct Container {
    bundle: PathBuf,
    times: usize,
}

/// A command of one's own.
pub struct OwnCommand {
    words: Vec<String>,
}

impl Build {
    /// zlib, as the crate libz-sys brings it, in a directory of its own below `directory`.
    pub fn new(directory: &Path, jobs: usize) -> Result<Self, Obstacle> {
        find("make", "make")?;
        find("gcc", "gcc libc6-dev")?;
        let zlib = super::zlib::source(directory)?;
        let source = directory.join("build");
        let copy = || -> std::io::Result<()> {
            fs::create_dir_all(&source)?;
            for entry in fs::read_dir(&zlib)? {
                let path = entry?.path();
                if path.extension().is_some_and(|e| e == "c" || e == "h") {
                    fs::copy(&path, source.join(path.file_name().unwrap_or_default()))?;
                }
            }
            fs::write(source.join("Makefile"), MAKEFILE)
        };
        copy().map_err(super::no_fixture)?;
        Ok(Self { source, jobs })
    }
}

/// As a project without a configure script would write it.
const MAKEFILE: &str = "\
CFLAGS = -O2 -D_LARGEFILE64_SOURCE=1 -DHAVE_UNISTD_H -DHAVE_STDARG_H
OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))
libz.a: $(OBJECTS)
\t$(AR) rc $@ $^
clean:
\t$(RM) *.o libz.a
";

impl Job for Build {
    fn name(&self) -> &str {
        "build"
    }

    fn prepare(&mut self) -> Result<Command, Obstacle> {
        let clean = Command::new("make")
            .args(["--silent", "clean"])
            .current_dir(&self.source)
            .status();
        if !clean.is_ok_and(|status| status.success()) {
            return Err(super::no_fixture("make clean fails"));
        }
        let mut command = Command::new("make");
        command
            .args(["--silent", &format!("-j{}", self.jobs)])
            .current_dir(&self.source);
        Ok(command)
    }
}

/// A log of any size, the same every time.
struct Text {
    path: PathBuf,
}

impl Text {
    fn new(directory: &Path, bytes: u64) -> Result<Self, Obstacle> {
        let path = directory.join(format!("log-{bytes}"));
        if !path.exists() {
            write_log(&path, bytes).map_err(super::no_fixture)?;
        }
        Ok(Self { path })
    }
}

fn write_log(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut block = Vec::new();
    for number in 0..20_000 {
        let host: String = (0..30).map(|_| rng.lowercase()).collect();
        let (item, millis) = (rng.u32(..1000), rng.u32(..500));
        writeln!(block, "{number} {host} GET /item/{item} {millis}")?;
    }
    // It has no name before it is whole: a part of it would be a shorter log to the next job.
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = BufWriter::new(NamedTempFile::new_in(directory)?);
    let mut left = bytes;
    while left > 0 {
        let part = left.min(block.len() as u64);
        file.write_all(&block[..part as usize])?;
        left -= part;
    }
    let file = file.into_inner().map_err(|failed| failed.into_error())?;
    file.persist(path)?;
    Ok(())
}

impl Grep {
    /// A log of so many bytes.
    pub fn new(directory: &Path, bytes: u64) -> Result<Self, Obstacle> {
        find("grep", "grep")?;
        Ok(Self(Text::new(directory, bytes)?))
    }
}

impl Job for Grep {
    fn name(&self) -> &str {
        "grep"
    }

    fn prepare(&mut self) -> Result<Command, Obstacle> {
        let mut command = Command::new("grep");
        command.args(["-c", "item/99[0-9]* 4"]).arg(&self.0.path);
        Ok(command)
    }
}

impl Awk {
    /// A log of so many bytes.
    pub fn new(directory: &Path, bytes: u64) -> Result<Self, Obstacle> {
        find("awk", "gawk")?;
        Ok(Self(Text::new(directory, bytes)?))
    }
}

impl Job for Awk {
    fn name(&self) -> &str {
        "awk"
    }

    fn prepare(&mut self) -> Result<Command, Obstacle> {
        let mut command = Command::new("awk");
        command
            .arg("{ sum += $1 } END { print sum }")
            .arg(&self.0.path);
        Ok(command)
    }

    fn is_control(&self) -> bool {
        true
    }
}

impl Container {
    /// So many a run, of this machine's own programs, in a bundle below `directory`.
    pub fn new(directory: &Path, times: usize) -> Result<Self, Obstacle> {
        find("crun", "crun")?;
        let bundle = directory.join("bundle");
        let make = || -> std::io::Result<()> {
            let mut mounts = vec![
                mount("/proc", "proc", "proc", &[]),
                mount(
                    "/dev",
                    "tmpfs",
                    "tmpfs",
                    &["nosuid", "mode=755", "size=65536k"],
                ),
            ];
            for directory in ["/bin", "/lib", "/lib64", "/usr"] {
                if Path::new(directory).exists() {
                    fs::create_dir_all(bundle.join("rootfs").join(&directory[1..]))?;
                    mounts.push(mount(directory, "bind", directory, &["rbind", "ro"]));
                }
            }
            for directory in ["proc", "dev"] {
                fs::create_dir_all(bundle.join("rootfs").join(directory))?;
            }
            let config = serde_json::json!({
                "ociVersion": "1.0.0",
                "process": {
                    "user": { "uid": 0, "gid": 0 },
                    "args": ["/bin/sh", "-c", "echo test && ls -la"],
                    "env": ["PATH=/usr/bin:/bin"],
                    "cwd": "/",
                    "noNewPrivileges": true,
                },
                "root": { "path": "rootfs", "readonly": true },
                "hostname": "probecost",
                "mounts": mounts,
                "linux": { "namespaces": [
                    { "type": "pid" }, { "type": "network" }, { "type": "ipc" },
                    { "type": "uts" }, { "type": "mount" },
                ] },
            });
            fs::write(bundle.join("config.json"), config.to_string())
        };
        make().map_err(super::no_fixture)?;
        Ok(Self { bundle, times })
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> serde_json::Value {
    serde_json::json!({
        "destination": destination, "type": kind, "source": source, "options": options,
    })
}

impl Job for Container {
    fn name(&self) -> &str {
        "container"
    }

    fn prepare(&mut self) -> Result<Command, Obstacle> {
        // In the cgroup that it is started in, so that it counts as the program's.
        let script = "n=0; while [ $n -lt $1 ]; do n=$((n + 1)); \
             crun --root \"$2/state\" --cgroup-manager=disabled run probecost-$$-$n || exit; done";
        // crun refuses a machine on which both versions of cgroups have controllers: there
        // it is shown the second alone, in a mount namespace of its own.
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let script = match unified {
            true => script.to_owned(),
            false => format!("mount -t cgroup2 none /sys/fs/cgroup && {{ {script}; }}"),
        };
        let mut command = match unified {
            true => Command::new("/bin/sh"),
            false => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "/bin/sh"]);
                command
            }
        };
        command
            .args(["-c", &script, "sh", &self.times.to_string()])
            .arg(&self.bundle)
            .current_dir(&self.bundle);
        Ok(command)
    }
}

impl OwnCommand {
    /// Its words.
    pub fn new(words: Vec<String>) -> Result<Self, Obstacle> {
        match words.first() {
            Some(program) => find(program, program)?,
            None => return Err(Obstacle::new("no command", "write one behind --")),
        };
        Ok(Self { words })
    }
}

impl Job for OwnCommand {
    fn name(&self) -> &str {
        file_name(&self.words[0])
    }

    fn prepare(&mut self) -> Result<Command, Obstacle> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grep_and_awk_read_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let mut grep = Grep::new(directory.path(), 2_000_000).unwrap();
        let output = grep.prepare().unwrap().output().unwrap();
        let lines: u32 = String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(output.status.success() && lines > 10, "{lines}");
        let log = directory.path().join("log-2000000");
        assert_eq!(fs::metadata(&log).unwrap().len(), 2_000_000);
        if let Ok(mut awk) = Awk::new(directory.path(), 2_000_000) {
            assert!(awk.prepare().unwrap().status().unwrap().success());
        }
    }

    #[test]
    fn a_command_that_is_not_there_is_refused_at_once() {
        let error = OwnCommand::new(vec!["no-such-program".into()])
            .err()
            .unwrap();
        assert!(error.why.contains("no-such-program"), "{error}");
        assert!(OwnCommand::new(Vec::new()).is_err());
    }
}
