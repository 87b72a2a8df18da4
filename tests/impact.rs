//! `probecost impact`, through its executable, with real agents.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use probecost::arm::{Arm, CommandAgent, Spec};
use probecost::experiment::impact::{ArmLog, ProgramBlock, ProgramMeasured, rows};
use probecost::host::{Obstacle, cgroup2_mount};
use probecost::process::Ward;
use probecost::report::impact_markdown::markdown;
use probecost::schema::impact::{ArmReport, Impact, ImpactMeasure, ImpactRow, Proof};
use probecost::schema::{Figures, Outcome};

#[path = "support/port.rs"]
mod port;

use port::Port;

/// Agents of one test would be strangers' agents to another.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn command(out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probecost"));
    command
        .args(["impact", "--format", "json"])
        .args(["--out", out.to_str().unwrap()])
        .args(arguments);
    command
}

fn impact(arguments: &[&str]) -> (Output, Option<Impact>) {
    let (output, impact, _) = impact_and_figures(1, arguments);
    (output, impact)
}

fn impact_and_figures(
    rounds: u32,
    arguments: &[&str],
) -> (Output, Option<Impact>, Option<Figures>) {
    let out = tempfile::tempdir().unwrap();
    let output = command(
        out.path(),
        &[&["--rounds", &rounds.to_string()], arguments].concat(),
    )
    .output()
    .unwrap();
    let impact: Option<Impact> = serde_json::from_slice(&output.stdout).ok();
    if let Some(impact) = &impact {
        let written = std::fs::read(out.path().join("impact.json")).unwrap();
        assert_eq!(&serde_json::from_slice::<Impact>(&written).unwrap(), impact);
    }
    let figures = std::fs::read(out.path().join("figures/impact.json")).ok();
    let figures = figures.map(|figures| serde_json::from_slice(&figures).unwrap());
    (output, impact, figures)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn arm<'a>(impact: &'a Impact, name: &str) -> &'a ArmReport {
    impact.arms.iter().find(|arm| arm.arm == name).unwrap()
}

/// Whether an agent can be tested here; a skip where it could have been is a failure.
fn can_run(program: &str) -> bool {
    let installed = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .any(|directory| Path::new(directory).join(program).exists());
    let required = probecost::agent::is_required();
    match (installed, required) {
        (true, true) => true,
        (false, true) => panic!("{program} is not installed, and .ci/run installs it"),
        _ => {
            println!("skipped: no agent is to be expected here, or {program} is not installed");
            false
        }
    }
}

/// Opens files, starts programs, and takes a moment.
const JOB: [&str; 4] = [
    "--",
    "sh",
    "-c",
    "for n in 1 2 3; do cat /etc/hosts; done >/dev/null",
];

fn with_job<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().chain(&JOB).copied().collect()
}

#[test]
fn agents_of_others_are_proven_by_what_they_attach() {
    let _alone = alone();
    for (program, agent) in [
        ("opensnoop", "a=opensnoop"),
        ("execsnoop", "a=execsnoop"),
        (
            "bpftrace",
            "a=bpftrace -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'",
        ),
    ] {
        if !can_run(program) {
            continue;
        }
        let (output, impact) = impact(&with_job(&["--agent", agent]));
        let impact = impact.unwrap_or_else(|| panic!("{program}: {}", stderr(&output)));
        let arm = arm(&impact, "a");
        assert_eq!(arm.proof, Proof::Bpf, "{program}: {arm:?}");
        assert!(
            arm.proven && arm.bpf_programs > 0 && arm.run_count > 0,
            "{arm:?}"
        );
        assert_eq!(arm.blocks, 2);
    }
}

#[test]
fn a_tracer_is_proven_by_whom_it_traces() {
    let _alone = alone();
    if !can_run("strace") {
        return;
    }
    let (output, impact) = impact(&with_job(&["--agent", "s=strace -f -o /dev/null -p {pid}"]));
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let arm = arm(&impact, "s");
    assert!(arm.proof == Proof::Ptrace && arm.proven, "{arm:?}");
}

/// Of a run in which no cgroup can be made, since none is mounted.
fn without_cgroups(arguments: &[&str]) -> Impact {
    let out = tempfile::tempdir().unwrap();
    let mut command = command(out.path(), &["--rounds", "1"]);
    command.args(arguments);
    let hide = || -> std::io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        while let Ok(place) = cgroup2_mount() {
            umount2(&place, MntFlags::MNT_DETACH)?;
        }
        Ok(())
    };
    // SAFETY: system calls, and no lock but the allocator's, which the C library holds
    // across a fork.
    let output = unsafe { command.pre_exec(hide) }.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

#[test]
fn without_a_cgroup_an_agent_is_its_family() {
    let _alone = alone();
    for (program, agent, proof) in [
        ("strace", "a=strace -f -o /dev/null -p {pid}", Proof::Ptrace),
        ("opensnoop", "a=sh -c 'opensnoop; :'", Proof::Bpf),
    ] {
        if can_run(program) && nix::unistd::geteuid().is_root() {
            let impact = without_cgroups(&with_job(&["--agent", agent]));
            let arm = arm(&impact, "a");
            assert!(arm.proof == proof && arm.proven, "{program}: {arm:?}");
        }
    }
}

/// Nothing ends it there: under it there is no `off`.
#[test]
fn without_a_cgroup_one_that_left_its_group_is_left_behind() {
    let _alone = alone();
    if !can_run("opensnoop") || !nix::unistd::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid").display().to_string();
    let stray = format!("a=sh -c 'setsid opensnoop & echo $! > {file}; exec sleep 1000000'");
    let agents = ["--agent", &stray, "--agent", "b=sleep 1000000"];
    let impact = without_cgroups(&with_job(&agents));
    let pid = std::fs::read_to_string(file).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
    // It may have ended by what it could not print.
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    let row = impact.rows.iter().find(|row| row.arm == "b").unwrap();
    let reason = row.reason.clone().unwrap_or_default();
    let cause = "the agent a left are still loaded";
    assert!(reason.contains(cause), "{:?}", impact.rows);
}

/// What it traces never rests, nor does it.
#[test]
fn an_agent_that_has_work_to_do_becomes_ready() {
    let _alone = alone();
    if !can_run("strace") {
        return;
    }
    let ward = Ward::new().unwrap();
    let mut busy = Command::new("dd");
    busy.args(["if=/dev/zero", "of=/dev/null", "bs=1"]);
    let program = ward.place("program").start(busy, &[]).unwrap();
    let busy = "s=sh -c 'strace -f -o /dev/null -p {pid} & while :; do :; done'";
    let mut spec = Spec::parse(busy).unwrap();
    spec.patience = Duration::from_secs(8);
    let pids = [program.pid()];
    let agent = CommandAgent::start(&spec, ward.place("agent-s"), &pids);
    let mut agent = agent.unwrap_or_else(|obstacle| panic!("{obstacle}"));
    assert_eq!(agent.prove(&pids).proof(), Proof::Ptrace);
}

