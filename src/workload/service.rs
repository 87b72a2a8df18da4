//! Services: real servers that we start on loopback, and what they are asked.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::{Group, User};

use super::program::{file_name, find};
use crate::host::Obstacle;
use crate::load::Endpoint;
use crate::process::{Child, Ward, WardPlace, interrupted};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of the page that nginx serves.
const PAGE: usize = 4096;

/// How large the tables of pgbench are: 100,000 accounts each.
const SCALE: usize = 10;

/// A server that runs.
pub struct Service {
    /// Its name in every row.
    pub name: String,
    /// Whom to ask.
    pub asked: Asked,
    place: WardPlace,
    child: Child,
}

/// How a server is put under load.
#[derive(Debug, Clone)]
pub enum Asked {
    /// By our own load.
    Over(Endpoint),
    /// By pgbench: its path, the directory of the server's socket, and who may ask.
    Pgbench {
        /// pgbench.
        program: PathBuf,
        /// Where the socket lies, and logs may.
        directory: PathBuf,
        /// The user and group, where we are root.
        user: Option<(u32, u32)>,
    },
}

impl Service {
    /// nginx with one worker, which opens a page and writes a line of its log for every
    /// request; to nowhere, since what a disk does meanwhile would hide everything else.
    pub fn nginx(ward: &Ward, cpus: &[usize]) -> Result<Self, Obstacle> {
        let nginx = find("nginx", "nginx")?;
        let address = free_address()?;
        let directory = ward.directory().join("nginx");
        let path = directory.display();
        // Its own directory in place of all that it would use elsewhere.
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {path}/{kind};\n"))
            .concat();
        let config = format!(
            "daemon off;\nworker_processes 1;\npid {path}/pid;\nerror_log {path}/error.log;\n\
             {}events {{ worker_connections 1024; }}\nhttp {{\n{temporary}  \
             access_log /dev/null;\n  keepalive_requests 1000000000;\n  \
             server {{ listen {address}; root {path}/pages; }}\n}}\n",
            nginx_user(),
        );
        let make = || -> std::io::Result<()> {
            let pages = directory.join("pages");
            let page = pages.join("index.html");
            fs::create_dir_all(&pages)?;
            fs::write(&page, vec![b'x'; PAGE])?;
            fs::write(directory.join("nginx.conf"), config)?;
            // Its worker reads them, whatever our umask.
            for (path, mode) in [(&directory, 0o755), (&pages, 0o755), (&page, 0o644)] {
                fs::set_permissions(path, Permissions::from_mode(mode))?;
            }
            Ok(())
        };
        make().map_err(super::no_fixture)?;
        let mut command = Command::new(nginx);
        command.arg("-c").arg(directory.join("nginx.conf"));
        command.arg("-e").arg(directory.join("error.log"));
        let target = format!("http://{address}/index.html").parse()?;
        Self::start("nginx", command, ward, cpus, Asked::Over(target))
    }

