//! The overhead instrument as a command of its own, for machines that have no cargo.

use std::process::ExitCode;

fn main() -> ExitCode {
    probecost::measure::command::main()
}