#[test]
fn an_audit_daemon_is_proven_by_its_status_and_rules() {
    let _alone = alone();
    if !can_run("auditd") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let log = path.join("audit.log");
    std::fs::write(
        path.join("auditd.conf"),
        format!(
            "log_file = {}\nlog_group = root\nlog_format = RAW\nflush = NONE\n\
             max_log_file = 8\nmax_log_file_action = ROTATE\nnum_logs = 2\nspace_left = 75\n\
             space_left_action = IGNORE\nadmin_space_left = 50\n\
             admin_space_left_action = IGNORE\ndisk_full_action = IGNORE\n\
             disk_error_action = IGNORE\n",
            log.display()
        ),
    )
    .unwrap();
    let file = path.join("audit.toml");
    std::fs::write(
        &file,
        format!(
            "name = \"audit\"\ncommand = \"auditd -n -c {}\"\nstop = {{ signals = [\"TERM\"] }}\n\
             [switch]\non = [\"auditctl -a always,exit -F arch=b64 -S openat\", \"auditctl -e 1\"]\n\
             off = [\"auditctl -D\", \"auditctl -e 0\"]\n",
            path.display()
        ),
    )
    .unwrap();
    let (output, impact) = impact(&with_job(&["--agent-file", file.to_str().unwrap()]));
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let arm = arm(&impact, "audit");
    assert!(arm.proof == Proof::Audit && arm.proven, "{arm:?}");
}

#[test]
fn our_own_agent_is_an_arm_in_every_mode() {
    let _alone = alone();
    if !probecost::agent::is_required() {
        println!("skipped: no agent is to be expected here");
        return;
    }
    let arguments = with_job(&["--arms", "hook,event,elsewhere,stalled,stats"]);
    let (output, impact, figures) = impact_and_figures(1, &arguments);
    let figures = figures.unwrap().rows;
    for (measure, unit) in [
        ("memory_mb", "MB"),
        ("errors", "errors"),
        ("missed_pct", "percent"),
    ] {
        let id = format!("impact/sh/event/{measure}");
        let figure = figures.iter().find(|figure| figure.id == id);
        assert_eq!(figure.map(|f| &*f.unit), Some(unit), "{id}: {figures:?}");
    }
    // Two pairs say nothing of what is added.
    let mut ids = figures.iter().map(|figure| &figure.id);
    assert!(!ids.any(|id| id.ends_with("cpu_points")), "{figures:?}");
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    for name in ["hook", "event", "elsewhere", "stalled"] {
        let arm = arm(&impact, name);
        assert!(arm.proof == Proof::Bpf && arm.proven, "{arm:?}");
        let hooks = arm.hooks.as_ref().unwrap();
        for hook in [&hooks.open, &hooks.connect, &hooks.exec] {
            assert!(hook.rung.is_some(), "{arm:?}");
        }
    }
    assert!(arm(&impact, "stats").proven);
    assert_eq!(arm(&impact, "stats").hooks, None);
    let captured = |name: &str| {
        let row = impact
            .rows
            .iter()
            .find(|row| row.arm == name && row.measure.word() == "captured_pct");
        row.map(|row| row.with.unwrap())
    };
    assert_eq!(captured("event"), Some(100.0));
    // Nobody reads there, nothing matches there, and nobody is there.
    assert_eq!(captured("stalled"), Some(0.0));
    assert_eq!(captured("hook"), None);
    assert_eq!(captured("elsewhere"), None);
}

/// Where programs are proven to be seen by one that cannot be started, that hook does not hold.
#[test]
fn our_own_agent_is_not_proven_by_some_of_its_hooks() {
    let _alone = alone();
    if !probecost::agent::is_required() {
        println!("skipped: no agent is to be expected here");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let arguments = with_job(&["--rounds", "1", "--arms", "event"]);
    let mut command = command(out.path(), &arguments);
    let hide = || -> std::io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let bind = MsFlags::MS_BIND;
        Ok(mount(Some("/dev/null"), "/bin/true", none, bind, none)?)
    };
    // SAFETY: system calls only.
    let output = unsafe { command.pre_exec(hide) }.output().unwrap();
    let impact: Option<Impact> = serde_json::from_slice(&output.stdout).ok();
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let arm = arm(&impact, "event");
    assert!(arm.proof == Proof::Bpf && !arm.proven, "{arm:?}");
    let hooks = arm.hooks.as_ref().unwrap();
    assert!(hooks.open.rung.is_some() && hooks.exec.rung.is_none());
    let reason = arm.reason.as_ref().unwrap();
    let said = "not proven: no hook for programs that run holds here";
    assert!(reason.starts_with(said), "{reason}");
    let mut rows = impact.rows.iter().filter(|row| row.limit.is_some());
    assert!(rows.all(|row| row.verdict == Outcome::Inconclusive && row.reason == arm.reason));
}

/// Every program, each arm twice: none of them looks at a time.
#[test]
fn every_program_runs_under_our_agent() {
    let _alone = alone();
    if !probecost::agent::is_required() {
        println!("skipped: no agent is to be expected here");
        return;
    }
    let programs = [
        "nginx",
        "redis",
        "postgres",
        "build",
        "container",
        "grep",
        "awk",
    ];
    let (output, impact) = impact(&["--program", &programs.join(","), "--megabytes", "10"]);
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    for program in programs {
        let reason = impact.rows.iter().find(|row| row.program == program);
        let arm = impact
            .arms
            .iter()
            .find(|arm| arm.program == program && arm.arm == "event");
        let arm = arm.unwrap_or_else(|| panic!("{program}: {reason:?}"));
        assert!(arm.proven && arm.blocks >= 1, "{program}: {arm:?}");
    }
}

