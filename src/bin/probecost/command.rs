//! What a command that is watched may take.

use std::time::Duration;

use clap::Args;
use probecost::stream::Bounds;

/// The bounds of a command.
#[derive(Args, Clone, Copy)]
pub struct BoundsArgs {
    /// How long it may run before it is ended
    #[arg(long, default_value_t = Bounds::default().time.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many processes it may have at once before it is stopped
    #[arg(long, default_value_t = Bounds::default().processes, value_parser = clap::value_parser!(u64).range(1..=16_000))]
    processes: u64,
}

impl From<BoundsArgs> for Bounds {
    fn from(args: BoundsArgs) -> Self {
        Self {
            time: Duration::from_secs(args.seconds),
            processes: args.processes,
        }
    }
}
