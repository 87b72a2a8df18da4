//! Our end of the kernel's ring of records (BPF_MAP_TYPE_RINGBUF).
//!
//! The room of a record is given back to the kernel not one record at a time but
//! by the stretch: each time the position is written, the producer on another
//! CPU must fetch its cache line anew.

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use aya::maps::{Map, MapData, MapError};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What precedes a record: its length with two flags, and a word of the kernel's.
const PREFIX: usize = 8;
/// The record has been reserved and not yet submitted.
const BUSY: u32 = 1 << 31;
/// The record was given up after it had been reserved.
const DISCARDED: u32 = 1 << 30;

/// The reading end of a ring. There is one for each ring.
pub(crate) struct Ring {
    map: MapData,
    /// One page that we write: how far the records have been given back.
    consumer: Mapping,
    /// One page that the kernel writes, how far it has reserved; then the
    /// records, mapped twice in a row, so that none is ever split.
    producer: Mapping,
    bytes: usize,
    page: usize,
    position: usize,
}

impl Ring {
    pub(crate) fn new(map: Map) -> Result<Self, MapError> {
        let Map::RingBuf(map) = map else {
            return Err(MapError::InvalidMapType { map_type: 0 });
        };
        let bytes = map.info()?.max_entries() as usize;
        let page = rustix::param::page_size();
        let failed = |errno: rustix::io::Errno| MapError::IoError(errno.into());
        let read_write = ProtFlags::READ | ProtFlags::WRITE;
        let fd = map.fd().as_fd();
        let consumer = Mapping::new(fd, 0, page, read_write).map_err(failed)?;
        let producer = Mapping::new(fd, page, page + 2 * bytes, ProtFlags::READ).map_err(failed)?;
        let mut ring = Self {
            map,
            consumer,
            producer,
            bytes,
            page,
            position: 0,
        };
        ring.position = ring.given_back().load(Ordering::Acquire);
        Ok(ring)
    }

    /// Hands up to `most` records to `take`, oldest first, and gives their room
    /// back. Fewer mean that the ring is empty, or that the next record is still
    /// being written. Gives how many there were.
    pub(crate) fn read(&mut self, most: u64, mut take: impl FnMut(&[u8])) -> u64 {
        let stretch = self.bytes / 8;
        let mut returned = self.position;
        let mut end = self.reserved();
        let mut records = 0;
        while records < most {
            if self.position == end {
                end = self.reserved();
                if self.position == end {
                    break;
                }
            }
            let Some(slot) = self.slot() else { break };
            if let Slot::Record(record) = slot {
                take(record);
                records += 1;
            }
            self.position += slot.room();
            if self.position - returned >= stretch {
                self.give_back();
                returned = self.position;
            }
        }
        if self.position != returned {
            self.give_back();
        }
        records
    }

    /// Whether something has come since all was read. To be asked before
    /// waiting: the kernel wakes nobody for a record that it submits before it
    /// sees the room of the last one given back.
    pub(crate) fn is_empty(&self) -> bool {
        fence(Ordering::SeqCst);
        self.position == self.reserved()
    }

    /// What lies at our position; none while it is being written.
    fn slot(&self) -> Option<Slot<'_>> {
        let offset = self.page + (self.position & (self.bytes - 1));
        // SAFETY: the offset lies within the first of the two views of the
        // records, which start at a page and whose records start at multiples of
        // eight, so the word is aligned and mapped. The kernel writes it with
        // atomic operations.
        let word = unsafe { self.producer.at(offset).cast::<AtomicU32>().as_ref() };
        // Acquire pairs with the kernel's exchange at submission: what the
        // record holds is visible.
        let word = word.load(Ordering::Acquire);
        if word & BUSY != 0 {
            return None;
        }
        let length = (word & !DISCARDED) as usize;
        if word & DISCARDED != 0 {
            return Some(Slot::Discarded { length });
        }
        // SAFETY: the kernel reserves no more than the ring holds, so the record
        // ends within the second view at the latest. It was submitted, so nobody
        // writes it again before its room is given back, which needs `&mut self`.
        let record = unsafe {
            std::slice::from_raw_parts(self.producer.at(offset + PREFIX).as_ptr(), length)
        };
        Some(Slot::Record(record))
    }

    /// How far the kernel has reserved.
    fn reserved(&self) -> usize {
        // SAFETY: the mapping starts with this word, at a page; the kernel
        // writes it atomically.
        unsafe { self.producer.at(0).cast::<AtomicUsize>().as_ref() }.load(Ordering::Acquire)
    }

    fn given_back(&self) -> &AtomicUsize {
        // SAFETY: the mapping starts with this word, at a page, and lives as
        // long as `self`; the kernel only reads it.
        unsafe { self.consumer.at(0).cast().as_ref() }
    }

    fn give_back(&self) {
        // Release: everything was read before the kernel may write there again.
        self.given_back().store(self.position, Ordering::Release);
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

enum Slot<'a> {
    Record(&'a [u8]),
    Discarded { length: usize },
}

impl Slot<'_> {
    /// The bytes it takes up in the ring.
    fn room(&self) -> usize {
        let length = match self {
            Self::Record(record) => record.len(),
            Self::Discarded { length } => *length,
        };
        (PREFIX + length).next_multiple_of(8)
    }
}

/// A part of the ring in our memory, until dropped.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(
        fd: BorrowedFd<'_>,
        offset: usize,
        length: usize,
        access: ProtFlags,
    ) -> rustix::io::Result<Self> {
        // SAFETY: a new mapping at a place of the kernel's choice touches
        // nothing that exists.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                access,
                MapFlags::SHARED,
                fd,
                offset as u64,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(rustix::io::Errno::NOMEM)?;
        Ok(Self { start, length })
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset < self.length);
        // SAFETY: every caller's offset lies within the mapping.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and borrowed by nobody.
        // Unmapping what was mapped does not fail.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