/// What its agent counts by process, path and cgroup is kept, and an allow-list that holds
/// the program's cgroup misses nothing of it.
#[test]
fn detailed_statistics_and_an_allow_list_of_our_own_agent() {
    let _alone = alone();
    if !probecost::agent::is_required() || !nix::unistd::geteuid().is_root() {
        println!("skipped: no agent, or no cgroup of its own, is to be expected here");
        return;
    }
    let (output, impact) = impact(&with_job(&[
        "--arms",
        "event",
        "--sweep",
        "allow,detail,rules",
        "--allow",
        "3",
        "--detail",
    ]));
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    // What this machine cannot hold is said, and takes nothing from the rest.
    let by_inode = (impact.rows.iter()).filter(|row| row.arm == "rules=inode");
    for row in by_inode.filter(|row| row.verdict == Outcome::Skipped) {
        let reason = row.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("lsm/file_open"), "{row:?}");
    }
    assert!(impact.rows.iter().any(|row| row.arm == "rules=inode"));
    assert_ne!(output.status.code(), Some(2), "{}", stderr(&output));
    for name in ["event", "allow=1", "allow=100", "detail=off", "detail=on"] {
        let arm = arm(&impact, name);
        assert!(arm.proven && arm.bpf_programs >= 3, "{arm:?}");
        let row = |word| {
            let of = |row: &&ImpactRow| row.arm == name && row.measure.word() == word;
            impact
                .rows
                .iter()
                .find(of)
                .unwrap_or_else(|| panic!("{name}: no {word}"))
        };
        assert_eq!(row("captured_pct").with, Some(100.0), "{name}");
        let [memory, maps] = ["memory_mb", "maps_mb"].map(|word| row(word).with.unwrap());
        assert!(1.0 < maps && maps < memory, "{name}: {maps} of {memory} MB");
        assert!(row("switches").with.unwrap() > 0.0, "{name}");
        let printed = arm.printed.as_deref();
        assert_eq!(printed.is_some(), name != "detail=off", "{arm:?}");
        let top: serde_json::Value = serde_json::from_str(printed.unwrap_or("{}")).unwrap();
        for (kind, wanted) in [
            ("processes", "cat ("),
            ("paths", "libc.so"),
            ("cgroups", "program"),
        ] {
            let has = |row: &serde_json::Value| {
                let name = row["name"].as_str().unwrap_or_default();
                name.contains(wanted) && row["events"].as_u64() > Some(0)
            };
            let rows = top[kind].as_array().cloned().unwrap_or_default();
            assert_eq!(rows.iter().any(has), printed.is_some(), "{kind}: {top}");
        }
    }
}

/// nginx as a service of one's own: its command, URL and port. It ends by itself after so long.
fn own_service(directory: &Path, seconds: u32) -> (String, String, Port) {
    let port = Port::keep();
    let address = port.address();
    let path = directory.display();
    std::fs::write(directory.join("index.html"), "hello").unwrap();
    std::fs::write(
        directory.join("nginx.conf"),
        format!(
            "daemon off;\npid {path}/pid;\nerror_log {path}/error.log;\n{user}events {{}}\n\
             http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {path}/b;\n\
             proxy_temp_path {path}/p; fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u;\n\
             scgi_temp_path {path}/s; server {{ listen {address}; root {path}; }} }}\n",
            user = if nix::unistd::geteuid().is_root() {
                "user root;\n"
            } else {
                ""
            },
        ),
    )
    .unwrap();
    (
        format!("timeout {seconds} nginx -c {path}/nginx.conf -e {path}/error.log"),
        format!("http://{address}/index.html"),
        port,
    )
}

#[test]
fn a_service_of_ones_own_is_started_asked_and_ended() {
    let _alone = alone();
    if !can_run("nginx") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (service, url, _port) = own_service(directory.path(), 1000);
    let (output, impact) = impact(&["--service", &service, "--url", &url]);
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let event = arm(&impact, "event");
    assert!(event.proven && event.blocks >= 2, "{event:?}");
    assert_eq!(event.program, "timeout");
    assert!(event.across.is_some(), "{event:?}");
    let row = |word| {
        impact
            .rows
            .iter()
            .find(|row| row.measure.word() == word)
            .unwrap()
    };
    assert!(row("throughput").with.unwrap() > 0.0);
    assert_eq!(row("errors").verdict, Outcome::Pass, "{:?}", row("errors"));
    // What was on its way when it was counted is not missing.
    if row("dropped").with == Some(0.0) {
        assert_eq!(row("captured_pct").with, Some(100.0));
    }
    assert_eq!(processes(&directory.path().display().to_string()), 0);
}

#[test]
fn a_service_that_cannot_be_measured_says_why() {
    let _alone = alone();
    if !can_run("nginx") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (dies, url, _port) = own_service(directory.path(), 8);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("http://{}/", taken.local_addr().unwrap());
    for (service, url, cause) in [
        (&*dies, &url, "ended"),
        ("sleep 1000", &taken, "somebody listens"),
        ("sh -c 'echo no luck; exit 4'", &url, "no luck"),
        ("/no/such/server", &url, "/no/such/server is not installed"),
    ] {
        let arguments = ["--rounds", "200", "--service", service, "--url", url];
        let out = tempfile::tempdir().unwrap();
        let output = command(out.path(), &arguments).output().unwrap();
        let impact: Impact = serde_json::from_slice(&output.stdout).unwrap();
        let broken = impact
            .rows
            .iter()
            .find(|row| row.verdict == Outcome::Broken)
            .unwrap();
        let reason = broken.reason.as_ref().unwrap();
        assert!(reason.contains(cause), "{service}: {reason}");
        assert_eq!(output.status.code(), Some(2), "{service}");
    }
}

/// What servers run as may then not enter what we make, unless we let them.
#[test]
fn a_closed_umask_closes_nothing_to_servers() {
    let _alone = alone();
    if !can_run("nginx") || !can_run("pgbench") || !nix::unistd::geteuid().is_root() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--rounds", "1", "--arms", "stats", "--program"];
    let output = Command::new("sh")
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .args([env!("CARGO_BIN_EXE_probecost"), "impact"])
        .args(["--out", out.path().to_str().unwrap()])
        .args([&arguments[..], &["nginx,postgres"]].concat())
        .output()
        .unwrap();
    let impact = written(out.path());
    for program in ["nginx", "postgres"] {
        let mut arms = impact.arms.iter().filter(|arm| arm.program == program);
        let said = (stderr(&output), &impact.rows);
        assert!(arms.any(|arm| arm.blocks > 0), "{program}: {said:?}");
    }
}

fn measured(wanted: &'static [ImpactMeasure], arms: [ArmLog; 2]) -> ProgramMeasured {
    ProgramMeasured {
        program: "made up".into(),
        wanted,
        is_control: false,
        arms: arms.into(),
        length: Duration::from_secs(1),
        note: None,
        ended: None,
    }
}

