//! The instrument's command line.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use super::report::{self, Budget, Report};
use super::{Failure, Footprint, Job, Measured, Plan, Request, Workers};
use super::{die_with_parent, overhead, table};
use crate::agent::{self, Agent, Rung, Wakeup};
use crate::file;
use crate::gate::Gate;
use crate::host::{self, Obstacle};
use crate::schema::Exit;
use crate::workload::{Name, default_file};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What an eBPF agent costs the programs it watches
#[derive(Args)]
#[command(args_override_self = true)]
pub struct OverheadArgs {
    /// What to measure, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "open_close,udp_connect,full_read,stat_walk"
    )]
    workload: Vec<Name>,
    /// How long to measure each workload
    #[arg(long, default_value = "10", value_parser = seconds, allow_negative_numbers = true)]
    seconds: Duration,
    /// What to print
    #[arg(long, default_value = "table")]
    format: Format,
    /// Where to leave overhead.json
    #[arg(long, default_value = report::DIRECTORY)]
    out: PathBuf,
    /// The file that open_close opens
    #[arg(long, default_value_os_t = default_file())]
    file: PathBuf,
    /// Fail where no agent can run, in place of measuring without one
    #[arg(long)]
    require_agent: bool,
    /// The length of a block in milliseconds
    #[arg(long, default_value = "20", value_parser = milliseconds, allow_negative_numbers = true)]
    block_ms: Duration,
    /// The size of the ring in bytes, a power of two
    #[arg(long, default_value_t = agent::Options::default().ring_bytes)]
    ring_bytes: u32,
    /// When the kernel wakes the consumer: never, default, or from so many unread bytes on
    #[arg(long, default_value = "never", value_parser = wakeup)]
    wakeup: Wakeup,
    /// The consumer's pause between two looks at the ring, in milliseconds
    #[arg(long, default_value = "1", value_parser = milliseconds, allow_negative_numbers = true)]
    drain_ms: Duration,
    /// Path rules in the policy that match nothing
    #[arg(long, default_value_t = 0)]
    rules: usize,
    /// The first rung to try
    #[arg(long)]
    rung: Option<Rung>,
    /// The CPU of the workload [default: the first allowed]
    #[arg(long)]
    cpu: Option<usize>,
    /// The CPU of the agent's consumer [default: the last allowed]
    #[arg(long)]
    consumer_cpu: Option<usize>,
    /// The seed of the order of arms
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only workloads whose name contains this
    filter: Option<String>,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
    /// Measure without an agent
    #[arg(long)]
    bare: bool,
    /// Given to the processes of a measurement
    #[arg(long, hide = true)]
    worker: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Runs the instrument; broken where nothing could be measured, or a row contradicts
/// itself. `subcommand` is what this executable wants before the arguments.
///
/// # Errors
/// Nothing could be measured.
pub fn run(arguments: &OverheadArgs, subcommand: Option<&'static str>) -> Result<Exit, Failure> {
    match &arguments.worker {
        Some(task) => work(task),
        None => measure(arguments, subcommand),
    }
}

fn measure(arguments: &OverheadArgs, subcommand: Option<&'static str>) -> Result<Exit, Failure> {
    let request = Request {
        workloads: asked_for(arguments),
        job: job(arguments)?,
        length: arguments.seconds,
        agent_optional: !arguments.require_agent && !agent::is_required(),
    };
    if request.workloads.is_empty() {
        return Ok(Exit::Passed);
    }
    // Before measuring, so that a typo costs nothing.
    file::make_directory(&arguments.out)?;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {msg} {elapsed}").expect("a valid template"),
    );
    let progress = |what: &str, done: f64| {
        bar.set_message(what.to_string());
        bar.set_position((1000.0 * done) as u64);
    };
    let keep = |report: &Report| report.write(&arguments.out);
    let report = overhead(
        &request,
        &Processes { subcommand },
        budgets()?,
        progress,
        keep,
    )?;
    bar.finish_and_clear();
    match arguments.format {
        Format::Json => print(&json(&report)),
        Format::Table => print(&table::render(&report)),
    }
    Ok(if report.broken() {
        Exit::Broken
    } else {
        Exit::Passed
    })
}

/// What a process of the measurement does, in place of the whole.
#[derive(Serialize, Deserialize)]
enum Task {
    Measure(Job),
    Footprint(agent::Options),
}

