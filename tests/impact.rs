//! `probecost impact`, through its executable, with real agents.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use probecost::schema::Outcome;
use probecost::schema::impact::{ArmReport, Impact, Proof};

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
    let out = tempfile::tempdir().unwrap();
    let output = command(out.path(), &[&["--rounds", "1"], arguments].concat())
        .output()
        .unwrap();
    let impact: Option<Impact> = serde_json::from_slice(&output.stdout).ok();
    if let Some(impact) = &impact {
        let written = std::fs::read(out.path().join("impact.json")).unwrap();
        assert_eq!(&serde_json::from_slice::<Impact>(&written).unwrap(), impact);
    }
    (output, impact)
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
    let (output, impact) = impact(&with_job(&["--arms", "hook,event,elsewhere,stalled,stats"]));
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    for name in ["hook", "event", "elsewhere", "stalled"] {
        let arm = arm(&impact, name);
        assert!(arm.proof == Proof::Bpf && arm.proven, "{arm:?}");
    }
    assert!(arm(&impact, "stats").proven);
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

#[test]
fn a_null_agent_is_not_proven_and_passes_nothing() {
    let _alone = alone();
    let (output, impact) = impact(&with_job(&["--agent", "nothing=sleep 1000000"]));
    let impact = impact.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let arm = arm(&impact, "nothing");
    assert!(!arm.proven && arm.proof == Proof::None, "{arm:?}");
    assert!(
        arm.reason.as_ref().unwrap().contains("not proven"),
        "{arm:?}"
    );
    assert!(impact.rows.iter().all(|row| row.verdict != Outcome::Pass));
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}

#[test]
fn an_agent_that_cannot_run_ends_its_own_arm_alone() {
    let _alone = alone();
    let (output, impact) = impact(&with_job(&[
        "--agent",
        "missing=/no/such/agent",
        "--agent",
        "dies=sh -c 'echo out of cheese; exit 3'",
        "--agent",
        "stays=sleep 1000000",
        "--agent",
        "deaf=sh -c 'trap \"\" INT TERM; while :; do sleep 0.01; done'",
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
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
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
    // Its agent starts a daemon, which no parent's death reaches. The lengths of the
    // sleeps mark the processes as those of this test.
    let mark = |n: u32| format!("{}{n}", 1_000_000 + std::process::id());
    let [daemon, stays, program] = [1, 2, 3].map(mark);
    let agent = format!("a=sh -c 'setsid sleep {daemon} & exec sleep {stays}'");
    let length = format!("0.7{program}");
    let mut first = start(
        out.path(),
        &[
            "--rounds", "1000", "--agent", &agent, "--", "sleep", &length,
        ],
    );
    wait_until("the program runs", || {
        processes(&program) > 0 && processes(&daemon) > 0
    });
    first.kill().unwrap();
    first.wait().unwrap();
    wait_until("its children are gone", || {
        processes(&stays) + processes(&program) == 0
    });
    let (output, _) = impact(&["--agent", "b=sleep 1000", "--", "true"]);
    assert!(output.status.code().is_some());
    if nix::unistd::geteuid().is_root() && probecost::host::cgroup2_mount().is_ok() {
        wait_until("its daemon is gone", || processes(&daemon) == 0);
    } else {
        // Without a cgroup of its own nothing finds it: this test ends what it began.
        let ended = Command::new("pkill")
            .args(["-f", &format!("^sleep {daemon}$")])
            .status();
        assert!(ended.is_ok());
    }
    let temporary = std::env::temp_dir();
    let left = format!("probecost-{}-", first.id());
    let names = std::fs::read_dir(temporary).unwrap().flatten();
    assert!(
        names
            .map(|n| n.file_name())
            .all(|n| !n.to_string_lossy().starts_with(&left))
    );
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
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(processes("881188"), 0);
    let written = std::fs::read(out.path().join("impact.json")).unwrap();
    let impact: Impact = serde_json::from_slice(&written).unwrap();
    let note = impact.programs[0].note.as_ref().unwrap();
    assert!(note.contains("interrupted"), "{note}");
}