/// A failure of a kind that the program did not have without the agent is found among as
/// many of another kind, and too few of them are not.
#[test]
fn errors_are_judged_by_kind() {
    let log = |arm: &Arm, failed: &[(&'static str, u64)]| {
        let mut log = ArmLog::new(arm);
        log.blocks = (0..2)
            .map(|half| ProgramBlock {
                half,
                tries: 1000,
                failed: failed.iter().copied().collect(),
                ..ProgramBlock::default()
            })
            .collect();
        log
    };
    let limits = probecost::gate::Gate::here().unwrap().impact;
    for (off, with, verdict, cause) in [
        (&[][..], &[][..], Outcome::Pass, ""),
        (&[("status", 90)], &[("status", 90)], Outcome::Pass, ""),
        (
            &[("status", 90)],
            &[("status", 80), ("timeout", 10)],
            Outcome::Fail,
            "timeout: 20 of 2000 against 0 of 2000",
        ),
        (&[], &[("reset", 1)], Outcome::Inconclusive, "reset: 2 of"),
        (&[], &[("reset", 30)], Outcome::Fail, "reset: 60 of"),
    ] {
        let measured = measured(&[], [log(&Arm::Off, off), log(&Arm::Stats, with)]);
        let rows = rows(&measured, 2, &limits);
        let row = rows
            .iter()
            .find(|row| row.measure == ImpactMeasure::Errors)
            .unwrap();
        let reason = row.reason.clone().unwrap_or_default();
        assert_eq!(row.verdict, verdict, "{row:?}");
        assert!(reason.starts_with(cause), "{reason}");
        assert_eq!(
            row.errors.contains_key("timeout"),
            cause.starts_with("timeout")
        );
    }
}

#[test]
fn a_null_agent_is_not_proven_and_passes_nothing() {
    let _alone = alone();
    let arguments = with_job(&["--agent", "nothing=sleep 1000000"]);
    let (output, impact, figures) = impact_and_figures(4, &arguments);
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    // No budget passes by one that may not have been there.
    assert!(impact.rows.iter().any(|row| row.ratio.is_some()));
    assert!(figures.unwrap().rows.is_empty());
    let arm = arm(&impact, "nothing");
    assert!(!arm.proven && arm.proof == Proof::None, "{arm:?}");
    assert!(
        arm.reason.as_ref().unwrap().contains("not proven"),
        "{arm:?}"
    );
    assert!(impact.rows.iter().all(|row| row.verdict != Outcome::Pass));
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}

/// What a job leaves behind keeps a lock, by which the next run fails. None of the second
/// agent's programs runs before the job does, which is then run once more beside its gate.
#[test]
fn what_a_job_leaves_running_is_gone_before_the_next_run() {
    let _alone = alone();
    let flock = "a=bpftrace -e 'tracepoint:syscalls:sys_enter_flock { @ = count(); }'";
    for (program, agent) in [("sleep", "a=sleep 1000000"), ("bpftrace", flock)] {
        if program == "bpftrace" && !can_run(program) {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join("lock");
        let script = format!(
            "exec 9>{}; flock -n 9 || exit 1; sleep 1000000 &",
            lock.display()
        );
        let (output, impact) = impact(&["--agent", agent, "--", "sh", "-c", &script]);
        let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
        let errors = (impact.rows.iter()).find(|row| row.measure == ImpactMeasure::Errors);
        let errors = errors.unwrap_or_else(|| panic!("{:?}", impact.rows));
        assert_eq!((errors.off, errors.with), (Some(0.0), Some(0.0)), "{agent}");
    }
}

#[test]
fn an_agent_that_cannot_run_ends_its_own_arm_alone() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let never = directory.path().join("never.toml");
    let text = "name = \"never\"\ncommand = \"sleep 1000000\"\n\
                [ready]\nline = \"started\"\nwithin_s = 1\n";
    std::fs::write(&never, text).unwrap();
    let (output, impact) = impact(&with_job(&[
        "--agent",
        "missing=/no/such/agent",
        "--agent",
        "dies=sh -c 'echo out of cheese; exit 3'",
        "--agent",
        "stays=sleep 1000000",
        "--agent",
        "deaf=sh -c 'trap \"\" INT TERM; while :; do sleep 0.1; done'",
        "--agent",
        "loud=sh -c 'yes gigabytes & sleep 1000000'",
        "--agent-file",
        never.to_str().unwrap(),
    ]));
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let reason = |name| arm(&impact, name).reason.clone().unwrap();
    assert!(
        reason("missing").contains("/no/such/agent"),
        "{}",
        reason("missing")
    );
    assert!(
        reason("dies").contains("out of cheese"),
        "{}",
        reason("dies")
    );
    assert_eq!(arm(&impact, "stays").blocks, 2);
    assert_eq!(arm(&impact, "deaf").blocks, 2);
    let never = reason("never");
    assert!(never.contains("is not ready after 1 s"), "{never}");
    // It never calms down, or is measured; its words are kept in part.
    let loud = arm(&impact, "loud");
    let kept = loud.printed.as_ref().map_or(0, String::len);
    assert!(kept < 1 << 20, "{kept} bytes kept");
    assert!(
        loud.blocks == 2 || reason("loud").contains("not ready"),
        "{loud:?}"
    );
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

/// One may load no program.
#[test]
fn an_agent_that_lacks_rights_ends_its_own_arm() {
    let _alone = alone();
    if !can_run("opensnoop") || !nix::unistd::geteuid().is_root() {
        return;
    }
    let weak = "weak=setpriv --reuid=65534 --regid=65534 --clear-groups opensnoop";
    let (output, impact) = impact(&with_job(&["--agent", weak, "--agent", "b=sleep 1000000"]));
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let reason = arm(&impact, "weak").reason.clone().unwrap();
    assert!(reason.contains("ended by itself"), "{reason}");
    assert_eq!(arm(&impact, "b").blocks, 2);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

/// It pins a program, which outlives it: after that there is no `off`, nor is there for the
/// next program. Whether it became ready does not matter.
#[test]
fn an_agent_that_leaves_a_program_behind_ends_what_is_measured() {
    let _alone = alone();
    if !can_run("bpftool") || !nix::unistd::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pins.toml");
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/src/agent/bpf/spin.bpf.o");
    for (number, ready) in ["", "[ready]\nline = \"never\"\nwithin_s = 1\n"]
        .into_iter()
        .enumerate()
    {
        let pin = format!("/sys/fs/bpf/probecost-test-{}-{number}", std::process::id());
        let command = format!("bpftool prog load {object} {pin} && exec sleep 1000000");
        let text = format!("name = \"pins\"\ncommand = \"sh -c '{command}'\"\n{ready}");
        std::fs::write(&file, text).unwrap();
        let programs = ["--program", "grep,awk", "--megabytes", "1"];
        let agents = ["--agent", "b=sleep 1000000", "--agent-file"];
        let (output, impact) =
            impact(&[&programs[..], &agents, &[file.to_str().unwrap()]].concat());
        // Gone with the namespace of mounts, where that had a file system for pins of its own.
        let _ = std::fs::remove_file(&pin);
        let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
        let reason = arm(&impact, "pins").reason.clone().unwrap_or_default();
        let cause = match ready {
            "" => "left 1 eBPF programs",
            _ => "is not ready",
        };
        assert!(reason.contains(cause), "{reason}");
        for program in ["grep", "awk"] {
            let row = (impact.rows.iter()).find(|row| row.program == program && row.arm == "b");
            let row = row.unwrap();
            assert_eq!(row.verdict, Outcome::Broken, "{row:?}");
            let reason = row.reason.as_ref().unwrap();
            assert!(
                reason.contains("the agent pins left are still loaded"),
                "{reason}"
            );
        }
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

/// One that may not look does not say that there was nothing.
#[test]
fn who_may_not_list_programs_says_so() {
    let _alone = alone();
    if !can_run("setpriv") || !nix::unistd::geteuid().is_root() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let weak = "--bounding-set=-sys_admin,-bpf,-perfmon";
    let output = Command::new("setpriv")
        .args([weak, env!("CARGO_BIN_EXE_probecost"), "impact"])
        .args(["--format", "json", "--rounds", "1"])
        .args(["--out", out.path().to_str().unwrap()])
        .args(with_job(&["--agent", "a=sleep 1000000"]))
        .output()
        .unwrap();
    let impact: Option<Impact> = serde_json::from_slice(&output.stdout).ok();
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let reason = arm(&impact, "a").reason.clone().unwrap();
    assert!(reason.contains("may not list eBPF programs"), "{reason}");
}

/// Fixtures, and then the results, find no room.
#[test]
fn a_full_disk_is_named() {
    let _alone = alone();
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root mounts a small disk");
        return;
    }
    let small = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for (temporary, out, arguments) in [
        (
            &small,
            &elsewhere,
            &["--program", "grep,awk", "--megabytes", "10"][..],
        ),
        (&elsewhere, &small, &["--", "true"]),
    ] {
        let place = small.path().to_owned();
        let mount_small = move || -> std::io::Result<()> {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            let tmpfs = Some("tmpfs");
            mount(tmpfs, &place, tmpfs, MsFlags::empty(), Some("size=4k"))?;
            Ok(())
        };
        let mut full = command(out.path(), &["--rounds", "1", "--agent", "a=sleep 1000000"]);
        full.args(arguments).env("TMPDIR", temporary.path());
        // SAFETY: three system calls and no lock but the allocator's, which the C library
        // holds across a fork.
        let output = unsafe { full.pre_exec(mount_small) }.output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("No space left"), "{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
        // What was measured is printed all the same, and no part of a log for the whole.
        let impact: Impact = serde_json::from_slice(&output.stdout).unwrap();
        let measured = impact
            .rows
            .iter()
            .filter(|row| row.ratio.is_some() || row.off.is_some());
        assert_eq!(measured.count() > 0, arguments[0] == "--", "{said}");
    }
}

#[test]
fn mistakes_are_refused_before_anything_is_measured() {
    let begin = Instant::now();
    for (arguments, cause) in [
        (&["--agent", "opensnoop"][..], "NAME='COMMAND'"),
        (
            &["--agent", "a=x", "--agent", "a=y"],
            "two agents are called a",
        ),
        (
            &["--agent-file", "/no/such/file.toml"],
            "/no/such/file.toml",
        ),
        (&["--service", "sleep 5"], "--url"),
        (&["--arms", "event,event"], "--arms names something twice"),
        (&["--sweep", "ring,ring"], "--sweep names something twice"),
        (
            &["--program", "grep,grep"],
            "--program names something twice",
        ),
    ] {
        let (output, _) = impact(arguments);
        assert!(stderr(&output).contains(cause), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(2));
    }
    // Nothing was built or started.
    assert!(begin.elapsed() < Duration::from_secs(60));
}

fn start(out: &Path, arguments: &[&str]) -> Child {
    command(out, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A file of an agent that stays between blocks; its switch and its end each take a moment,
/// and write a word into `log`.
fn switched_agent(directory: &Path, log: &Path) -> PathBuf {
    let file = directory.join("kept.toml");
    let log = log.display();
    let says = |word: &str| format!("sh -c 'sleep 0.2; echo {word} >> {log}'");
    let text = format!(
        "name = \"kept\"\ncommand = \"sleep 1000000\"\n[stop]\ncommand = \"{}\"\n\
         [switch]\non = [\"{}\"]\noff = [\"{}\"]\n",
        says("stop"),
        says("on"),
        says("off"),
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn interrupt(child: &mut Child) -> Option<i32> {
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    kill(pid, Signal::SIGINT).unwrap();
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    child.wait().unwrap().code()
}

fn written(out: &Path) -> Impact {
    let written = std::fs::read(out.join("impact.json")).unwrap();
    serde_json::from_slice(&written).unwrap()
}

/// Processes whose command line holds `mark`.
fn processes(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(mark)
                && !String::from_utf8_lossy(&command).contains("impact")
        })
        .count()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_killed_takes_its_agents_along_and_the_next_start_cleans_up() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    // Its agent starts a child and a daemon, which no parent's death reaches. The lengths of
    // the sleeps mark the processes as those of this test.
    let mark = |n: u32| format!("{}{n}", 1_000_000 + std::process::id());
    let [daemon, stays, program, child] = [1, 2, 3, 4].map(mark);
    let agent = format!("a=sh -c 'setsid sleep {daemon} & sleep {child} & exec sleep {stays}'");
    let length = format!("0.7{program}");
    let mut first = start(
        out.path(),
        &[
            "--rounds", "1000", "--agent", &agent, "--", "sleep", &length,
        ],
    );
    wait_until("the program runs", || {
        [&program, &daemon, &child]
            .iter()
            .all(|mark| processes(mark) > 0)
    });
    first.kill().unwrap();
    first.wait().unwrap();
    wait_until("its children are gone", || {
        processes(&stays) + processes(&program) == 0
    });
    if nix::unistd::geteuid().is_root() && probecost::host::cgroup2_mount().is_ok() {
        wait_until("its children's children are gone", || {
            processes(&daemon) + processes(&child) == 0
        });
    } else {
        // Without a cgroup of its own nothing finds them: this test ends what it began.
        for left in [&daemon, &child] {
            let ended = Command::new("pkill")
                .args(["-f", &format!("^sleep {left}$")])
                .status();
            assert!(ended.is_ok());
        }
    }
    let (output, _) = impact(&["--agent", "b=sleep 1000", "--", "true"]);
    assert!(output.status.code().is_some());
    let temporary = std::env::temp_dir();
    let left = format!("-{}-", first.id());
    let names = std::fs::read_dir(temporary).unwrap().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert!(names.all(|name| !(name.starts_with("probecost-") && name.contains(&left))));
}

#[test]
fn ctrl_c_ends_all_and_keeps_what_was_measured() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let mut child = start(
        out.path(),
        &[
            "--rounds",
            "1000",
            "--agent",
            "a=sleep 881188",
            "--",
            "sleep",
            "0.05",
        ],
    );
    wait_until("the agent runs", || processes("881188") > 0);
    std::thread::sleep(Duration::from_secs(2));
    interrupt(&mut child);
    assert_eq!(processes("881188"), 0);
    let impact = written(out.path());
    let note = impact.programs[0].note.as_ref().unwrap();
    assert!(note.contains("interrupted"), "{note}");
}

/// As `nohup` starts it.
#[test]
fn a_hang_up_that_is_ignored_ends_nothing() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let log = out.path().join("log");
    let file = switched_agent(out.path(), &log);
    let file = file.to_str().unwrap();
    let times_on = || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        said.lines().filter(|line| *line == "on").count()
    };
    let arguments = ["--rounds", "1000", "--agent-file", file, "--", "true"];
    let mut child = command(out.path(), &arguments);
    child.stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec it only makes a system call.
    let mut child = unsafe {
        child.pre_exec(|| {
            signal(Signal::SIGHUP, SigHandler::SigIgn)?;
            Ok(())
        })
    }
    .spawn()
    .unwrap();
    wait_until("the agent is on", || times_on() > 0);
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    kill(pid, Signal::SIGHUP).unwrap();
    // One of them may have been under way.
    let before = times_on();
    wait_until("it goes on", || times_on() > before + 1);
    interrupt(&mut child);
}

/// What was never measured is no pass: a run without an agent that is cut off, and the
/// programs behind it.
#[test]
fn ctrl_c_leaves_no_program_without_rows() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let mut child = start(
        out.path(),
        &["--rounds", "1", "--arms", "stats", "--", "sleep", "771177"],
    );
    wait_until("the first run began", || processes("771177") > 0);
    assert_eq!(interrupt(&mut child), Some(2));
    let reason = written(out.path()).rows[0].reason.clone().unwrap();
    assert!(reason.contains("interrupted"), "{reason}");

    let arguments = ["--megabytes", "10", "--program", "grep,awk"];
    let agent = ["--rounds", "100000", "--agent", "a=sleep 661166"];
    let mut child = start(out.path(), &[arguments, agent].concat());
    wait_until("the agent runs", || processes("661166") > 0);
    assert_eq!(interrupt(&mut child), Some(2));
    let impact = written(out.path());
    let row = impact.rows.iter().find(|row| row.program == "awk").unwrap();
    assert_eq!((&*row.arm, row.verdict), ("a", Outcome::Broken));
    assert!(row.reason.as_ref().unwrap().contains("interrupted"));
}

#[test]
fn ctrl_c_lets_an_agent_end_by_its_own_command() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let log = out.path().join("log");
    let file = switched_agent(out.path(), &log);
    let file = file.to_str().unwrap();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let mut child = start(
        out.path(),
        &["--rounds", "1000", "--agent-file", file, "--", "sleep", "3"],
    );
    wait_until("the agent is on", || said().contains("on"));
    interrupt(&mut child);
    assert!(said().ends_with("off\nstop\n"), "{}", said());
}

/// It fails between its `on` and its `off`: what it set up would stay for all that comes next.
#[test]
fn an_agent_that_fails_while_it_is_on_is_switched_off() {
    let _alone = alone();
    for (was, is, cause) in [
        ("\"]\noff", "\", \"false\"]\noff", "cannot be told: false"),
        (
            "sleep 1000000",
            "sh -c 'until test -s LOG; do sleep 0.1; done'",
            "ended by itself",
        ),
    ] {
        let out = tempfile::tempdir().unwrap();
        let log = out.path().join("log");
        let file = switched_agent(out.path(), &log);
        let text = std::fs::read_to_string(&file).unwrap();
        let is = is.replace("LOG", &log.display().to_string());
        std::fs::write(&file, text.replace(was, &is)).unwrap();
        let file = ["--agent-file", file.to_str().unwrap()];
        let (output, impact) = impact(&[&file[..], &["--", "sleep", "1"]].concat());
        let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
        let reason = arm(&impact, "kept").reason.clone().unwrap_or_default();
        assert!(reason.contains(cause), "{reason}");
        let said = std::fs::read_to_string(&log).unwrap();
        assert_eq!(said, "on\noff\nstop\n", "{cause}");
    }
}

#[test]
fn commands_of_an_agent_run_where_it_does_and_know_the_program() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let says = |word: &str| format!("sh -c 'echo {word} {{pid}} >> log'");
    let text = format!(
        "name = \"kept\"\ncommand = \"sleep 1000000\"\ndirectory = \"{path}\"\n\
         [stop]\ncommand = \"{}\"\n[switch]\non = [\"{}\"]\noff = [\"{}\"]\n",
        says("stop"),
        says("on"),
        says("off"),
    );
    let file = directory.path().join("kept.toml");
    std::fs::write(&file, text).unwrap();
    let job = format!("echo job $$ >> {path}/log");
    let file = ["--agent-file", file.to_str().unwrap()];
    let (output, _) = impact(&[&file[..], &["--", "sh", "-c", &job]].concat());
    let said = std::fs::read_to_string(directory.path().join("log"));
    let said = said.unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    let lines: Vec<_> = said.lines().collect();
    let on = (0..lines.len()).filter(|&n| lines[n].starts_with("on "));
    let on: Vec<usize> = on.collect();
    for &n in &on {
        let pid = &lines[n][3..];
        let during = [format!("job {pid}"), format!("off {pid}")];
        assert_eq!(lines[n + 1..n + 3], during, "{said}");
    }
    let last = lines[*on.last().unwrap()].replace("on", "stop");
    assert_eq!(lines.last(), Some(&&*last), "{said}");
}

