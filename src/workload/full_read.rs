//! Open a file, read it to its end, close it.

use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read};
use tempfile::NamedTempFile;

use super::{Calls, Workload, no_fixture};
use crate::host::Obstacle;

/// What programs read at a time, as `cat` and the standard library's copy do.
const BUFFER: usize = 64 << 10;

/// Reads a file of its own, from the page cache.
pub struct FullRead {
    path: CString,
    bytes: u64,
    buffer: Vec<u8>,
    file: NamedTempFile,
}

impl FullRead {
    /// With a file of so many bytes.
    pub fn new(bytes: usize) -> Result<Self, Obstacle> {
        let mut file = NamedTempFile::with_prefix("probecost-read-").map_err(no_fixture)?;
        file.write_all(&vec![b'x'; bytes]).map_err(no_fixture)?;
        Ok(Self {
            path: CString::new(file.path().as_os_str().as_bytes()).map_err(no_fixture)?,
            bytes: bytes as u64,
            buffer: vec![0; BUFFER],
            file,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Workload for FullRead {
    fn operate(&mut self) -> Result<u64, Errno> {
        // As the C library does: a hook of `openat` alone must see it.
        let file = openat(
            CWD,
            self.path.as_c_str(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut total = 0;
        loop {
            match read(&file, &mut self.buffer[..])? {
                0 => return Ok(total),
                bytes => total += bytes as u64,
            }
        }
    }

    fn expected(&self) -> u64 {
        self.bytes
    }

    fn place(&self) -> Option<&Path> {
        Some(self.path())
    }

    fn calls(&self) -> Calls {
        Calls {
            opens: 1,
            connects: 0,
        }
    }
}
