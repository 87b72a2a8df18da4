//! One audit event as it lies in the ring (`struct header` in bpf/agent.h),
//! read in place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The layout version that this reader knows.
pub const VERSION: u8 = 1;

const OPEN: u8 = 0;
const CONNECT: u8 = 1;
const EXEC: u8 = 2;
const UNREADABLE: u16 = 1;
const CUT: u16 = 2;
pub(crate) const FLAG_HAS_FILE: u16 = 4;
const LENGTH_AT: usize = std::mem::offset_of!(Header, length);
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// The fixed part of every record.
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    version: u8,
    kind: u8,
    cpu: U16,
    flags: U16,
    length: U16,
    time: U64,
    cgroup: U64,
    pid: U32,
    tid: U32,
    uid: U32,
    lost: U32,
    comm: [u8; 16],
}

/// What the audited call was aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The path given to an open, as the caller wrote it (or resolved, where an
    /// LSM hook saw it). Empty where the caller's memory could not be read or
    /// the path was not asked for.
    Path(&'a [u8]),
    /// The address given to a connect.
    Address(SocketAddr),
    /// The path of a program that runs, as that of an open.
    Program(&'a [u8]),
}

/// A file, whatever its names (`struct rule_inode`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct FileId {
    inode: U64,
    device: U64,
}

// SAFETY: bytes only, and no padding between them.
unsafe impl aya::Pod for FileId {}

impl FileId {
    /// The file with this inode number on this device (as the kernel numbers
    /// it: major << 20 | minor).
    pub fn new(inode: u64, device: u64) -> Self {
        Self {
            inode: inode.into(),
            device: device.into(),
        }
    }
}

/// A record whose version, kind and length have been checked.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    header: &'a Header,
    /// What the call was aimed at.
    pub target: Target<'a>,
    /// The file that was opened, where the hook sees it (LSM rungs do).
    pub file: Option<&'a FileId>,
    bytes: &'a [u8],
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than the header, or than the header says.
    Short,
    /// A layout that this reader does not know.
    Version(u8),
    /// A kind that this reader does not know.
    Kind(u8),
    /// An address that is neither IPv4 nor IPv6, or too short for its family.
    Address,
}

