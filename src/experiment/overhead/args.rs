//! The instrument's arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::request::OverheadRequest;
use crate::agent::{self, Rung, Wakeup};
use crate::experiment::Plan;
use crate::experiment::assignment::Assignment;
use crate::host::{self, Obstacle};
use crate::schema::overhead::DIRECTORY;
use crate::workload::{Name, default_file};

/// What our agent costs the calls of a program: `cargo bench --bench overhead` and
/// `probecost overhead`.
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
    /// Where to leave overhead.json
    #[arg(long, default_value = DIRECTORY)]
    pub out: PathBuf,
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
    pub filter: Option<String>,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
    /// Measure without an agent
    #[arg(long)]
    bare: bool,
    /// Given to the processes of a measurement
    #[arg(long, hide = true)]
    pub worker: Option<String>,
}

impl OverheadArgs {
    /// What they ask for.
    ///
    /// # Errors
    /// The CPUs to use are not said, and the kernel does not say which there are.
    pub fn request(&self) -> Result<OverheadRequest, Obstacle> {
        Ok(OverheadRequest {
            workloads: asked_for(self),
            assignment: assignment(self)?,
            length: self.seconds,
            agent_optional: !self.require_agent && !agent::is_required(),
        })
    }
}

fn asked_for(arguments: &OverheadArgs) -> Vec<Name> {
    let filter = arguments.filter.as_deref().unwrap_or_default();
    let mut names = arguments.workload.clone();
    names.retain(|name| name.as_str().contains(filter));
    names
}

fn assignment(arguments: &OverheadArgs) -> Result<Assignment, Obstacle> {
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
    Ok(Assignment {
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