/// Measured or not: an agent that stays between blocks is ended as it wants to be.
#[test]
fn a_service_that_dies_lets_agents_end_by_their_own_command() {
    let _alone = alone();
    if !can_run("nginx") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let file = switched_agent(directory.path(), &log);
    let file = file.to_str().unwrap();
    let (service, url, _port) = own_service(directory.path(), 8);
    let arguments = ["--rounds", "200", "--service", &service, "--url", &url];
    // So little time makes short blocks.
    let output = command(directory.path(), &arguments)
        .args(["--minutes", "0.2", "--agent-file", file])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.ends_with("off\nstop\n"), "{said}");
    // What was measured until then is kept, and passes nothing.
    let impact = written(directory.path());
    let note = impact.programs[0].note.as_ref().unwrap();
    assert!(note.contains("timeout ended"), "{note}");
    let measured = arm(&impact, "kept").blocks;
    assert!(measured > 0, "{note}: {:?}", impact.arms);
    let mut rows = impact.rows.iter();
    assert!(rows.all(|row| row.verdict == Outcome::Broken && row.reason.is_some()));
}

/// An agent under which no request ends in its block has no latency, and no pass for it.
#[test]
fn a_measure_without_a_value_is_a_row() {
    let log = |arm: &Arm, values: &[(ImpactMeasure, f64)]| {
        let mut log = ArmLog::new(arm);
        log.blocks = (0..2)
            .map(|half| ProgramBlock {
                half,
                values: values.iter().copied().collect(),
                ..ProgramBlock::default()
            })
            .collect();
        log
    };
    let off = log(&Arm::Off, &[(ImpactMeasure::P95, 1.0)]);
    let mut measured = measured(&[ImpactMeasure::P50], [off, log(&Arm::Stats, &[])]);
    let limits = probecost::gate::Gate::here().unwrap().impact;
    let rows = rows(&measured, 2, &limits);
    let row = |measure| rows.iter().find(|row| row.measure == measure).unwrap();
    // P50 is in no block of either: the load fell behind in all of them.
    for row in [row(ImpactMeasure::P50), row(ImpactMeasure::P95)] {
        assert_eq!(row.verdict, Outcome::Inconclusive);
        let reason = row.reason.as_ref().unwrap();
        assert!(reason.starts_with("0 of the"), "{reason}");
        assert!(reason.contains("no two blocks"), "{reason}");
    }
    let reason = row(ImpactMeasure::CpuPoints).reason.as_ref().unwrap();
    assert!(reason.contains("counted by cgroup"), "{reason}");
    // Blocks that were left out would be so again, however long it takes.
    measured.arms[0].misled = 3;
    let rows = rows_of(&measured);
    let row = rows.iter().find(|row| row.measure == ImpactMeasure::P50);
    let reason = row.unwrap().reason.as_ref().unwrap();
    assert!(reason.contains("3 blocks are left out"), "{reason}");
    assert!(!reason.contains("--minutes"), "{reason}");
}

