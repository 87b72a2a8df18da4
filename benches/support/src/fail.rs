//! The end of a target that cannot go on.

use std::fmt::Display;

/// Ends the target.
pub fn fail(why: &dyn Display) -> ! {
    eprintln!("error: {why}");
    std::process::exit(2)
}
