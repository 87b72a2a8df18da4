//! Profiles of system calls: learnt from what a command does, put into force, and held
//! beside what containers may do by default.

mod compare;
mod filter;
mod learn;
mod profile;
mod programs;
mod run;

pub use compare::{compare_files, compare_programs};
pub use learn::learn;
pub use profile::{BASE, Profile};
pub use run::run;

use super::watched::{Ending, Watched};

/// How a command ended, in words.
fn words(watched: &Watched) -> String {
    let ending = match watched.ending {
        Ending::Exited(status) => status.to_string(),
        Ending::OutOfTime => "ended when its time was over".into(),
    };
    match watched.survivors {
        0 => ending,
        1 => format!("{ending}; one process outlived it and was ended"),
        n => format!("{ending}; {n} processes outlived it and were ended"),
    }
}
