//! The agent in the running kernel. Where it cannot run, each test says so in
//! one line and passes, unless `PROBECOST_REQUIRE_AGENT=1` forbids that.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use probecost::agent::record::{Record, Target};
use probecost::agent::{self, Agent, Operation, Options, Rule, Rung, Scope, Wakeup};
use probecost::host::{self, Right};
use rustix::fs::{CWD, Mode, OFlags};

#[path = "support/program.rs"]
mod program;

use program::program;

/// Counts are exact only while no other test of this process opens files.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// An agent, or none with the reason printed.
fn start(options: Options) -> Option<Agent> {
    start_with(options, |_: &[u8]| ())
}

fn start_with(options: Options, sink: impl agent::Sink) -> Option<Agent> {
    match Agent::start_with(options, sink) {
        Ok(agent) => Some(agent),
        Err(obstacle) if agent::is_required() => panic!("an agent is required: {obstacle}"),
        Err(obstacle) => {
            eprintln!("skipped: {obstacle}");
            None
        }
    }
}

/// What the sink of [`keeping`] kept of one record.
#[derive(Debug, Clone)]
struct Kept {
    target: String,
    pid: u32,
    uid: u32,
    comm: String,
    cgroup: u64,
    time_ns: u64,
    lost: u32,
    unreadable: bool,
}

type Records = Arc<Mutex<Vec<Kept>>>;

/// An agent whose records are kept for the test to look at.
fn keeping(options: Options) -> Option<(Agent, Records)> {
    let records = Records::default();
    let inner = Arc::clone(&records);
    let agent = start_with(options, move |bytes: &[u8]| {
        let record = Record::decode(bytes).expect("the programs write what the reader reads");
        inner.lock().unwrap().push(Kept {
            target: match record.target {
                Target::Path(path) | Target::Program(path) => {
                    String::from_utf8_lossy(path).into_owned()
                }
                Target::Address(address) => address.to_string(),
            },
            pid: record.pid(),
            uid: record.uid(),
            comm: String::from_utf8_lossy(record.comm()).into_owned(),
            cgroup: record.cgroup(),
            time_ns: record.time_ns(),
            lost: record.lost(),
            unreadable: record.target_unreadable(),
        });
    })?;
    Some((agent, records))
}

fn open(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // openat, the only call that the classic tracepoint watches.
    let _ = rustix::fs::openat(CWD, path.as_c_str(), OFlags::RDONLY, Mode::empty());
}

/// An agent that sees the path of a system call, whether there is a file or not.
fn at_system_calls() -> Options {
    Options {
        rung: Some(Rung::TpBtfSysEnter),
        ..Options::default()
    }
}

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[test]
fn each_open_gives_one_full_event() {
    let _alone = alone();
    let Some((mut agent, records)) = keeping(Options::default()) else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    let (before, earliest) = (agent.stats().unwrap(), monotonic_ns());
    for _ in 0..1000 {
        open(file.path());
    }
    let (after, latest) = (agent.drain().unwrap(), monotonic_ns());
    agent.set_emitting(false).unwrap();

    let counts = after.open - before.open;
    assert_eq!(
        (counts.seen, counts.submitted, counts.failed),
        (1000, 1000, 0)
    );
    assert_eq!(after.received - before.received, 1000);
    let wanted = file.path().to_string_lossy();
    let records = records.lock().unwrap();
    let ours: Vec<_> = records
        .iter()
        .filter(|record| record.target == wanted)
        .collect();
    assert_eq!(ours.len(), 1000);
    let comm = fs::read_to_string("/proc/thread-self/comm").unwrap();
    for record in ours {
        assert_eq!(record.pid, agent.pid());
        assert_eq!(record.uid, rustix::process::getuid().as_raw());
        assert_eq!(record.comm, comm.trim_end());
        assert!(record.cgroup > 0);
        assert!(
            (earliest..=latest).contains(&record.time_ns),
            "{earliest} {record:?} {latest}"
        );
        assert!(!record.unreadable);
    }
}