    /// Redis, which keeps nothing on disk.
    pub fn redis(ward: &Ward, cpus: &[usize]) -> Result<Self, Obstacle> {
        let redis = find("redis-server", "redis-server")?;
        let address = free_address()?;
        let directory = ward.directory().join("redis");
        fs::create_dir_all(&directory).map_err(super::no_fixture)?;
        let mut command = Command::new(redis);
        command
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&directory);
        Self::start(
            "redis",
            command,
            ward,
            cpus,
            Asked::Over(Endpoint::redis(address)),
        )
    }

    /// PostgreSQL on a socket, with pgbench's tables. Its log is not forced to disk: what a
    /// disk does meanwhile would hide everything else.
    pub fn postgres(ward: &Ward, cpus: &[usize]) -> Result<Self, Obstacle> {
        let (programs, user) = (postgres_programs()?, postgres_user()?);
        let directory = ward.directory().join("postgres");
        fs::create_dir_all(&directory).map_err(super::no_fixture)?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&directory, Some(uid), Some(gid))
                .map_err(super::no_fixture)?;
        }
        let data = directory.join("data");
        let place = ward.place("set-up");
        let command = |name: &str| as_user(Command::new(programs.join(name)), user, &directory);
        let mut initdb = command("initdb");
        initdb
            .args(["-A", "trust", "-N", "-U", "postgres", "-D"])
            .arg(&data);
        run(&place, initdb)?;
        let mut server = command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(&directory);
        for setting in ["listen_addresses=", "fsync=off", "full_page_writes=off"] {
            server.args(["-c", setting]);
        }
        let asked = Asked::Pgbench {
            program: programs.join("pgbench"),
            directory: directory.clone(),
            user,
        };
        let service = Self::start("postgres", server, ward, cpus, asked)?;
        let mut tables = command("pgbench");
        tables
            .args(["-i", "-q", "-s", &SCALE.to_string(), "-U", "postgres", "-h"])
            .arg(&directory)
            .arg("postgres");
        run(&place, tables)?;
        Ok(service)
    }

    /// A server of one's own.
    pub fn own(
        words: &[String],
        target: Endpoint,
        ward: &Ward,
        cpus: &[usize],
    ) -> Result<Self, Obstacle> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(Obstacle::new("no command", "write one behind --service"));
        };
        let target = target.must_be_local().map_err(|elsewhere| Obstacle {
            remedy: "have it listen at 127.0.0.1, and name that in --url".into(),
            ..elsewhere
        })?;
        if target.is_served() {
            return Err(Obstacle::new(
                format!("somebody listens at {} already", target.address()),
                "end that, or name another port",
            ));
        }
        let mut command = Command::new(find(program, program)?);
        command.args(arguments);
        let asked = Asked::Over(target);
        Self::start(file_name(program), command, ward, cpus, asked)
    }

    fn start(
        name: &str,
        command: Command,
        ward: &Ward,
        cpus: &[usize],
        asked: Asked,
    ) -> Result<Self, Obstacle> {
        let place = ward.place("program");
        let mut service = Self {
            name: name.into(),
            asked,
            child: place.start(command, cpus)?,
            place,
        };
        let begin = Instant::now();
        while !service.answers() {
            service.alive()?;
            if begin.elapsed() > PATIENCE || interrupted() {
                return Err(service.obstacle("does not answer"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(service)
    }

    fn answers(&self) -> bool {
        match &self.asked {
            Asked::Over(target) => target.is_served(),
            Asked::Pgbench { directory, .. } => {
                std::os::unix::net::UnixStream::connect(directory.join(".s.PGSQL.5432")).is_ok()
                    && self
                        .child
                        .output
                        .text()
                        .contains("ready to accept connections")
            }
        }
    }

    /// The process that we started.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.place.pids_of(&self.child)
    }

    /// CPU time of all its processes so far, in seconds.
    pub fn cpu_seconds(&self) -> Option<f64> {
        self.place.cpu_seconds()
    }

    /// Fails where it has ended.
    pub fn alive(&mut self) -> Result<(), Obstacle> {
        match self.child.status() {
            None => Ok(()),
            Some(status) => {
                self.child.output.settle(Duration::from_millis(100));
                Err(self.obstacle(&format!("ended ({status})")))
            }
        }
    }

    fn obstacle(&self, what: &str) -> Obstacle {
        let said = self.child.output.last_line().unwrap_or_default();
        Obstacle::new(
            format!("{} {what}: {said}", self.name),
            "start it by hand and see",
        )
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // All of it, and not only the process that we started.
        self.place.kill();
    }
}

/// A port of loopback that nobody listens at.
fn free_address() -> Result<SocketAddr, Obstacle> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Obstacle::new(format!("no port on loopback: {error}"), "bring up lo"))
}

/// Runs a command of the set-up to its end.
fn run(place: &WardPlace, command: Command) -> Result<(), Obstacle> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = place.start(command, &[])?;
    match child.wait(Duration::from_secs(120)) {
        Some(status) if status.success() => Ok(()),
        _ => {
            child.output.settle(Duration::from_millis(100));
            let said = child.output.last_line().unwrap_or_default();
            Err(Obstacle::new(
                format!("{name} fails: {said}"),
                "run it by hand and see",
            ))
        }
    }
}

/// The directory of PostgreSQL's programs, the newest version's.
fn postgres_programs() -> Result<PathBuf, Obstacle> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut programs: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("initdb")
                .is_file()
                .then_some((version, programs))
        })
        .collect();
    programs.sort();
    match programs.pop() {
        Some((_, programs)) => Ok(programs),
        None => {
            let initdb = find("initdb", "postgresql")?;
            Ok(initdb.parent().unwrap_or(Path::new("/")).to_owned())
        }
    }
}

/// The line of its configuration that says whom nginx's worker runs as: nobody, in the group
/// that he has here. Where we are not root, or there is no nobody, that is nginx's affair.
fn nginx_user() -> String {
    let nobody = User::from_name("nobody").ok().flatten();
    let nobody = nobody.filter(|_| nix::unistd::geteuid().is_root());
    let group = nobody.and_then(|user| Group::from_gid(user.gid).ok().flatten());
    group.map_or(String::new(), |group| {
        format!("user nobody {};\n", group.name)
    })
}

/// Whom PostgreSQL, which refuses to be root, runs as; none where we are not root either.
fn postgres_user() -> Result<Option<(u32, u32)>, Obstacle> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let user = ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten());
    let user = user.ok_or_else(|| {
        Obstacle::new(
            "there is no user postgres",
            "install it: apt-get install postgresql",
        )
    })?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}

/// The command as that user, in a directory that he may enter.
pub fn as_user(mut command: Command, user: Option<(u32, u32)>, directory: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    command.current_dir(directory);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}
