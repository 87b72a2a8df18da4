//! What watching memory pressure costs, and what acting on it saves.

mod delay;
mod groups;
mod judge;
mod load;
mod measure;
mod monitor;
mod psi;
mod toucher;

use std::path::PathBuf;

pub use load::{LoadPart, touch};
pub use measure::measure;
pub use monitor::{MonitorPart, watch};

use crate::schema::pressure::PressurePolicy;

/// `probecost pressure`
#[derive(Debug, Clone, clap::Args)]
pub struct PressureArgs {
    /// What is done about pressure, besides nothing and watching alone
    #[arg(long, value_delimiter = ',', default_values = ["throttle", "reclaim"], value_parser = responder)]
    pub policy: Vec<PressurePolicy>,
    /// Rounds: in each, a block of every policy
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Seconds of a block that count
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// Megabytes that both groups may have together
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(16..=4096))]
    pub limit: u64,
    /// Megabytes that each of them touches
    #[arg(long, value_name = "MB", default_value_t = 48, value_parser = clap::value_parser!(u64).range(8..=8192))]
    pub touched: u64,
    /// Milliseconds for which the low group is held at a time
    #[arg(long, value_name = "MS", default_value_t = 800, value_parser = clap::value_parser!(u64).range(10..=2000))]
    pub slice: u64,
    /// Where the files lie that are touched; not in memory
    #[arg(long, value_name = "DIR", default_value = "target/pressure")]
    pub dir: PathBuf,
    /// The seed of the order
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

fn responder(text: &str) -> Result<PressurePolicy, String> {
    match text {
        "throttle" => Ok(PressurePolicy::Throttle),
        "reclaim" => Ok(PressurePolicy::Reclaim),
        other => Err(format!("`{other}` is none of throttle, reclaim")),
    }
}