#[test]
fn a_silent_agent_sees_every_call_and_emits_none() {
    let _alone = alone();
    let Some(mut agent) = start(Options::default()) else {
        return;
    };
    agent.attach().unwrap();
    let before = agent.stats().unwrap();
    for _ in 0..100 {
        open(Path::new("/etc/hosts"));
    }
    let counts = agent.drain().unwrap().open - before.open;
    assert_eq!(
        (counts.seen, counts.filtered, counts.submitted),
        (100, 100, 0)
    );
    assert!(counts.balanced());

    agent.detach();
    let before = agent.stats().unwrap();
    open(Path::new("/etc/hosts"));
    assert_eq!(
        agent.stats().unwrap(),
        before,
        "a detached agent sees nothing"
    );
}

#[test]
fn connects_of_both_families_carry_their_address() {
    let _alone = alone();
    let Some((mut agent, records)) = keeping(Options::default()) else {
        return;
    };
    if let Some(why) = agent.blind_to(false, true) {
        assert!(!agent::is_required(), "{why}");
        eprintln!("skipped: {why}");
        return;
    }
    let mut servers = vec![UdpSocket::bind("127.0.0.1:0").unwrap()];
    servers.extend(UdpSocket::bind("[::1]:0"));
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    let before = agent.stats().unwrap().connect;
    for server in &servers {
        let to = server.local_addr().unwrap();
        let from = if to.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        UdpSocket::bind(from).unwrap().connect(to).unwrap();
    }
    let counts = agent.drain().unwrap().connect - before;
    assert_eq!(
        (counts.seen, counts.submitted),
        (servers.len() as u64, servers.len() as u64)
    );
    let records = records.lock().unwrap();
    for server in &servers {
        let address = server.local_addr().unwrap().to_string();
        assert!(
            records.iter().any(|record| record.target == address),
            "{address} in {records:?}"
        );
    }
}

/// With the consumer stopped, what the ring cannot take is counted, one by one,
/// and the next record that finds room says how many were lost before it.
#[test]
fn losses_are_counted_exactly() {
    let _alone = alone();
    let options = Options {
        ring_bytes: 4096,
        ..Options::default()
    };
    let Some((mut agent, records)) = keeping(options) else {
        return;
    };
    pin();
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    agent.pause_consumer(true);
    std::thread::sleep(Duration::from_millis(20));
    let before = agent.stats().unwrap();
    for _ in 0..10_000 {
        open(Path::new("/etc/hosts"));
    }
    let stalled = agent.stats().unwrap();
    let counts = stalled.open - before.open;
    assert_eq!(
        stalled.received, before.received,
        "a stopped consumer receives nothing"
    );
    assert_eq!(counts.seen, 10_000);
    assert!(counts.failed > 9_000, "{counts:?}");
    assert!(counts.balanced());

    agent.pause_consumer(false);
    let drained = agent.drain().unwrap();
    assert_eq!(10_000 - (drained.received - before.received), counts.failed);

    open(Path::new("/etc/hosts"));
    agent.drain().unwrap();
    agent.set_emitting(false).unwrap();
    let last = records.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        u64::from(last.lost),
        counts.failed,
        "on one CPU or moved between two"
    );
}

/// A drain of a consumer that does not read ends, and says so.
#[test]
fn a_stalled_consumer_is_an_error_and_no_hang() {
    let _alone = alone();
    let Some(mut agent) = start(Options::default()) else {
        return;
    };
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    agent.pause_consumer(true);
    std::thread::sleep(Duration::from_millis(20));
    open(Path::new("/etc/hosts"));
    let error = agent.drain().unwrap_err();
    assert!(error.why.contains("then none"), "{error}");
}

