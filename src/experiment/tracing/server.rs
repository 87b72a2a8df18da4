//! The server that is traced: a process of its own.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;

use crate::host::Obstacle;
use crate::load::Endpoint;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

const NGINX: &str = "\
worker_processes 1;
daemon off;
error_log stderr crit;
pid DIRECTORY/pid;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path DIRECTORY;
    proxy_temp_path DIRECTORY;
    fastcgi_temp_path DIRECTORY;
    uwsgi_temp_path DIRECTORY;
    scgi_temp_path DIRECTORY;
    server {
        listen 127.0.0.1:PORT;
        location / { return 200 'hello'; }
    }
}
";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Served {
    /// Our own, of one thread a connection
    Own,
    /// nginx with one worker
    Nginx,
}

/// A server that listens, and a process that does nothing. Both end when dropped.
#[derive(Debug)]
pub(super) struct TracedServer {
    name: &'static str,
    process: Child,
    idle: Child,
    target: Endpoint,
    _directory: Option<TempDir>,
}

impl Served {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Nginx => "nginx",
        }
    }

    pub(super) fn start(self, cpu: Option<usize>) -> Result<TracedServer, Obstacle> {
        match self {
            Self::Own => own(self.name(), cpu),
            Self::Nginx => nginx(self.name(), cpu),
        }
    }
}

impl TracedServer {
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.process.try_wait().ok()??;
        Some(format!("{} has ended by itself ({status})", self.name))
    }

    /// Of a process that serves nobody.
    pub(super) fn other_pid(&self) -> u32 {
        self.idle.id()
    }

    pub(super) fn target(&self) -> Endpoint {
        self.target.clone()
    }
}

impl Drop for TracedServer {
    fn drop(&mut self) {
        // nginx ends its worker when it is asked to, not when it is killed.
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.idle.kill();
        let _ = self.process.wait();
        let _ = self.idle.wait();
    }
}

fn own(name: &'static str, cpu: Option<usize>) -> Result<TracedServer, Obstacle> {
    let unstarted = |error: &std::io::Error| {
        Obstacle::new(
            format!("our own server does not start: {error}"),
            "try it by itself: probecost load --serve 0",
        )
    };
    let program = std::env::current_exe().map_err(|e| unstarted(&e))?;
    let mut command = Command::new(program);
    command
        .args(["load", "--serve", "0"])
        .stdout(Stdio::piped());
    let mut process = spawn(&mut command, cpu).map_err(|e| unstarted(&e))?;
    let mut url = String::new();
    if let Some(stdout) = process.stdout.take() {
        let read = BufReader::new(stdout).read_line(&mut url);
        read.map_err(|e| unstarted(&e))?;
    }
    let target = format!("{}{{id}}", url.trim()).parse()?;
    finish(name, process, target, None)
}

fn nginx(name: &'static str, cpu: Option<usize>) -> Result<TracedServer, Obstacle> {
    let unstarted = |why: String| {
        Obstacle::new(
            format!("nginx does not start: {why}"),
            "install it: apt-get install nginx-light",
        )
    };
    let directory = tempfile::tempdir().map_err(|e| unstarted(e.to_string()))?;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.map_err(|e| unstarted(e.to_string()))?;
    let place = directory.path();
    let settings = NGINX
        .replace("DIRECTORY", &place.display().to_string())
        .replace("PORT", &address.port().to_string());
    let file = place.join("nginx.conf");
    std::fs::write(&file, settings).map_err(|e| unstarted(e.to_string()))?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).stderr(Stdio::null());
    let mut process = spawn(&mut command, cpu).map_err(|e| unstarted(e.to_string()))?;
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        let has_ended = process.try_wait().ok().flatten();
        if has_ended.is_some() || begin.elapsed() > PATIENCE {
            let _ = process.kill();
            let _ = process.wait();
            return Err(unstarted(format!("it does not listen on {address}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let target = format!("http://{address}/{{id}}").parse()?;
    finish(name, process, target, Some(directory))
}

fn finish(
    name: &'static str,
    mut process: Child,
    target: Endpoint,
    directory: Option<TempDir>,
) -> Result<TracedServer, Obstacle> {
    match spawn(Command::new("sleep").arg("infinity"), None) {
        Ok(idle) => Ok(TracedServer {
            name,
            process,
            idle,
            target,
            _directory: directory,
        }),
        Err(error) => {
            let _ = process.kill();
            let _ = process.wait();
            Err(Obstacle::new(
                format!("sleep cannot be started: {error}"),
                "install coreutils",
            ))
        }
    }
}

/// Starts a process that ends with this one, and does not hear the Ctrl-C that is meant for
/// this one.
fn spawn(command: &mut Command, cpu: Option<usize>) -> std::io::Result<Child> {
    use std::os::unix::process::CommandExt;

    let set = cpu.filter(|&cpu| cpu < CpuSet::MAX_CPU).map(|cpu| {
        let mut set = CpuSet::new();
        set.set(cpu);
        set
    });
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        set.map_or(Ok(()), |set| sched_setaffinity(None, &set))?;
        Ok(())
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.process_group(0).pre_exec(prepare) };
    command.spawn()
}