/// Where a block is left out, the one that ran beside it has no pair, and takes none from others.
#[test]
fn blocks_are_compared_with_those_beside_them() {
    let log = |arm: &Arm, blocks: &[(usize, usize, f64)]| {
        let mut log = ArmLog::new(arm);
        let block = |&(round, half, ms): &(usize, usize, f64)| ProgramBlock {
            round,
            half,
            values: [(ImpactMeasure::P50, ms)].into(),
            ..ProgramBlock::default()
        };
        log.blocks = blocks.iter().map(block).collect();
        log
    };
    let off = log(&Arm::Off, &[(0, 0, 1.0), (0, 1, 4.0), (1, 0, 9.0)]);
    let with = log(&Arm::Stats, &[(0, 1, 5.0), (1, 1, 7.0)]);
    let row = rows_of(&measured(&[], [off, with])).remove(0);
    assert_eq!((row.off, row.with), (Some(4.0), Some(5.0)), "{row:?}");
    assert_eq!(row.observations, 1);
}

/// It was judged only where it left the load its CPU: that is no pass, unless `off` did not
/// either. What fails there fails.
#[test]
fn latencies_of_an_arm_that_holds_the_load_up_pass_nothing() {
    let log = |arm: &Arm, ms: f64, misled: usize| {
        let mut log = ArmLog::new(arm);
        (log.rated, log.misled) = (100, misled);
        let values = [
            (ImpactMeasure::P50, ms),
            (ImpactMeasure::P95, ms),
            (ImpactMeasure::Throughput, 1000.0),
        ];
        let block = |round| ProgramBlock {
            round,
            values: values.into(),
            ..ProgramBlock::default()
        };
        log.blocks = (0..20).map(block).collect();
        log
    };
    for (ms, off, with, p95) in [
        (1.0, 0, 10, Outcome::Pass),
        (1.0, 0, 11, Outcome::Inconclusive),
        (1.0, 10, 20, Outcome::Inconclusive),
        (1.0, 11, 20, Outcome::Pass),
        (2.0, 0, 50, Outcome::Fail),
    ] {
        let arms = [log(&Arm::Off, 1.0, off), log(&Arm::Stats, ms, with)];
        let rows = rows_of(&measured(&[], arms));
        let row = |measure| rows.iter().find(|row| row.measure == measure).unwrap();
        let verdict = |measure| row(measure).verdict;
        let said = format!("{off} {with}: {rows:?}");
        assert_eq!(verdict(ImpactMeasure::P95), p95, "{said}");
        assert_eq!(verdict(ImpactMeasure::Throughput), Outcome::Pass, "{said}");
        if p95 == Outcome::Inconclusive {
            assert_eq!(verdict(ImpactMeasure::P50), p95, "{said}");
            let row = row(ImpactMeasure::P95);
            let reason = row.reason.as_deref().unwrap_or_default();
            let share = format!("{with} of 100 blocks");
            assert!(reason.contains(&share) && row.ratio.is_none(), "{reason}");
        }
    }
}