#[test]
fn paths_of_every_length_arrive_whole() {
    let _alone = alone();
    let Some((mut agent, records)) = keeping(at_system_calls()) else {
        return;
    };
    let paths: Vec<String> = [1, 10, 62, 63, 64, 65, 200, 446, 447, 448, 449, 1000, 4094]
        .iter()
        .map(|&length| format!("/{}", "x/".repeat(length)[..length - 1].to_owned()))
        .collect();
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    let before = agent.stats().unwrap().open;
    for path in &paths {
        open(Path::new(path));
    }
    let counts = agent.drain().unwrap().open - before;
    assert_eq!(
        (counts.seen, counts.submitted),
        (paths.len() as u64, paths.len() as u64)
    );
    let records = records.lock().unwrap();
    for path in &paths {
        let found = records
            .iter()
            .filter(|record| record.target == *path)
            .count();
        assert_eq!(found, 1, "a path of {} bytes", path.len());
    }
}

/// A new file below `directory` whose path has so many bytes.
fn file_at(directory: &Path, length: usize) -> PathBuf {
    let mut path = directory.to_string_lossy().into_owned();
    while length - path.len() > 202 {
        path += &format!("/{}", "d".repeat(200));
    }
    fs::create_dir_all(&path).unwrap();
    path += &format!("/{}", "f".repeat(length - path.len() - 1));
    fs::write(&path, "").unwrap();
    path.into()
}

/// An agent at the LSM hook, which has the file itself; none elsewhere.
fn at_files() -> Option<(Agent, Records)> {
    let (agent, records) = keeping(Options::default())?;
    if agent.hooks().open.rung == Some(Rung::LsmFileOpen) {
        return Some((agent, records));
    }
    eprintln!("skipped: lsm/file_open does not hold here; tools/kernels has one where it does");
    None
}

#[test]
fn resolved_paths_of_every_length_arrive_whole() {
    let _alone = alone();
    let Some((mut agent, records)) = at_files() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().canonicalize().unwrap();
    let paths = [100, 446, 447, 448, 449, 1000, 4094].map(|length| file_at(&place, length));
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    let before = agent.stats().unwrap().open;
    for path in &paths {
        open(path);
    }
    let counts = agent.drain().unwrap().open - before;
    agent.detach();
    assert_eq!((counts.seen, counts.submitted), (7, 7));
    let records = records.lock().unwrap();
    for path in &paths {
        let wanted = path.to_string_lossy();
        let found = records.iter().filter(|record| record.target == wanted);
        assert_eq!(found.count(), 1, "a path of {} bytes", wanted.len());
    }
}