impl<'a> Record<'a> {
    /// Reads one record from the bytes that the ring handed out. Bytes behind
    /// the record's own length are padding and ignored.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Short)?;
        if header.version != VERSION {
            return Err(Malformed::Version(header.version));
        }
        let payload = rest
            .get(..header.length.get().into())
            .ok_or(Malformed::Short)?;
        let (file, payload) = if header.flags.get() & FLAG_HAS_FILE == 0 {
            (None, payload)
        } else {
            let (file, path) = FileId::ref_from_prefix(payload).map_err(|_| Malformed::Short)?;
            (Some(file), path)
        };
        let (target, bytes) = match header.kind {
            OPEN => {
                let path = until_nul(payload);
                (Target::Path(path), path)
            }
            EXEC => {
                let path = until_nul(payload);
                (Target::Program(path), path)
            }
            CONNECT => {
                let address = address(payload).ok_or(Malformed::Address)?;
                (Target::Address(address), payload)
            }
            other => return Err(Malformed::Kind(other)),
        };
        Ok(Self {
            header,
            target,
            file,
            bytes,
        })
    }

    /// The target as it lies in the record, without padding: the path, or the
    /// socket address in the kernel's own form.
    pub fn target_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Which kind of call it was, the index of its hook's counters.
    pub(crate) fn kind(&self) -> u8 {
        self.header.kind
    }

    /// Writes the record without its padding, as [`decode`](Self::decode) reads it.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        let length = (self.file.map_or(0, |file| file.as_bytes().len()) + self.bytes.len()) as u16;
        let start = bytes.len();
        bytes.extend_from_slice(self.header.as_bytes());
        bytes[start + LENGTH_AT..][..2].copy_from_slice(&length.to_le_bytes());
        if let Some(file) = self.file {
            bytes.extend_from_slice(file.as_bytes());
        }
        bytes.extend_from_slice(self.bytes);
    }

    /// When the call was made: nanoseconds of CLOCK_MONOTONIC.
    pub fn time_ns(&self) -> u64 {
        self.header.time.get()
    }

    /// The process (thread group) that made the call.
    pub fn pid(&self) -> u32 {
        self.header.pid.get()
    }

    /// The thread that made the call.
    pub fn tid(&self) -> u32 {
        self.header.tid.get()
    }

    /// The user who made the call.
    pub fn uid(&self) -> u32 {
        self.header.uid.get()
    }

    /// The cgroup (v2) of the caller, by its inode number.
    pub fn cgroup(&self) -> u64 {
        self.header.cgroup.get()
    }

    /// The CPU on which the call was made.
    pub fn cpu(&self) -> u16 {
        self.header.cpu.get()
    }

    /// How many records this CPU had lost before this one, modulo 2^32.
    pub fn lost(&self) -> u32 {
        self.header.lost.get()
    }

    pub(crate) fn raw_comm(&self) -> &'a [u8; 16] {
        &self.header.comm
    }

    /// The command name of the caller's thread, without its padding.
    pub fn comm(&self) -> &'a [u8] {
        until_nul(&self.header.comm)
    }

    /// Whether the path could not be read from the caller's memory.
    pub fn target_unreadable(&self) -> bool {
        self.header.flags.get() & UNREADABLE != 0
    }

    /// Whether the path is longer than the record and was cut.
    pub fn target_cut(&self) -> bool {
        self.header.flags.get() & CUT != 0
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

/// `sockaddr_in` and `sockaddr_in6`: the family in host order, the port in
/// network order.
fn address(payload: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_le_bytes(*payload.first_chunk()?);
    let port = u16::from_be_bytes(*payload.get(2..)?.first_chunk()?);
    let ip = match family {
        AF_INET => IpAddr::V4(Ipv4Addr::from(*payload.get(4..)?.first_chunk::<4>()?)),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(*payload.get(8..)?.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A well-formed record around `payload`.
    fn bytes(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![VERSION, kind, 3, 0, 0, 0];
        bytes.extend((payload.len() as u16).to_le_bytes());
        bytes.extend(11u64.to_le_bytes());
        bytes.extend(22u64.to_le_bytes());
        for word in [100u32, 101, 1000, 7] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(*b"bench\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn an_open_comes_back_whole() {
        let bytes = bytes(OPEN, b"/etc/hosts\0leftover");
        let record = Record::decode(&bytes).unwrap();
        assert_eq!(record.target, Target::Path(b"/etc/hosts"));
        assert_eq!((record.time_ns(), record.cgroup()), (11, 22));
        assert_eq!((record.pid(), record.tid(), record.uid()), (100, 101, 1000));
        assert_eq!(
            (record.cpu(), record.lost(), record.comm()),
            (3, 7, &b"bench"[..])
        );
    }

    #[test]
    fn addresses_of_both_families() {
        let four = bytes(CONNECT, &[2, 0, 0, 53, 127, 0, 0, 1]);
        let target = Record::decode(&four).unwrap().target;
        assert_eq!(target, Target::Address("127.0.0.1:53".parse().unwrap()));

        let mut payload = vec![10, 0, 0, 53, 0, 0, 0, 0];
        payload.extend([0; 15]);
        payload.push(1);
        let six = bytes(CONNECT, &payload);
        let target = Record::decode(&six).unwrap().target;
        assert_eq!(target, Target::Address("[::1]:53".parse().unwrap()));
    }

    #[test]
    fn each_flaw_has_its_name() {
        let good = bytes(OPEN, b"/x\0");
        let flaw = |bytes: &[u8]| Record::decode(bytes).unwrap_err();
        assert_eq!(flaw(&[]), Malformed::Short);
        assert_eq!(flaw(&good[..55]), Malformed::Short);
        assert_eq!(flaw(&good[..good.len() - 1]), Malformed::Short);
        assert_eq!(flaw(&[&[9], &good[1..]].concat()), Malformed::Version(9));
        assert_eq!(flaw(&bytes(8, b"")), Malformed::Kind(8));
        assert_eq!(
            flaw(&bytes(CONNECT, &[2, 0, 0, 53, 127])),
            Malformed::Address
        );
        assert_eq!(
            flaw(&bytes(CONNECT, &[1, 0, 0, 0, 0, 0, 0, 0])),
            Malformed::Address
        );
    }
}