fn rows_of(measured: &ProgramMeasured) -> Vec<ImpactRow> {
    let limits = probecost::gate::Gate::here().unwrap().impact;
    rows(measured, 2, &limits)
}

/// Cut off in its first round, or ended: it is always said why.
#[test]
fn nothing_to_compare_has_a_reason() {
    let none = || [ArmLog::new(&Arm::Off), ArmLog::new(&Arm::Stats)];
    let obstacle = |why: &str| Some(Obstacle::new(why, "look"));
    let cut_off = measured(&[], none());
    let mut died = measured(&[], none());
    died.ended = obstacle("the server is gone");
    let mut arm_died = measured(&[], none());
    arm_died.arms[1].ended = obstacle("the agent is gone");
    for (measured, cause) in [
        (cut_off, "interrupted"),
        (died, "the server is gone"),
        (arm_died, "the agent is gone"),
    ] {
        let rows = rows_of(&measured);
        assert_eq!(rows[0].verdict, Outcome::Broken);
        let reason = rows[0].reason.as_deref().unwrap_or_default();
        assert!(reason.contains(cause), "{cause}: {reason}");
    }
}

/// An arm that ended has its own reason, and not that of too short a time: what it would have
/// cost afterwards nobody knows.
#[test]
fn an_arm_that_ended_is_broken_however_much_was_measured() {
    let block = |round| ProgramBlock {
        round,
        values: [(ImpactMeasure::Seconds, 1.0)].into(),
        tries: 1,
        ..ProgramBlock::default()
    };
    for rounds in [1, 20] {
        let log = |arm: &Arm| {
            let mut log = ArmLog::new(arm);
            log.blocks = (0..rounds).map(block).collect();
            log
        };
        let mut measured = measured(&[], [log(&Arm::Off), log(&Arm::Stats)]);
        measured.arms[1].ended = Some(Obstacle::new("the agent is gone", "look"));
        for row in rows_of(&measured) {
            assert_eq!(row.verdict, Outcome::Broken, "{row:?}");
            let reason = row.reason.as_ref().unwrap();
            assert!(reason.contains("the agent is gone"), "{reason}");
        }
    }
}

