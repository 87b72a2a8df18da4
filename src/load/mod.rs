//! Requests at a rate: an open loop, which sends each request when it is due, whether
//! the ones before it are answered or not.
//!
//! Latency counts from the moment at which a request was to be sent. A loop that waits
//! for an answer before it asks again stops asking while the server stands still, and so
//! leaves out exactly the requests that would have waited (coordinated omission).
//!
//! A load runs in a thread of its own; what goes on meanwhile is the caller's matter.
//! He asks for what was due between two moments, and gets it without what reached over
//! the second one:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use probecost::load::{Behaviour, LoadPlan, Regime, Running, Server};
//!
//! let server = Server::start(Behaviour::default(), None)?;
//! let plan = LoadPlan::new(server.target(), Regime::Rate(1000.0), 4);
//! let mut load = Running::start(plan)?;
//! let from = Instant::now();
//! std::thread::sleep(Duration::from_millis(100));
//! let block = load.block(from, Instant::now())?;
//! assert!(block.tally.answered > 0 && block.tally.failed() == 0);
//! # Ok::<(), probecost::host::Obstacle>(())
//! ```

mod connection;
mod generator;
pub mod http;
pub mod ladder;
mod message;
mod pace;
mod redis;
mod report;
mod running;
mod scenario;
mod server;
mod tally;
mod target;

use std::time::Duration;

pub use pace::{KEPT_UP, LoadPace};
pub use report::{WholeLoad, whole};
pub use running::{Due, Running};
pub use scenario::Scenario;
pub use server::{Behaviour, Server, Stall};
pub use tally::{LoadBlock, LoadTally, RequestRecord};
pub use target::Endpoint;

/// The most requests for which there is room from the start on.
const MOST_ROOM: usize = 1 << 16;

/// What sets the pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regime {
    /// A clock: so many requests a second, evenly. For latencies.
    Rate(f64),
    /// The server: each connection asks again once it is answered. For throughput; its
    /// latencies leave out those who would have come while the server stood still.
    Saturation,
}

/// A load.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Whom it asks.
    pub target: Endpoint,
    /// What sets its pace.
    pub regime: Regime,
    /// How many connections it uses, in turn.
    pub connections: usize,
    /// For how long requests are due; none: until the load is ended.
    pub length: Option<Duration>,
    /// How long after its intended start a request without an answer is given up.
    pub timeout: Duration,
    /// The CPU of its thread; none: any.
    pub cpu: Option<usize>,
}

impl LoadPlan {
    /// A load without an end or a CPU of its own.
    pub fn new(target: Endpoint, regime: Regime, connections: usize) -> Self {
        Self {
            target,
            regime,
            connections,
            length: None,
            timeout: Duration::from_secs(2),
            cpu: None,
        }
    }

    /// For how many requests there is room from the start on: those of a second.
    fn room(&self) -> usize {
        match self.regime {
            Regime::Rate(rate) => (rate as usize).min(MOST_ROOM),
            Regime::Saturation => 0,
        }
    }
}