fn work(task: &str) -> Result<Exit, Failure> {
    die_with_parent().map_err(harness)?;
    match serde_json::from_str(task).map_err(harness)? {
        Task::Measure(job) => println!("{}", json(&super::work(&job)?)),
        Task::Footprint(options) => {
            let mut agent = Agent::start(options)?;
            agent.attach()?;
            println!("{}", json(&Footprint::of_this_process().map_err(harness)?));
        }
    }
    Ok(Exit::Passed)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("results are plain data")
}

/// A reader that has seen enough (`| head`) is no error.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn harness(error: impl Display) -> Failure {
    Failure::Harness(error.to_string())
}

/// This same executable, once for each task.
struct Processes {
    subcommand: Option<&'static str>,
}

impl Processes {
    fn run<T: DeserializeOwned>(&self, task: &Task) -> Result<T, Failure> {
        let executable = std::env::current_exe().map_err(harness)?;
        let output = Command::new(executable)
            .args(self.subcommand)
            .args(["--worker", &json(task)])
            .output()
            .map_err(harness)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(harness(said.trim().trim_start_matches("error: ")));
        }
        serde_json::from_slice(&output.stdout).map_err(harness)
    }
}

impl Workers for Processes {
    fn measure(&self, job: &Job) -> Result<Measured, Failure> {
        self.run(&Task::Measure(job.clone()))
    }

    fn footprint(&self, options: &agent::Options) -> Option<Footprint> {
        self.run(&Task::Footprint(options.clone())).ok()
    }
}

/// The budgets of baselines/gate.toml; one for a workload that does not exist is an error.
fn budgets() -> Result<impl Fn(Name) -> Budget, Obstacle> {
    let broken = |why: String| Obstacle::new(why, "correct baselines/gate.toml");
    let gate = Gate::here().map_err(|error| broken(error.to_string()))?;
    for name in gate
        .overhead
        .p95_ratio
        .keys()
        .chain(gate.overhead.ratio.keys())
    {
        Name::from_str(name).map_err(|why| broken(format!("a budget for {name}: {why}")))?;
    }
    Ok(move |name: Name| Budget {
        p95_ratio: gate.overhead.p95_ratio.get(name.as_str()).copied(),
        ratio: gate.overhead.ratio.get(name.as_str()).copied(),
        drops: gate.agent.drops_pct / 100.0,
    })
}

fn asked_for(arguments: &OverheadArgs) -> Vec<Name> {
    let filter = arguments.filter.as_deref().unwrap_or_default();
    let mut names = arguments.workload.clone();
    names.retain(|name| name.as_str().contains(filter));
    names
}

fn job(arguments: &OverheadArgs) -> Result<Job, Obstacle> {
    let allowed = host::allowed_cpus();
    let (Some(&first), Some(&last)) = (allowed.first(), allowed.last()) else {
        return Err(Obstacle::new(
            "the kernel does not say which CPUs are allowed",
            "name them with --cpu and --consumer-cpu",
        ));
    };
    let options = agent::Options {
        ring_bytes: arguments.ring_bytes,
        wakeup: arguments.wakeup,
        drain_every: arguments.drain_ms,
        cpu: Some(arguments.consumer_cpu.unwrap_or(last)),
        rung: arguments.rung,
        ..agent::Options::default()
    };
    Ok(Job {
        workload: arguments.workload[0],
        file: arguments.file.clone(),
        plan: Plan {
            length: arguments.seconds,
            block: arguments.block_ms,
            seed: arguments.seed,
        },
        cpu: arguments.cpu.unwrap_or(first),
        agent: (!arguments.bare).then_some(options),
        rules: arguments.rules,
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    duration(text, 1.0, "seconds", 86_400.0)
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    duration(text, 1e-3, "milliseconds", 60_000.0)
}

fn duration(text: &str, unit: f64, name: &str, most: f64) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= most => Ok(Duration::from_secs_f64(number * unit)),
        _ => Err(format!(
            "a number of {name} above 0, at most {most}, is wanted"
        )),
    }
}

fn wakeup(text: &str) -> Result<Wakeup, String> {
    match (text, text.parse()) {
        ("never", _) => Ok(Wakeup::Never),
        ("default", _) => Ok(Wakeup::Default),
        (_, Ok(bytes)) => Ok(Wakeup::Bytes(bytes)),
        _ => Err("never, default, or a number of bytes is wanted".into()),
    }
}
