//! Where an answer goes.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use probecost::file::Pending;

use crate::failure::Failure;

/// The terminal, or a file that was found to be writable.
#[derive(Debug)]
pub enum Destination {
    /// Standard output.
    Terminal,
    /// A file, which is whole or not there.
    File(Pending),
}

impl Destination {
    /// The file at `out`, or the terminal.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(out: Option<&Path>) -> Result<Self, Failure> {
        Ok(match out {
            // Where that is a file (`>> log`), others write to it, too: it is not replaced.
            Some(path) if path != Path::new("/dev/stdout") => Self::File(Pending::open(path)?),
            _ => Self::Terminal,
        })
    }

    /// Writes the answer. A reader that went away (`| head`) is no failure.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(self, text: &str) -> Result<(), Failure> {
        match self {
            Self::File(file) => Ok(file.write(text.as_bytes())?),
            Self::Terminal => match io::stdout().lock().write_all(text.as_bytes()) {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Failure::new(format!("standard output: {e}")))
                }
                _ => Ok(()),
            },
        }
    }

    /// Whether it is a terminal that wants colours (no-color.org).
    pub fn wants_colour(&self) -> bool {
        let refused = env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || env::var_os("TERM").is_some_and(|v| v == "dumb");
        matches!(self, Self::Terminal) && io::stdout().is_terminal() && !refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_output_by_its_path_is_no_file_to_replace() {
        let opened = Destination::open(Some(Path::new("/dev/stdout"))).unwrap();
        assert!(matches!(opened, Destination::Terminal), "{opened:?}");
    }
}
