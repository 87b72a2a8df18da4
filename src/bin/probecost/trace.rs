//! HTTP requests of a process or a command, as lines of JSON.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use probecost::agent::Options;
use probecost::file::unwritable;
use probecost::host::Obstacle;
use probecost::load::Endpoint;
use probecost::pipeline::http::{Export, SpanLines, Tracer, TracerCounts};
use probecost::process::{ProcessEnd, interrupted, watch_signals};
use probecost::schema::Exit;
use rustix::process::{Pid, Signal, kill_process};

/// Spans that may wait to be written.
const QUEUE: usize = 1 << 16;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a command may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);

/// `probecost trace`
#[derive(Args)]
pub struct TraceArgs {
    /// Watch this process and all that descends from it
    #[arg(long, value_name = "PID", conflicts_with_all = ["cgroup", "command"])]
    pid: Option<u32>,
    /// Watch the processes of this cgroup (v2)
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    cgroup: Option<PathBuf>,
    /// How long; without, until the command ends or an interrupt
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Where the spans go; without, to standard output, and what the command prints to
    /// standard error
    #[arg(long, value_name = "FILE", conflicts_with = "otlp")]
    out: Option<PathBuf>,
    /// Send the spans to this OpenTelemetry collector, by HTTP, e.g.
    /// http://127.0.0.1:4318/v1/traces
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Let the collector be on another machine
    #[arg(long, requires = "otlp")]
    remote: bool,
    /// The command
    #[arg(last = true, required_unless_present_any = ["pid", "cgroup"])]
    command: Vec<String>,
}

/// Traces until there is nothing more to trace.
///
/// # Errors
/// Nothing can be hooked here, or the command cannot be started.
pub fn run(args: &TraceArgs) -> Result<Exit, Box<dyn Error>> {
    let export = export(args)?;
    watch_signals()?;
    let process = args.pid.map(ProcessEnd::of).transpose()?;
    let mut tracer = Tracer::start(&Options::default(), export.queue())?;
    // First: what is started while the others are looked for is followed by its hooks.
    tracer.attach()?;
    if let Some(pid) = args.pid {
        tracer.watch(pid)?;
    }
    if let Some(cgroup) = &args.cgroup {
        tracer.watch_cgroup(cgroup)?;
    }
    let mut child = match args.command.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments);
            tracer.enlist(&mut command);
            let failed = |error: std::io::Error| {
                Obstacle::new(
                    format!("{program} cannot be started: {error}"),
                    "name a program as the shell would find it",
                )
            };
            if args.out.is_none() && args.otlp.is_none() {
                // Standard output is the spans'.
                let output = std::io::stderr().as_fd().try_clone_to_owned();
                command.stdout(Stdio::from(output.map_err(failed)?));
            }
            let spawned = command.spawn().map_err(failed)?;
            Some(Traced(spawned))
        }
        None => None,
    };
    let start = Instant::now();
    loop {
        let over = args
            .seconds
            .is_some_and(|seconds| start.elapsed() >= Duration::from_secs(seconds));
        let ended = match &mut child {
            Some(child) => child.has_ended(),
            None => process.as_ref().is_some_and(ProcessEnd::has_come),
        };
        if over || ended || interrupted() {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let counts = tracer.finish()?;
    drop(child);
    let exported = export.finish();
    eprint!("{}", summary(&counts));
    let lost = exported.queue_full + exported.unwritable;
    if lost > 0 {
        eprintln!(
            "lost: {} spans for want of room in the queue, {} that nobody took",
            exported.queue_full, exported.unwritable
        );
    }
    Ok(if lost > 0 || counts.traffic.failed > 0 {
        Exit::Failed
    } else {
        Exit::Passed
    })
}

/// A command that is traced; ended when dropped.
struct Traced(Child);

impl Traced {
    fn has_ended(&mut self) -> bool {
        // It was started, and nobody else waits for it.
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Traced {
    /// Asked to end, it ends what it has started itself; killed, it cannot.
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let begin = Instant::now();
        while !self.has_ended() && begin.elapsed() < GRACE {
            std::thread::sleep(LOOK_EVERY);
        }
        // Both fail only where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn export(args: &TraceArgs) -> Result<Export, Obstacle> {
    match (&args.otlp, &args.out) {
        (Some(url), _) => {
            let collector = url.parse::<Endpoint>().map_err(|obstacle| {
                Obstacle::new(obstacle.why, "name one as http://127.0.0.1:4318/v1/traces")
            })?;
            if !args.remote && !collector.is_local() {
                return Err(Obstacle::new(
                    format!("{url} is on another machine"),
                    "where spans may go there, say so: --remote",
                ));
            }
            to_a_collector(url)
        }
        (None, Some(path)) => {
            let file = File::create(path).map_err(|error| unwritable(path, &error))?;
            Export::start(SpanLines::new(file), QUEUE)
        }
        (None, None) => Export::start(SpanLines::new(std::io::stdout()), QUEUE),
    }
}

#[cfg(feature = "otlp")]
fn to_a_collector(url: &str) -> Result<Export, Obstacle> {
    Export::start(probecost::pipeline::http::Otlp::to(url)?, QUEUE)
}

#[cfg(not(feature = "otlp"))]
fn to_a_collector(_: &str) -> Result<Export, Obstacle> {
    Err(Obstacle::new(
        "built without a way to a collector",
        "build it with: cargo build --release --features otlp",
    ))
}

fn summary(counts: &TracerCounts) -> String {
    let mut text = format!(
        "{} spans of {} pieces; {} without a whole response\n",
        counts.assembled.spans, counts.traffic.seen, counts.assembled.incomplete
    );
    for sentence in counts.blind_spots() {
        text += &format!("not seen: {sentence}\n");
    }
    text
}
