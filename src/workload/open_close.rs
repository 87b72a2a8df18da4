//! Open a file, read one byte, close it.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read};

use super::{Calls, Workload};
use crate::host::Obstacle;

/// Opens, reads one byte, closes.
pub struct OpenClose {
    path: CString,
}

impl OpenClose {
    /// For the file at `path`, which must hold a byte that can be read.
    pub fn new(path: &Path) -> Result<Self, Obstacle> {
        let obstacle = |why: String| {
            Obstacle::new(
                format!("{}: {why}", path.display()),
                "name a file that can be read with --file",
            )
        };
        let c_path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| obstacle("the path holds a zero byte".into()))?;
        let mut this = Self { path: c_path };
        match this.operate() {
            Ok(1) => Ok(this),
            Ok(_) => Err(obstacle("the file is empty".into())),
            Err(error) => Err(obstacle(error.to_string())),
        }
    }
}

impl Workload for OpenClose {
    fn operate(&mut self) -> Result<u64, Errno> {
        // As the C library does: a hook of `openat` alone must see it.
        let file = openat(
            CWD,
            self.path.as_c_str(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut byte = [0u8; 1];
        Ok(read(&file, &mut byte)? as u64)
    }

    fn expected(&self) -> u64 {
        1
    }

    fn place(&self) -> Option<&Path> {
        Some(Path::new(OsStr::from_bytes(self.path.to_bytes())))
    }

    fn calls(&self) -> Calls {
        Calls {
            opens: 1,
            connects: 0,
        }
    }
}
