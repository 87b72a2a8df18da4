//! The protocol of turns: two builds of a bench target alive on one CPU, and one block
//! of one at a time.
//!
//! A driver starts the executable with two pipes, named by [`VARIABLE`] as
//! `<read>,<write>`. The executable writes [`GREETING`] as soon as it has read its
//! arguments; before each block it writes [`READY`] and waits for [`GO`]. A block is over,
//! and this side quiet, when its next [`READY`] comes, or the end of the pipe. The first is
//! the whole warm-up of [`WARM_UP`]. Where the
//! driver is gone, the executable ends; without the variable nobody waits.
//!
//! A driver asks for benchmarks by a regular expression, which is its last argument.

use std::time::Duration;

/// How long a driver has a benchmark warm up (`--warm-up-time`), which is one block: Criterion
/// sees from it how many iterations fill a sample, and would take time spent waiting for theirs.
pub const WARM_UP: Duration = Duration::from_millis(50);
/// The environment variable that names the pipes.
pub const VARIABLE: &str = "PROBECOST_TURNS";
/// The first line of an executable that knows turns.
pub const GREETING: &[u8] = b"turns 2\n";
/// The executable is quiet, and ready for its next block.
pub const READY: u8 = b'r';
/// The block may begin.
pub const GO: u8 = b'g';

/// The environment variable by how many percent a bench is to be slower than it is: a whole
/// number, so that one can see whether it is found.
pub const PLANT: &str = "PROBECOST_PLANT_PCT";