/// A link has another path, and leads to the same file.
#[test]
fn at_the_lsm_hook_a_path_rule_sees_through_links() {
    let _alone = alone();
    let Some((mut agent, records)) = at_files() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().canonicalize().unwrap();
    let (file, link) = (file_at(&place, 100), place.join("link"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    agent.add_rule(&Rule::Path(file.clone())).unwrap();
    agent
        .add_rule(&Rule::Path("/etc/hostname2".into()))
        .unwrap();
    agent.attach().unwrap();
    let before = agent.stats().unwrap().open;
    for path in [
        link.as_path(),
        Path::new("/etc/hosts"),
        &place.join("missing"),
    ] {
        open(path);
    }
    let counts = agent.drain().unwrap().open - before;
    agent.detach();
    assert_eq!((counts.seen, counts.filtered, counts.submitted), (2, 1, 1));
    assert_eq!(records.lock().unwrap()[0].target, file.to_string_lossy());
}

/// The end of a mapping: the fixed-size copy of a path faults there.
#[test]
fn a_path_at_the_end_of_its_page_arrives_whole() {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
    let _alone = alone();
    let Some((mut agent, records)) = keeping(at_system_calls()) else {
        return;
    };
    let page = rustix::param::page_size();
    let path = b"/no/such/path/at/the/end\0";
    // SAFETY: a fresh private mapping, at an address that the kernel chooses.
    let base = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            2 * page,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }
    .unwrap();
    // SAFETY: the second page of the mapping, to which nothing refers.
    unsafe { mprotect(base.byte_add(page), page, MprotectFlags::empty()) }.unwrap();
    // SAFETY: the last bytes of the first page, which is writable, and lives as
    // long as the process.
    let at_end = unsafe {
        let start = base.cast::<u8>().add(page - path.len());
        start.copy_from_nonoverlapping(path.as_ptr(), path.len());
        std::ffi::CStr::from_ptr(start.cast())
    };
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    let _ = rustix::fs::openat(CWD, at_end, OFlags::RDONLY, Mode::empty());
    agent.drain().unwrap();
    let records = records.lock().unwrap();
    assert!(
        records
            .iter()
            .any(|record| record.target == "/no/such/path/at/the/end")
    );
}

#[test]
fn every_rung_of_the_ladder_that_holds_gives_one_event_an_open() {
    let _alone = alone();
    let mut taken = Vec::new();
    for &rung in Operation::Open.rungs() {
        let name = rung.name();
        let options = Options {
            rung: Some(rung),
            ..Options::default()
        };
        let Some(mut agent) = start(options) else {
            return;
        };
        if let Some(rung) = agent.hooks().open.rung {
            taken.push(rung.name());
        }
        if agent.hooks().open.rung != Some(rung) {
            eprintln!(
                "{name} does not hold here: {}",
                agent.hooks().open.failures()
            );
            continue;
        }
        agent.attach().unwrap();
        agent.set_emitting(true).unwrap();
        let before = agent.stats().unwrap().open;
        for _ in 0..100 {
            open(Path::new("/etc/hosts"));
        }
        let counts = agent.drain().unwrap().open - before;
        assert_eq!((counts.seen, counts.submitted), (100, 100), "{name}");
    }
    assert!(taken.len() >= 2, "{taken:?}");
}

#[test]
fn an_unknown_rung_is_named_with_those_that_exist() {
    let error = "raw_tp/sys_exit".parse::<Rung>().unwrap_err();
    assert!(error.contains("raw_tp/sys_enter"), "{error}");
}

#[test]
fn a_path_rule_matches_its_path_and_no_other() {
    let _alone = alone();
    let Some((mut agent, records)) = keeping(at_system_calls()) else {
        return;
    };
    let long = format!("/{}", "y".repeat(200));
    for path in ["/etc/hosts", "/etc/hostname2", long.as_str()] {
        agent.add_rule(&Rule::Path(path.into())).unwrap();
    }
    agent.attach().unwrap();
    let before = agent.stats().unwrap().open;
    for path in [
        "/etc/hosts",
        "/etc/host",
        "/etc/hosts2",
        "/etc/hostname",
        "/etc/passwd",
        &long,
    ] {
        open(Path::new(path));
    }
    let counts = agent.drain().unwrap().open - before;
    assert_eq!((counts.seen, counts.filtered, counts.submitted), (6, 4, 2));
    let targets: Vec<_> = records
        .lock()
        .unwrap()
        .iter()
        .map(|r| r.target.clone())
        .collect();
    assert_eq!(targets, ["/etc/hosts", long.as_str()]);
}

#[test]
fn an_inode_rule_needs_the_lsm_rung_and_says_so() {
    let _alone = alone();
    let Some(mut agent) = start(Options::default()) else {
        return;
    };
    let rule = Rule::file_at(Path::new("/etc/hosts")).unwrap();
    match agent.hooks().open.rung {
        Some(Rung::LsmFileOpen) => {
            agent.add_rule(&rule).unwrap();
            agent.attach().unwrap();
            let before = agent.stats().unwrap().open;
            open(Path::new("/etc/hosts"));
            open(Path::new("/etc/passwd"));
            let counts = agent.drain().unwrap().open - before;
            assert_eq!((counts.submitted, counts.filtered), (1, 1));
        }
        _ => {
            let error = agent.add_rule(&rule).unwrap_err();
            assert!(error.why.contains("lsm/file_open"), "{error}");
        }
    }
}

#[test]
fn one_of_ten_is_sampled() {
    let _alone = alone();
    let Some(mut agent) = start(Options {
        sample: 10,
        ..Options::default()
    }) else {
        return;
    };
    pin();
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    let before = agent.stats().unwrap().open;
    for _ in 0..1000 {
        open(Path::new("/etc/hosts"));
    }
    let counts = agent.drain().unwrap().open - before;
    assert_eq!(
        (counts.seen, counts.submitted, counts.filtered),
        (1000, 100, 900)
    );
}

/// Sampling and losses are counted by CPU.
fn pin() {
    agent::pin_this_thread(host::allowed_cpus()[0]).unwrap();
}

#[test]
fn every_wakeup_policy_delivers_everything() {
    let _alone = alone();
    for wakeup in [Wakeup::Never, Wakeup::Default, Wakeup::Bytes(4096)] {
        let Some(mut agent) = start(Options {
            wakeup,
            ..Options::default()
        }) else {
            return;
        };
        agent.attach().unwrap();
        agent.set_emitting(true).unwrap();
        let before = agent.stats().unwrap();
        for _ in 0..5000 {
            open(Path::new("/etc/hosts"));
        }
        let after = agent.drain().unwrap();
        assert_eq!(after.received - before.received, 5000, "{wakeup:?}");
    }
}

/// A consumer that would only look in an hour is woken before the ring is full.
#[test]
fn a_small_ring_wakes_its_consumer() {
    let _alone = alone();
    let Some(agent) = start(Options {
        ring_bytes: 64 << 10,
        wakeup: Wakeup::Bytes(64 << 10),
        drain_every: Duration::from_secs(3600),
        ..Options::default()
    }) else {
        return;
    };
    // Dropped, it would wait for its consumer to look.
    let mut agent = ManuallyDrop::new(agent);
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    for _ in 0..5000 {
        open(Path::new("/etc/hosts"));
    }
    let begin = Instant::now();
    while agent.stats().unwrap().received < 100 {
        assert!(begin.elapsed() < Duration::from_secs(30), "nobody woke it");
        std::thread::sleep(Duration::from_millis(10));
    }
    agent.detach();
}

/// A child in a cgroup of its own is audited by cgroup; this process is not.
#[test]
fn a_cgroup_is_a_scope() {
    let _alone = alone();
    let Ok(root) = host::cgroup2_mount() else {
        eprintln!("skipped: no cgroup v2");
        return;
    };
    let Some(group) = Group::make(&root, "test") else {
        return;
    };
    // `..` is no level.
    let name = group.0.file_name().unwrap();
    let options = Options {
        scope: Scope::Cgroup(group.0.join("..").join(name)),
        ..Options::default()
    };
    let Some((mut agent, records)) = keeping(options) else {
        return;
    };
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    open(Path::new("/etc/hosts"));
    group.run("exec cat /etc/hosts");
    let stats = agent.drain().unwrap();
    assert!(stats.open.foreign > 0, "this process' own open");
    let records = records.lock().unwrap();
    let hosts: Vec<_> = records
        .iter()
        .filter(|record| record.target == "/etc/hosts")
        .collect();
    assert_eq!(hosts.len(), 1, "{records:?}");
    assert_eq!(hosts[0].comm, "cat");
}

/// A program that is run is an event with its path, in a script's case once; cgroups that
/// are not on the list are not heard, whatever else is on it.
#[test]
fn a_list_of_cgroups_is_a_scope_and_programs_that_run_are_seen() {
    let _alone = alone();
    let Ok(root) = host::cgroup2_mount() else {
        eprintln!("skipped: no cgroup v2");
        return;
    };
    let groups = ["listed", "deaf"].map(|name| Group::make(&root, name));
    let [Some(listed), Some(deaf)] = groups else {
        return;
    };
    // Gone before the one above it.
    let below = Group(listed.0.join("below"));
    fs::create_dir(&below.0).unwrap();
    let options = Options {
        scope: Scope::Cgroups(vec![listed.0.clone(), listed.0.join("below")]),
        ..Options::default()
    };
    let Some((mut agent, records)) = keeping(options) else {
        return;
    };
    let exec = &agent.hooks().exec;
    if exec.rung.is_none() && !Path::new("/sys/kernel/btf/vmlinux").exists() {
        eprintln!("skipped: without BTF nothing says where the kernel keeps a program's path");
        return;
    }
    assert!(exec.rung.is_some(), "{exec:?}");
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    program(&script, "#!/bin/sh\n:\n");
    let resolved = fs::canonicalize(&script).unwrap();
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    for group in [&listed, &deaf, &below] {
        group.run(&format!("exec {}", resolved.display()));
    }
    let stats = agent.drain().unwrap();
    assert_eq!((stats.exec.seen, stats.exec.submitted), (2, 2), "{stats:?}");
    assert!(stats.exec.balanced() && stats.exec.foreign > 0, "{stats:?}");
    let records = records.lock().unwrap();
    let groups: Vec<u64> = records
        .iter()
        .filter(|record| Path::new(&record.target) == resolved)
        .map(|record| record.cgroup)
        .collect();
    for group in [&listed, &below] {
        let id = fs::metadata(&group.0).unwrap().ino();
        assert!(groups.contains(&id), "{records:?}");
    }
    let deaf = fs::metadata(&deaf.0).unwrap().ino();
    assert!(records.iter().all(|record| record.cgroup != deaf));
}

#[test]
fn what_is_no_cgroup_is_refused() {
    let _alone = alone();
    if start(Options::default()).is_none() {
        return;
    }
    let Err(error) = Agent::start(Options {
        scope: Scope::Cgroups(Vec::new()),
        ..Options::default()
    }) else {
        panic!("it was taken");
    };
    assert!(error.why.contains("allows nothing"), "{error}");
    let Ok(root) = host::cgroup2_mount() else {
        return;
    };
    let Err(error) = Agent::start(Options {
        scope: Scope::Cgroup(root.join("cgroup.procs")),
        ..Options::default()
    }) else {
        panic!("a file was taken");
    };
    assert!(error.why.contains("is no cgroup"), "{error}");
}

/// The same where this process sees a part of the hierarchy as the whole, as in a
/// container: what it sees as level 1 is level 2.
#[test]
fn a_cgroup_is_a_scope_in_a_namespace_of_cgroups() {
    let _alone = alone();
    let Ok(root) = host::cgroup2_mount() else {
        eprintln!("skipped: no cgroup v2");
        return;
    };
    if start(Options::default()).is_none() {
        return;
    }
    let group = Group(root.join(format!("probecost-container-{}", std::process::id())));
    if let Err(error) = fs::create_dir(&group.0) {
        assert!(!agent::is_required() || !rustix::process::geteuid().is_root());
        eprintln!("skipped: {}: {error}", group.0.display());
        return;
    }
    let procs = group.0.join("cgroup.procs");
    let enter = move || -> std::io::Result<()> {
        fs::write(&procs, std::process::id().to_string())?;
        unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS)?;
        let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, private, none)?;
        umount(&root)?;
        mount(
            Some("cgroup2"),
            &root,
            Some("cgroup2"),
            MsFlags::empty(),
            none,
        )?;
        Ok(())
    };
    let mut same = std::process::Command::new(std::env::current_exe().unwrap());
    same.args(["--exact", "a_cgroup_is_a_scope"])
        .env("PROBECOST_REQUIRE_AGENT", "1");
    // SAFETY: what is done between fork and exec takes no lock of this process but the
    // allocator's, which the C library holds across a fork.
    let output = unsafe { same.pre_exec(enter) }.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 passed"), "{said}");
}

