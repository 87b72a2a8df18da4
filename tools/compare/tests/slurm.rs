//! `tools/fleet/slurm.sbatch` by a real Slurm: one node on this machine, made for the test.

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Place, executable, program, statuses};

/// The longest that anything of it may take.
const PATIENCE: Duration = Duration::from_secs(300);

const IDS: &str = "a b c d e f g h";

const SIDES: [&str; 4] = ["--bin-base", "old", "--bin-head", "new"];

/// Slurm's daemons, ended with the test.
struct Slurm<'a> {
    place: &'a Place,
    /// What is theirs.
    directory: PathBuf,
    configuration: PathBuf,
}

impl<'a> Slurm<'a> {
    /// A cluster of this machine alone; none where that cannot be, and why.
    fn start(place: &'a Place) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("slurmd wants root".into());
        }
        for program in ["munged", "slurmctld", "slurmd", "sbatch"] {
            let found = Command::new("which").arg(program).output().unwrap();
            if !found.status.success() {
                return Err(format!("no {program}: apt-get install slurm-wlm munge"));
            }
        }
        // Somebody may take a port between our look and theirs.
        for attempt in 1..=3 {
            let slurm = Self::configured(place, place.path(&format!("slurm-{attempt}")));
            if slurm.comes_up() {
                return Ok(slurm);
            }
        }
        let log = fs::read_to_string(place.path("slurm-3/slurmd.log"));
        panic!("the node was never idle: {}", log.unwrap_or_default());
    }

    /// A cluster that is not yet started.
    fn configured(place: &'a Place, directory: PathBuf) -> Self {
        let name = rustix::system::uname()
            .nodename()
            .to_str()
            .unwrap()
            .to_owned();
        for part in ["state", "spool"] {
            fs::create_dir_all(directory.join(part)).unwrap();
        }
        let at = |file: &str| directory.join(file).display().to_string();
        // Both are free as long as nobody takes them meanwhile.
        let [control, node] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let cpus = thread::available_parallelism().unwrap();
        let text = format!(
            "ClusterName=test\nSlurmctldHost={name}(127.0.0.1)\nSlurmUser=root\n\
             AuthType=auth/munge\nAuthInfo=socket={}\nCredType=cred/munge\n\
             SlurmctldPort={}\nSlurmdPort={}\nStateSaveLocation={}\nSlurmdSpoolDir={}\n\
             SlurmctldPidFile={}\nSlurmdPidFile={}\nSlurmctldLogFile={}\nSlurmdLogFile={}\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nMpiDefault=none\n\
             ReturnToService=2\nKillWait=2\nSchedulerParameters=sched_interval=1,sched_min_interval=0\n\
             NodeName={name} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN\n\
             PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE\n",
            at("munge.socket"),
            port(&control),
            port(&node),
            at("state"),
            at("spool"),
            at("slurmctld.pid"),
            at("slurmd.pid"),
            at("slurmctld.log"),
            at("slurmd.log"),
        );
        drop((control, node));
        let configuration = directory.join("slurm.conf");
        fs::write(&configuration, text).unwrap();
        // Nothing here is by cgroups; left to find out which there are, slurmd refuses both
        // kinds at once, as a container has them.
        fs::write(directory.join("cgroup.conf"), "CgroupPlugin=cgroup/v1\n").unwrap();
        let key = directory.join("munge.key");
        fs::write(&key, [7; 128]).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&key, private).unwrap();
        Self {
            place,
            directory,
            configuration,
        }
    }

    /// Starts the daemons; whether they have a node to give before long.
    fn comes_up(&self) -> bool {
        let at = |file: &str| self.directory.join(file).display().to_string();
        let munged = [
            "--force".to_owned(),
            format!("--socket={}", at("munge.socket")),
            format!("--key-file={}", at("munge.key")),
            format!("--pid-file={}", at("munged.pid")),
            format!("--log-file={}", at("munged.log")),
            format!("--seed-file={}", at("munged.seed")),
        ];
        self.does("munged", &munged.each_ref().map(String::as_str));
        let said = |program: &str, arguments: &[&str]| {
            let output = self.command(program, arguments).output().unwrap();
            output.status.success().then_some(output.stdout)
        };
        if said("slurmctld", &["-c"]).is_none() || said("slurmd", &["-c"]).is_none() {
            return false;
        }
        let idle = || said("sinfo", &["--noheader", "--format=%T"]) == Some(b"idle\n".to_vec());
        let started = Instant::now();
        while !idle() {
            if started.elapsed() > PATIENCE / 3 {
                return false;
            }
            thread::sleep(Duration::from_millis(100));
        }
        true
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.place.path("."))
            .env("SLURM_CONF", &self.configuration)
            .env("COMPARE", env!("CARGO_BIN_EXE_cargo-compare"))
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn does(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program, arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Submits the template, and gives the job's number.
    #[track_caller]
    fn submit(&self, options: &[&str], directory: &str, duet: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fleet/slurm.sbatch");
        let script = [script.to_str().unwrap(), directory];
        let words = [&["--parsable"], options, &script, duet].concat();
        self.does("sbatch", &words).trim().to_owned()
    }

    /// An array of four, and the merge behind it.
    fn array(&self, directory: &str) -> [String; 2] {
        let array = self.submit(&["--array=1-4"], directory, &SIDES);
        let merge = self.submit(&[&after(&array)], directory, &[]);
        [array, merge]
    }

    /// What a job ends with.
    #[track_caller]
    fn exit(&self, job: &str) -> String {
        let said = || self.does("scontrol", &["--oneliner", "show", "job", job]);
        let ended = |said: &str| {
            let states = ["PENDING", "RUNNING", "COMPLETING"];
            !states
                .iter()
                .any(|s| said.contains(&format!("JobState={s}")))
        };
        self.until("the job ends", || ended(&said()));
        let said = said();
        let code = said.split("ExitCode=").nth(1).unwrap();
        code.split(':').next().unwrap().to_owned()
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Slurm<'_> {
    fn drop(&mut self) {
        for daemon in ["slurmd", "slurmctld", "munged"] {
            let file = self.directory.join(format!("{daemon}.pid"));
            let Ok(id) = fs::read_to_string(&file) else {
                continue;
            };
            let _ = Command::new("kill").arg(id.trim()).status();
            let gone = || !Path::new("/proc").join(id.trim()).exists();
            let started = Instant::now();
            while !gone() && started.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn after(job: &str) -> String {
    format!("--dependency=afterany:{job}")
}

#[test]
fn an_array_of_four_and_its_merge_come_to_what_one_process_comes_to() {
    let place = Place::new();
    let slurm = match Slurm::start(&place) {
        Ok(slurm) => slurm,
        Err(why) => {
            assert!(
                std::env::var_os("PROBECOST_REQUIRE_AGENT").is_none(),
                "{why}"
            );
            eprintln!("skipped: {why}");
            return;
        }
    };
    let held = "[[ -e hold && ${SLURM_ARRAY_TASK_ID:-} == 2 ]] && { touch held; sleep 100; }";
    executable(&place, "old", IDS, held);
    executable(&place, "new", IDS, "[[ $id == c ]] && ns=1100");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(place.path(name)).unwrap()).unwrap()
    };
    let one = ["duet", "--format", "json", "--out", "one.json"];
    place.compare(&[&one, &SIDES[..]].concat()).exits(1);

    // Tasks that build have a target directory of their own, which goes with them.
    let compare = place.path("compare");
    let notes = "#!/bin/sh\necho ${CARGO_TARGET_DIR:-none} >>targets\n";
    program(&compare, notes);
    let export = format!("--export=ALL,COMPARE={}", compare.display());
    let array = slurm.submit(&["--array=1-2", &export], "built", &["--base", "main"]);
    let merge = slurm.submit(&[&after(&array), &export], "built", &[]);
    assert_eq!(slurm.exit(&merge), "0");
    let said = fs::read_to_string(place.path("targets")).unwrap();
    let targets: Vec<&str> = said.lines().collect();
    let [one, other, "none"] = targets[..] else {
        panic!("{said}");
    };
    assert!(
        one != other
            && [one, other]
                .iter()
                .all(|target| !Path::new(target).exists())
    );

    let [_, merge] = slurm.array("whole");
    assert_eq!(slurm.exit(&merge), "1");
    let verdict = read("whole/verdict.json");
    assert_eq!(statuses(&verdict), statuses(&read("one.json")));
    assert_eq!(verdict["merged"].as_array().unwrap().len(), 4);

    // The node of one task is taken away.
    fs::write(place.path("hold"), "").unwrap();
    let [array, merge] = slurm.array("torn");
    slurm.until("the second task runs", || place.path("held").exists());
    slurm.does("scancel", &[&format!("{array}_2")]);
    assert_eq!(slurm.exit(&merge), "2");
    let verdict = read("torn/verdict.json");
    let lost = read("whole/2.json")["shard"]["own"].clone();
    let missing: Vec<Value> = (statuses(&verdict).into_iter())
        .filter(|(_, status)| status == "missing")
        .map(|(id, _)| id.into())
        .collect();
    assert_eq!(Value::from(missing), lost);
    let notes = verdict["notes"].to_string();
    assert!(notes.contains("shard 2/4 left nothing"), "{notes}");

    // Once more, that task alone.
    fs::remove_file(place.path("hold")).unwrap();
    let again = ["--array=2", "--export=ALL,SHARDS=4"];
    let again = slurm.submit(&again, "torn", &SIDES);
    assert_eq!(slurm.exit(&again), "0");
    place.compare(&["merge", "torn"]).exits(1);
}
