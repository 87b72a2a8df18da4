//! The cgroup and the directory that hold all we start.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use super::guard::Guard;
use super::{Child, KeptOutput};
use crate::host::{self, Obstacle};

/// How every cgroup and directory of a ward begins.
const PREFIX: &str = "probecost-";

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// All processes that this one starts. Dropped, they and their files are gone; where this
/// process ends otherwise, the processes are.
pub struct Ward {
    /// Where there is a cgroup. What a process dies with reaches no child of its own.
    guard: Option<Guard>,
    directory: PathBuf,
    /// None where this process may not make cgroups: then processes are held by their
    /// groups alone.
    cgroup: Option<PathBuf>,
}

/// A part of a ward: the program, the agent or the load.
#[derive(Debug)]
pub struct WardPlace {
    cgroup: Option<PathBuf>,
}

impl Ward {
    /// A ward of this process. First ends what wards of dead processes left behind.
    pub fn new() -> Result<Self, Obstacle> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "{PREFIX}{}-{}-{}-{}",
            namespace(),
            std::process::id(),
            birth("self").unwrap_or(0),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let mount = host::cgroup2_mount().ok();
        sweep(&std::env::temp_dir(), mount.as_deref());
        let cgroup = mount
            .map(|mount| mount.join(&name))
            .filter(|path| fs::create_dir(path).is_ok());
        let directory = std::env::temp_dir().join(&name);
        let mut ward = Self {
            guard: None,
            directory,
            cgroup,
        };
        // Servers that run as other users pass through it, whatever the umask.
        let open = || fs::set_permissions(&ward.directory, Permissions::from_mode(0o711));
        let made = fs::create_dir(&ward.directory).and_then(|()| open());
        made.map_err(|error| {
            Obstacle::new(
                format!("{}: {error}", ward.directory.display()),
                "set TMPDIR to a directory with room that can be written to",
            )
        })?;
        ward.guard = ward.cgroup.as_deref().map(Guard::of).transpose()?;
        Ok(ward)
    }

    /// A directory that goes with the ward.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A part of the ward, under its name.
    pub fn place(&self, name: &str) -> WardPlace {
        let cgroup = self.cgroup.as_ref().map(|ward| ward.join(name));
        WardPlace {
            cgroup: cgroup.filter(|path| path.is_dir() || fs::create_dir(path).is_ok()),
        }
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        // While there is a cgroup in which to kill.
        self.guard = None;
        if let Some(cgroup) = &self.cgroup {
            end(cgroup);
        }
        // What cannot be removed is found by the next start.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl WardPlace {
    /// Its cgroup, where there is one.
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }

    /// Starts a command here, on these CPUs (none: on all), in a group of its own.
    pub fn start(&self, command: Command, cpus: &[usize]) -> Result<Child, Obstacle> {
        self.spawn(command, cpus, Stdio::null())
    }

    /// The same with a pipe to its standard input.
    pub fn start_piped(&self, command: Command, cpus: &[usize]) -> Result<Child, Obstacle> {
        self.spawn(command, cpus, Stdio::piped())
    }

    /// Starts a command that waits at a gate until [`Child::release`]: what must be there
    /// before it (a tracer that wants its number) can come first.
    pub fn gated(&self, command: &Command, cpus: &[usize]) -> Result<Child, Obstacle> {
        let mut held = Command::new("/bin/sh");
        held.args(["-c", "read -r gate; exec \"$@\" </dev/null", "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            held.current_dir(directory);
        }
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => held.env(key, value),
                None => held.env_remove(key),
            };
        }
        self.start_piped(held, cpus)
    }

    fn spawn(&self, mut command: Command, cpus: &[usize], stdin: Stdio) -> Result<Child, Obstacle> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| {
            let remedy = match error.kind() {
                std::io::ErrorKind::NotFound => "install it, or name it by its whole path",
                std::io::ErrorKind::PermissionDenied => "run as root, or make it executable",
                _ => "see that the machine has processes and memory to spare",
            };
            Obstacle::new(format!("{name}: {error}"), remedy)
        };
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        command
            .stdin(stdin)
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer)
            .process_group(0);
        self.hold(&mut command).map_err(failed)?;
        let mut allowed = CpuSet::new();
        for &cpu in cpus {
            allowed
                .set(cpu)
                .map_err(|_| Obstacle::new(format!("there is no CPU {cpu}"), "name another"))?;
        }
        let pinned = !cpus.is_empty();
        // SAFETY: between fork and exec the closure only makes a system call on what was
        // prepared before: no allocation, no lock.
        unsafe {
            command.pre_exec(move || {
                if pinned {
                    sched_setaffinity(Pid::from_raw(0), &allowed)?;
                }
                Ok(())
            });
        }
        let process = command.spawn().map_err(failed)?;
        // The command holds the other end of the pipe.
        drop(command);
        let output = KeptOutput::of(reader).map_err(failed)?;
        Child::new(process, output, self.cgroup.is_some()).map_err(failed)
    }

    /// Has a command begin here, once it is spawned, and die with the thread that spawns it.
    ///
    /// # Errors
    /// The cgroup is gone, or takes no process.
    pub fn hold(&self, command: &mut Command) -> std::io::Result<()> {
        let procs = self.cgroup.as_deref().map(joinable).transpose()?;
        let parent = Pid::this();
        // SAFETY: between fork and exec the closure only makes system calls on what was
        // prepared before: no allocation, no lock.
        unsafe {
            command.pre_exec(move || {
                set_pdeathsig(Signal::SIGKILL)?;
                if getppid() != parent {
                    return Err(std::io::ErrorKind::BrokenPipe.into());
                }
                if let Some(mut procs) = procs.as_ref() {
                    procs.write_all(b"0")?;
                }
                Ok(())
            });
        }
        Ok(())
    }

    /// The processes that are here now.
    pub fn pids(&self) -> Vec<u32> {
        self.cgroup.as_deref().map(pids).unwrap_or_default()
    }

    /// The processes of `child`, which was started here: all that are here, or, without a
    /// cgroup, it, its group, and what descends from them.
    pub fn pids_of(&self, child: &Child) -> Vec<u32> {
        let pids = self.pids();
        match pids.is_empty() {
            true => child.family(),
            false => pids,
        }
    }

    /// The CPU time, in seconds, of all that ever ran here.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let stat = fs::read_to_string(self.cgroup.as_ref()?.join("cpu.stat")).ok()?;
        let usage = stat
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))?;
        Some(usage.trim().parse::<f64>().ok()? / 1e6)
    }

    /// Kills everything that is here, and waits until it is gone.
    pub fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            kill(cgroup);
        }
    }
}

