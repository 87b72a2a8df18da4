//! What the agent costs: all arms interleaved.
//!
//!     cargo bench --bench overhead -- --workload open_close --seconds 10

use std::process::ExitCode;

fn main() -> ExitCode {
    probecost::measure::command::main()
}
