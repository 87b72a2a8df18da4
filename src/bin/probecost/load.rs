//! `probecost load`: requests at a rate.

use std::error::Error;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use probecost::host::{Obstacle, allowed_cpus};
use probecost::load::{
    Behaviour, Endpoint, LoadPlan, Regime, Scenario, Server, Stall, ladder, whole,
};
use probecost::monitor::{Monitor, MonitoredCommand, watch};
use probecost::process::watch_signals;
use probecost::report;
use probecost::results::Results;
use probecost::schema::Exit;
use probecost::schema::load::Load;
use probecost::schema::monitor::MonitorReport;

use probecost::report::Format;

/// How long each step of a ladder is held where nothing else is said.
const STEP_SECONDS: f64 = 3.0;

/// `probecost load`
#[derive(Args)]
pub struct LoadArgs {
    /// A load that has a name
    #[arg(long, value_enum, conflicts_with_all = ["rate", "connections", "seconds"])]
    scenario: Option<Scenario>,
    /// Requests a second, each sent when it is due whatever became of those before
    #[arg(long, value_parser = rate, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Connections, used in turn
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// For how long; of each step with --ladder
    #[arg(long, value_parser = seconds, allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Ask again on each connection as soon as it is answered: for throughput, not latency
    #[arg(long, conflicts_with_all = ["rate", "scenario", "ladder"])]
    saturation: bool,
    /// Let the rate climb in steps, to find the one up to which the server keeps up
    #[arg(long, conflicts_with_all = ["rate", "scenario"])]
    ladder: bool,
    /// The server; {id} in its path stands for the number of a request. Without it one of
    /// our own answers, on loopback
    #[arg(long)]
    url: Option<String>,
    /// The server's process: what it and its children take meanwhile is left as well
    #[arg(long, requires = "url", conflicts_with = "remote", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
    /// Let the server be on another machine
    #[arg(long, requires = "url")]
    remote: bool,
    /// How long after its intended start a request without an answer is given up, in
    /// milliseconds
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout_ms: u64,
    /// Have our own server stand still for so long in each second
    #[arg(long, default_value_t = 0, conflicts_with = "url", value_parser = clap::value_parser!(u64).range(0..1000))]
    stall_ms: u64,
    /// Only serve on this port of loopback (0: any), until killed
    #[arg(long, value_name = "PORT", conflicts_with_all = ["url", "scenario", "rate", "ladder", "saturation"])]
    serve: Option<u16>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where each run leaves a directory of its own with load.json
    #[arg(long, default_value = "target/load")]
    out: PathBuf,
}

/// Makes the load, and prints what came of it.
///
/// # Errors
/// Nobody answers, or this machine cannot make the load.
pub fn run(args: &LoadArgs) -> Result<Exit, Box<dyn Error>> {
    let cpus = allowed_cpus();
    let (first, last) = (cpus.first().copied(), cpus.last().copied());
    let behaviour = Behaviour {
        stall: (args.stall_ms > 0).then(|| Stall {
            every: Duration::from_secs(1),
            lasting: Duration::from_millis(args.stall_ms),
        }),
        ..Behaviour::default()
    };
    if let Some(port) = args.serve {
        let server = Server::listen((Ipv4Addr::LOCALHOST, port).into(), behaviour, first)?;
        // Whoever started it may be gone.
        let _ = writeln!(std::io::stdout(), "http://{}/", server.address());
        loop {
            thread::park();
        }
    }
    watch_signals()?;
    let (server, target) = match &args.url {
        Some(url) => {
            let target: Endpoint = url.parse()?;
            let allowed = if args.remote {
                target
            } else {
                target.must_be_local()?
            };
            (None, allowed)
        }
        None => {
            let server = Server::start(behaviour, first)?;
            let target = server.target();
            (Some(server), target)
        }
    };
    if let Some(pid) = args.pid {
        // Before the load, not after it.
        Monitor::of(pid)?;
    }
    let results = Results::create(&args.out)?;
    let (plan, length) = args.plan(target, last);
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {elapsed}, {eta} left").expect("a valid template"),
    );
    let progress = |share: f64| bar.set_position((1000.0 * share) as u64);
    let make = || match args.ladder {
        true => ladder::climb(&plan, length, progress),
        false => whole(&plan, length, progress).map(|whole| whole.report()),
    };
    let (load, watched) = watching(args.pid, &results, make);
    bar.finish_and_clear();
    drop(server);
    let load = load?;
    results.write_json("load.json", &load)?;
    let watched = watched?;
    if let Some(watched) = &watched {
        super::monitor::keep(watched, &results)?;
    }
    args.format.print(&load, |load| {
        let watched = watched.as_ref().map(report::monitor::render);
        let parts = [
            Some(report::load::render(load)),
            watched,
            Some(format!("{results}\n")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
    });
    Ok(Exit::of([load.outcome]))
}

/// Makes the load while this process, where there is one, is watched.
fn watching(
    pid: Option<u32>,
    results: &Results,
    make: impl FnOnce() -> Result<Load, Obstacle>,
) -> (
    Result<Load, Obstacle>,
    Result<Option<MonitorReport>, Obstacle>,
) {
    let is_over = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let watcher = pid.map(|pid| {
            let is_over = &is_over;
            scope.spawn(move || watch(&MonitoredCommand::Pid(pid), results, is_over))
        });
        let load = make();
        is_over.store(true, Ordering::Relaxed);
        let watched = watcher.map(|watcher| watcher.join().expect("watching does not panic"));
        (load, watched.transpose())
    })
}

impl LoadArgs {
    /// The load that they ask for, and its length.
    fn plan(&self, target: Endpoint, cpu: Option<usize>) -> (LoadPlan, Duration) {
        let named = self.scenario.unwrap_or(Scenario::Light);
        let regime = match (self.saturation, self.rate) {
            (true, _) => Regime::Saturation,
            (false, rate) => Regime::Rate(rate.unwrap_or(named.rate())),
        };
        let connections = match self.scenario {
            Some(scenario) => scenario.connections(),
            None => usize::from(self.connections),
        };
        let length = match (self.seconds, self.ladder) {
            (Some(seconds), _) => Duration::from_secs_f64(seconds),
            (None, true) => Duration::from_secs_f64(STEP_SECONDS),
            (None, false) => named.duration(),
        };
        let plan = LoadPlan {
            timeout: Duration::from_millis(self.timeout_ms),
            cpu,
            ..LoadPlan::new(target, regime, connections)
        };
        (plan, length)
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=1e6).contains(&rate) => Ok(rate),
        _ => Err("a number of requests a second from 0.1 to 1e6 is wanted".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.1 to 86400 is wanted".into()),
    }
}