/// Where a process writes itself into a cgroup.
fn joinable(cgroup: &Path) -> std::io::Result<File> {
    File::options()
        .write(true)
        .open(cgroup.join("cgroup.procs"))
}

/// The processes of a cgroup. One of a namespace outside has no number here.
fn pids(cgroup: &Path) -> Vec<u32> {
    fs::read_to_string(cgroup.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|&pid| pid != 0)
        .collect()
}

/// The cgroups in this one.
fn below(cgroup: &Path) -> Vec<PathBuf> {
    fs::read_dir(cgroup)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Ends the cgroup: its processes, those below it, and itself.
fn end(cgroup: &Path) {
    kill(cgroup);
    for cgroup in below(cgroup) {
        end(&cgroup);
    }
    let _ = fs::remove_dir(cgroup);
}

fn kill(cgroup: &Path) {
    match fs::write(cgroup.join("cgroup.kill"), "1") {
        Ok(()) => until_empty(cgroup, || {}),
        // Kernels before 5.14 have no such file.
        Err(_) => until_empty(cgroup, || kill_each(cgroup)),
    }
}

/// Waits until nobody is in a cgroup or below it, and does something again and again
/// meanwhile.
fn until_empty(cgroup: &Path, meanwhile: impl Fn()) {
    let begin = Instant::now();
    let populated = || {
        fs::read_to_string(cgroup.join("cgroup.events"))
            .is_ok_and(|events| events.contains("populated 1"))
    };
    while populated() && begin.elapsed() < PATIENCE {
        meanwhile();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills who is in a cgroup or below it, one after the other; one that is gone by then has
/// nothing to say.
fn kill_each(cgroup: &Path) {
    for pid in pids(cgroup) {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
    }
    for cgroup in below(cgroup) {
        kill_each(&cgroup);
    }
}

/// Ends what wards of dead processes left behind.
fn sweep(directories: &Path, cgroups: Option<&Path>) {
    let left_in = |place: &Path| -> Vec<PathBuf> {
        fs::read_dir(place)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(is_left))
            .map(|entry| entry.path())
            .collect()
    };
    for cgroup in cgroups.map(left_in).unwrap_or_default() {
        end(&cgroup);
    }
    for directory in left_in(directories) {
        let _ = fs::remove_dir_all(directory);
    }
}

/// Whether this is the name of a ward whose process is gone. Of another namespace's nothing
/// can be said: their numbers are not ours.
fn is_left(name: &str) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| {
        let mut parts = rest.split('-').map(str::parse::<u64>);
        let (of, pid, born, _number) = (
            parts.next()?.ok()?,
            parts.next()?.ok()?,
            parts.next()?.ok()?,
            parts.next()?.ok()?,
        );
        (parts.next().is_none() && of == namespace()).then_some((pid, born))
    });
    owner.is_some_and(|(pid, born)| birth(&pid.to_string()) != Some(born))
}

