//! Holds a load of events for long: `cargo run --release --bin soak`.

use std::process::ExitCode;

fn main() -> ExitCode {
    probecost::measure::soak::command::main()
}
