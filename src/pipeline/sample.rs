//! Records made up in user space: for tests, and for benches without a kernel.

use crate::agent::record::{FLAG_HAS_FILE, VERSION};

/// What goes into a record. The default is an open of `/etc/hosts`.
#[derive(Debug, Clone)]
pub struct Sample {
    /// [`Sample::OPEN`], [`Sample::CONNECT`] or [`Sample::EXEC`].
    pub kind: u8,
    /// The CPU.
    pub cpu: u16,
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// The cgroup.
    pub cgroup: u64,
    /// The process.
    pub pid: u32,
    /// How many records the CPU had lost.
    pub lost: u32,
    /// The command name.
    pub comm: [u8; 16],
    /// Inode and device, where the hook sees them.
    pub file: Option<(u64, u64)>,
    /// The path, or the socket address in the kernel's form.
    pub path: Vec<u8>,
}

impl Sample {
    /// An open.
    pub const OPEN: u8 = 0;
    /// A connect.
    pub const CONNECT: u8 = 1;
    /// A program that runs.
    pub const EXEC: u8 = 2;

    /// The record, as a program would have left it in the ring: a path padded
    /// to a multiple of eight, at least 64 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut target = Vec::new();
        if let Some((inode, device)) = self.file {
            target.extend(inode.to_le_bytes());
            target.extend(device.to_le_bytes());
        }
        target.extend(&self.path);
        if self.kind != Self::CONNECT {
            target.resize((target.len() + 1).next_multiple_of(8).max(64), 0);
        }
        let flags = if self.file.is_some() {
            FLAG_HAS_FILE
        } else {
            0
        };
        let mut bytes = vec![VERSION, self.kind];
        bytes.extend(self.cpu.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend((target.len() as u16).to_le_bytes());
        bytes.extend(self.time_ns.to_le_bytes());
        bytes.extend(self.cgroup.to_le_bytes());
        for word in [self.pid, self.pid, 1000, self.lost] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.comm);
        bytes.extend(target);
        bytes
    }
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            kind: Self::OPEN,
            cpu: 1,
            time_ns: 1_000_000,
            cgroup: 42,
            pid: 100,
            lost: 0,
            comm: *b"bench\0\0\0\0\0\0\0\0\0\0\0",
            file: None,
            path: b"/etc/hosts".to_vec(),
        }
    }
}