#[test]
fn the_negative_control_says_what_came_of_it() {
    let log = |arm: &Arm, seconds: f64| {
        let mut log = ArmLog::new(arm);
        let block = |round| ProgramBlock {
            round,
            seconds,
            values: [(ImpactMeasure::Seconds, seconds)].into(),
            ..ProgramBlock::default()
        };
        log.blocks = (0..20).map(block).collect();
        log
    };
    for (with, is_control, says) in [
        (1.0, true, Some("control holds")),
        (1.02, true, Some("control does not hold")),
        (1.02, false, None),
    ] {
        let mut measured = measured(&[], [log(&Arm::Off, 1.0), log(&Arm::Stats, with)]);
        measured.is_control = is_control;
        let row = rows_of(&measured).remove(0);
        let reason = row.reason.unwrap_or_default();
        assert_eq!(reason.is_empty(), says.is_none(), "{reason}");
        assert!(reason.contains(says.unwrap_or_default()), "{reason}");
    }
}

/// `merge` looks for the rows by these names.
#[test]
fn a_shard_names_its_rows_as_its_suite_does() {
    let _alone = alone();
    let url = "http://127.0.0.1:9/";
    for measured in [
        &["--", "true"][..],
        &["--", "/no/such/program"],
        &["--service", "/no/such/server --port 9", "--url", url],
    ] {
        let agents = ["--agent", "a=sleep 1000000", "--agent", "b=sleep 1000000"];
        let arguments = [&["--shard", "2/2"], &agents[..], measured].concat();
        let (output, impact) = impact(&arguments);
        let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
        let name = |row: &ImpactRow| format!("{}/{}", row.program, row.arm);
        let names: BTreeSet<String> = impact.rows.iter().map(name).collect();
        assert_eq!(names, impact.shard.unwrap().portion.own, "{measured:?}");
    }
}

/// More time would only give more of them.
#[test]
fn runs_that_all_fail_are_not_a_question_of_time() {
    let log = |arm: &Arm, failed: &[(&'static str, u64)]| {
        let mut log = ArmLog::new(arm);
        log.blocks = vec![ProgramBlock {
            values: [(ImpactMeasure::Seconds, 1.0)].into(),
            failed: failed.iter().copied().collect(),
            tries: 1,
            ..ProgramBlock::default()
        }];
        log
    };
    let (off, with) = (log(&Arm::Off, &[]), log(&Arm::Stats, &[("failed", 1)]));
    let rows = rows_of(&measured(&[ImpactMeasure::Seconds], [off, with]));
    let reason = rows[0].reason.as_ref().unwrap();
    assert!(reason.contains("a run failed; run it by hand"), "{reason}");
}

/// Under the agent every third run fails at once, and has used next to nothing.
#[test]
fn of_a_run_that_failed_nothing_is_compared_but_that() {
    let block = |round: usize, has_worked: bool| {
        let share = if has_worked { 1.0 } else { 0.01 };
        ProgramBlock {
            round,
            values: [
                (ImpactMeasure::Seconds, share),
                (ImpactMeasure::Switches, 100.0 * share),
            ]
            .into(),
            seconds: share,
            cpu: Some(share),
            agent_cpu: Some(0.1 * share),
            failed: (!has_worked).then_some(("failed", 1)).into_iter().collect(),
            tries: 1,
            ..ProgramBlock::default()
        }
    };
    let spec = Spec::parse("a=agent").unwrap();
    let mut arms = [&Arm::Off, &Arm::Agent(Box::new(spec))].map(ArmLog::new);
    arms[0].blocks = (0..60).map(|round| block(round, true)).collect();
    arms[1].blocks = (0..60).map(|round| block(round, round % 3 > 0)).collect();
    for row in rows_of(&measured(&[ImpactMeasure::Seconds], arms)) {
        let wanted = match row.measure {
            ImpactMeasure::Seconds | ImpactMeasure::Switches => 40,
            ImpactMeasure::CpuPoints | ImpactMeasure::AgentCpuPoints => 40,
            ImpactMeasure::Errors => 60,
            _ => continue,
        };
        assert_eq!(row.observations, wanted, "{row:?}");
        if row.measure == ImpactMeasure::Errors {
            assert_eq!(row.errors["failed"], [0, 20]);
        }
    }
}

#[test]
fn a_service_elsewhere_is_refused_with_what_can_be_done() {
    let measured = ["--service", "sleep 1000", "--url", "http://192.0.2.1/"];
    let arguments = [&["--agent", "a=sleep 1000"], &measured[..]].concat();
    let (output, impact) = impact(&arguments);
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let reason = impact.rows[0].reason.as_ref().unwrap();
    assert!(reason.contains("at 127.0.0.1"), "{reason}");
    assert!(!reason.contains("--remote"), "{reason}");
}

#[test]
fn what_was_not_measured_is_in_the_report_to_hand_on() {
    let (output, impact) = impact(&["--arms", "stats", "--", "/no/such/program"]);
    let mut impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let why = "lsm/file_open cannot be had".to_owned();
    impact
        .rows
        .push(ImpactRow::skipped("grep", "rules=inode", why));
    let text = markdown(&impact);
    for wanted in [
        "## Workload: program under stats\n\nNot measured: /no/such/program",
        "## Workload: grep under rules=inode\n\nSkipped: lsm/file_open",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}
