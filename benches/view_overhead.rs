//! The overhead table once more, as the last thing that `cargo bench` prints.
//! It measures nothing: the `overhead` target did.

use std::io::Write;
use std::path::Path;

use probecost::schema::overhead::{DIRECTORY, FILE, OverheadReport};
use probecost::{file, report};

fn main() {
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    // Under `cargo test` nothing has been measured, and there is no benchmark to list.
    if !asked("--bench") || asked("--list") {
        return;
    }
    let path = Path::new(DIRECTORY).join(FILE);
    let text = match file::read_json::<OverheadReport>(&path, "cargo bench --bench overhead") {
        Ok(measured) => report::overhead::render(&measured),
        Err(obstacle) => format!("no overhead table: {obstacle}"),
    };
    // A reader that has seen enough (`| head`) is no error.
    let _ = writeln!(std::io::stdout(), "{text}");
}
