//! The overhead table once more, as the last thing that `cargo bench` prints.
//! It measures nothing: the `overhead` target did.

use std::io::Write;
use std::path::Path;

use probecost::measure::report::{DIRECTORY, Report};
use probecost::measure::table;

fn main() {
    // Under `cargo test` nothing has been measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let text = match Report::read(Path::new(DIRECTORY)) {
        Ok(report) => table::render(&report),
        Err(obstacle) => format!("no overhead table: {obstacle}"),
    };
    // A reader that has seen enough (`| head`) is no error.
    let _ = writeln!(std::io::stdout(), "{text}");
}
