//! What is measured: things that programs do again and again.
//!
//! A workload is set up once; its operation is then all that is timed. It knows
//! no agent and no clock.

mod full_read;
mod getppid;
mod job;
mod open_close;
mod program;
mod service;
mod stat_walk;
mod udp_connect;
mod zlib;

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::host::Obstacle;

pub use full_read::FullRead;
pub use getppid::Getppid;
pub use job::{Awk, Build, Container, Grep, Job, OwnCommand};
pub use open_close::OpenClose;
pub use program::{file_name, program_path};
pub use service::{Asked, Service, as_user};
pub use stat_walk::StatWalk;
pub use udp_connect::UdpConnect;

/// One thing a program does, ready to be done.
pub trait Workload {
    /// The operation, once. Gives what it got (bytes, files): [`Self::expected`].
    fn operate(&mut self) -> Result<u64, Errno>;

    /// The operation so many times: the loop that is timed. Gives the sum of
    /// what the operations gave.
    fn repeat(&mut self, times: u64) -> Result<u64, Errno> {
        let mut sum = 0;
        for _ in 0..times {
            sum += self.operate()?;
        }
        Ok(sum)
    }

    /// What each operation must give.
    fn expected(&self) -> u64;

    /// What an agent that hooks opens and connects sees of one operation.
    fn calls(&self) -> Calls;

    /// The file or the directory that it works on; none where it needs no file.
    fn place(&self) -> Option<&Path> {
        None
    }

    /// Does the operation once and compares what it gives.
    fn check(&mut self) -> Result<(), Obstacle> {
        let expected = self.expected();
        match self.operate() {
            Ok(got) if got == expected => Ok(()),
            Ok(got) => Err(Obstacle::new(
                format!("one operation gave {got} where {expected} was expected"),
                "see that nothing else changes the files it works on",
            )),
            Err(error) => Err(Obstacle::new(
                format!("the operation fails: {error}"),
                "see that its file can be read and that sockets may be opened",
            )),
        }
    }
}

/// How many calls of each audited kind one operation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Files and directories opened.
    pub opens: u64,
    /// Sockets connected.
    pub connects: u64,
}

/// Declares [`Name`]: a line a workload, with its name in every result and how it is set
/// up from the file that [`OpenClose`] opens.
macro_rules! workloads {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $set_up:expr;)*) => {
        /// The workloads by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Name {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in every result.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Sets the workload up. `file` is what [`OpenClose`] opens.
            ///
            /// # Errors
            /// What it works on cannot be made or read.
            pub fn set_up(self, file: &Path) -> Result<Box<dyn Workload>, Obstacle> {
                type SetUp = fn(&Path) -> Result<Box<dyn Workload>, Obstacle>;
                let set_up: SetUp = match self {
                    $(Self::$variant => $set_up,)*
                };
                set_up(file)
            }
        }
    };
}

workloads! {
    /// Open a file, read one byte, close it.
    OpenClose = "open_close": |file| Ok(Box::new(OpenClose::new(file)?));
    /// Open a UDP socket, connect it to a port of this host, close it.
    UdpConnect = "udp_connect": |_| Ok(Box::new(UdpConnect::new()?));
    /// Open a file of 4 KiB, read it to its end, close it.
    FullRead = "full_read": |_| Ok(Box::new(FullRead::new(4 << 10)?));
    /// The same with 64 KiB.
    FullRead64k = "full_read_64k": |_| Ok(Box::new(FullRead::new(64 << 10)?));
    /// The same with 1 MiB.
    FullRead1m = "full_read_1m": |_| Ok(Box::new(FullRead::new(1 << 20)?));
    /// Walk a tree of 400 files and stat each.
    StatWalk = "stat_walk": |_| Ok(Box::new(StatWalk::new()?));
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| {
                let names: Vec<&str> = Self::ALL.iter().map(|name| name.as_str()).collect();
                let names = names.join(", ");
                format!("no workload is called so; there are {names}")
            })
    }
}

/// The file that `open_close` opens unless told otherwise: every Linux has it.
pub fn default_file() -> PathBuf {
    "/etc/hosts".into()
}

/// The obstacle where a fixture cannot be made.
fn no_fixture(error: impl std::fmt::Display) -> Obstacle {
    Obstacle::new(
        format!("the files to measure with cannot be made: {error}"),
        "set TMPDIR to a directory with room that can be written to",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_does_what_it_says() {
        for &name in Name::ALL {
            let mut workload = name.set_up(&default_file()).unwrap();
            workload.check().unwrap();
        }
        Getppid.check().unwrap();
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for &name in Name::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        let error = "open_clsoe".parse::<Name>().unwrap_err();
        assert!(error.contains("open_close, udp_connect"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_obstacle_with_its_name() {
        let error = Name::OpenClose
            .set_up(Path::new("/nowhere/file"))
            .err()
            .unwrap();
        assert!(error.why.contains("/nowhere/file"), "{error}");
    }

    #[test]
    fn a_directory_and_an_empty_file_cannot_be_read() {
        assert!(Name::OpenClose.set_up(Path::new("/")).is_err());
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(Name::OpenClose.set_up(empty.path()).is_err());
    }

    /// The check must be able to fail: a file that changes under the workload.
    #[test]
    fn a_file_that_shrinks_is_noticed() {
        let mut workload = FullRead::new(4096).unwrap();
        std::fs::write(workload.path(), b"short").unwrap();
        let error = workload.check().unwrap_err();
        assert!(error.why.contains("gave 5 where 4096"), "{error}");
    }
}