/// The namespace in which processes have their numbers, by its inode.
fn namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |of| of.ino())
}

/// When a process was started, in ticks since the machine was; it and the number together
/// name a process for good.
fn birth(pid: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the start time is the 20th field behind it.
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessEnd;

    #[test]
    fn only_wards_of_dead_processes_are_left() {
        let (own, born) = (std::process::id(), birth("self").unwrap());
        let here = namespace();
        assert!(!is_left(&format!("{PREFIX}{here}-{own}-{born}-0")));
        assert!(is_left(&format!("{PREFIX}{here}-{own}-{}-0", born + 1)));
        assert!(is_left(&format!("{PREFIX}{here}-4194999-5-1")));
        // Who has that number elsewhere is not known here.
        assert!(!is_left(&format!("{PREFIX}{}-4194999-5-1", here + 1)));
        for other in [
            "probecost-report",
            "probecost-7",
            "else-1-1-1-1",
            "probecost-1-1-1",
            "probecost-x-1-1-1",
        ] {
            assert!(!is_left(other), "{other}");
        }
    }

    #[test]
    fn a_dropped_ward_takes_its_processes_and_files_along() {
        let ward = Ward::new().unwrap();
        let directory = ward.directory().to_owned();
        let place = ward.place("program");
        let mut command = Command::new("sh");
        // A grandchild that leaves its group: only the cgroup still holds it.
        command.args(["-c", "setsid sleep 1000 & echo started; sleep 1000"]);
        let child = place.start(command, &[]).unwrap();
        while child.output.lines() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let pids = place.pids();
        assert!(place.cgroup().is_none() || pids.len() >= 2, "{pids:?}");
        drop(ward);
        assert!(!directory.exists());
        for pid in pids {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Ours to reap, the shell may stay as a zombie until its handle is dropped.
            assert!(state.is_empty() || state.contains(") Z "), "{state}");
        }
        drop(child);
    }

    #[test]
    fn a_cgroup_is_emptied_one_after_the_other() {
        let ward = Ward::new().unwrap();
        let places = ["program", "program/below"].map(|name| ward.place(name));
        let Some(cgroup) = places[0].cgroup() else {
            println!("skipped: no cgroup can be made here");
            return;
        };
        let started = places.each_ref().map(|place| {
            let mut command = Command::new("sh");
            command.args(["-c", "setsid sleep 1000 & echo started; sleep 1000"]);
            place.start(command, &[]).unwrap()
        });
        for child in &started {
            while child.output.lines() == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert!(places.iter().all(|place| place.pids().len() >= 2));
        until_empty(cgroup, || kill_each(cgroup));
        assert!(places.iter().all(|place| place.pids().is_empty()));
    }

    #[test]
    fn without_a_cgroup_a_family_is_known_by_group_and_descent() {
        let place = WardPlace { cgroup: None };
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 1000 & setsid sleep 1000 & echo $!; wait"]);
        let child = place.start(shell, &[]).unwrap();
        let begin = Instant::now();
        while child.output.lines() == 0 && begin.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let family = place.pids_of(&child);
        let stray: u32 = child.output.text().trim().parse().unwrap();
        assert_eq!(family.len(), 3, "{family:?}");
        assert!(family.contains(&stray) && family.contains(&child.pid()));
        nix::sys::signal::kill(Pid::from_raw(stray as i32), Signal::SIGKILL).unwrap();
    }

    #[test]
    fn without_a_cgroup_a_leader_takes_its_group_along() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 1000 & echo $!"]);
        let mut child = WardPlace { cgroup: None }.start(shell, &[]).unwrap();
        let longest = Duration::from_secs(30);
        assert!(child.wait(longest).unwrap().success());
        // It held the other end of what is read here.
        child.output.settle(longest);
        let left = child.output.text().trim().parse().unwrap();
        let is_gone = match ProcessEnd::of(left) {
            Ok(end) => end.wait(Instant::now() + longest, &false.into()),
            Err(_) => true,
        };
        assert!(is_gone);
    }

    #[test]
    fn a_gated_command_starts_when_it_is_let() {
        let ward = Ward::new().unwrap();
        let mut echo = Command::new("echo");
        echo.arg("through");
        let mut child = ward.place("gate").gated(&echo, &[]).unwrap();
        assert!(child.wait(Duration::from_millis(50)).is_none());
        child.release().unwrap();
        assert!(child.wait(Duration::from_secs(5)).unwrap().success());
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        let ward = Ward::new().unwrap();
        let error = ward
            .place("program")
            .start(Command::new("/no/such/agent"), &[])
            .err()
            .unwrap();
        assert!(error.why.contains("/no/such/agent"), "{error}");
        assert!(error.remedy.contains("install"), "{error}");
    }
}