struct Group(PathBuf);

impl Group {
    /// A cgroup of its own, or none with the reason printed.
    fn make(root: &Path, name: &str) -> Option<Self> {
        let group = Self(root.join(format!("probecost-{name}-{}", std::process::id())));
        if let Err(error) = fs::create_dir(&group.0) {
            let refused = error.kind() == std::io::ErrorKind::PermissionDenied;
            assert!(
                refused || !agent::is_required(),
                "{}: {error}",
                group.0.display()
            );
            eprintln!("skipped: {}: {error}", group.0.display());
            return None;
        }
        Some(group)
    }

    /// Runs the script of a shell in it.
    fn run(&self, script: &str) {
        let script = format!("echo $$ > {}/cgroup.procs; {script}", self.0.display());
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_ring_that_cannot_be_is_refused() {
    let _alone = alone();
    for ring_bytes in [0, 1, 4095, 4097, 12_288] {
        let options = Options {
            ring_bytes,
            ..Options::default()
        };
        let Err(error) = Agent::start(options) else {
            panic!("{ring_bytes} was taken")
        };
        assert!(error.to_string().contains("power of two"), "{error}");
    }
}

#[test]
fn a_cpu_that_is_not_there_is_refused() {
    let _alone = alone();
    if start(Options::default()).is_none() {
        return;
    }
    for cpu in [1000, 100_000] {
        let Err(error) = Agent::start(Options {
            cpu: Some(cpu),
            ..Options::default()
        }) else {
            panic!("CPU {cpu} was taken");
        };
        assert!(error.remedy.contains("CPU"), "{error}");
    }
}

/// Whether this process may list the programs of all others.
fn sees_others() -> bool {
    match Right::SysAdmin.check() {
        Ok(_) => true,
        Err(obstacle) => {
            eprintln!("skipped: {obstacle}");
            false
        }
    }
}

/// Two agents in one process do not see each other's switch.
#[test]
fn another_agent_is_noticed() {
    let _alone = alone();
    if !sees_others() {
        return;
    }
    let Some(mut first) = start(Options::default()) else {
        return;
    };
    let idle = agent::others().len();
    first.attach().unwrap();
    let others = agent::others();
    assert!(others.len() > idle, "{others:?}");
    assert!(
        others.iter().any(|other| other.contains("open_")),
        "{others:?}"
    );
    let Some(mut second) = start(Options::default()) else {
        return;
    };
    second.attach().unwrap();
    second.set_emitting(true).unwrap();
    let before = first.stats().unwrap().open;
    open(Path::new("/etc/hosts"));
    let counts = first.drain().unwrap().open - before;
    assert_eq!((counts.seen, counts.submitted), (1, 0));
}

/// A panic, an interrupt and a kill leave no program behind: the process of the
/// fixture below is started, hooked, and ended by each.
#[test]
fn nothing_stays_behind() {
    let _alone = alone();
    if !sees_others() || start(Options::default()).is_none() {
        return;
    }
    for end in ["panic", "INT", "KILL"] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hooked_fixture", "--ignored", "--nocapture"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mine = wait_for_line(&mut child, "hooked");
        let held = agent::others();
        assert!(
            held.len() > mine,
            "{end}: the fixture is not hooked: {held:?}"
        );
        if end == "panic" {
            child.stdin.as_ref().unwrap().write_all(b"\n").unwrap();
        } else {
            let kill = std::process::Command::new("kill")
                .args([&format!("-{end}"), &child.id().to_string()])
                .status()
                .unwrap();
            assert!(kill.success());
        }
        child.wait().unwrap();
        let waited = std::time::Instant::now();
        while agent::others().len() > mine {
            assert!(
                waited.elapsed() < Duration::from_secs(5),
                "{end}: {:?}",
                agent::others()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Gives the number of foreign links before the child hooked its own.
fn wait_for_line(child: &mut std::process::Child, wanted: &str) -> usize {
    use std::io::{BufRead, BufReader};
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.lines() {
        let line = line.unwrap();
        if let Some(count) = line.strip_prefix(wanted) {
            return count.trim().parse().unwrap();
        }
    }
    panic!("the fixture ended before it was hooked");
}

/// Not a test: the process that `nothing_stays_behind` ends. It panics at a word.
#[test]
#[ignore = "a fixture of nothing_stays_behind"]
fn hooked_fixture() {
    let Some(mut agent) = start(Options::default()) else {
        return;
    };
    let before = agent::others().len();
    agent.attach().unwrap();
    agent.set_emitting(true).unwrap();
    println!("\nhooked {before}");
    let word = std::thread::spawn(|| std::io::stdin().read(&mut [0]));
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        let _ = File::open("/etc/hosts");
        assert!(!word.is_finished(), "as asked for");
    }
}
