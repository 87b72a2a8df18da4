//! What the probes do: so many operations of one kind.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, UdpSocket};

use memmap2::MmapMut;
use tempfile::NamedTempFile;

/// Does its operation so many times.
pub type Work = Box<dyn FnMut(u32) -> io::Result<()>>;

/// More than the caches that a core has to itself, in bytes.
const MEMORY: usize = 32 << 20;

/// The unit in which memory moves, in bytes.
const LINE: usize = 64;

const PAGE: usize = 4096;

/// A multiplication and two shifts, each step dependent on the one before.
pub fn arithmetic() -> io::Result<Work> {
    let mut state = 1u64;
    Ok(Box::new(move |operations| {
        for _ in 0..operations {
            state = step(state);
        }
        black_box(state);
        Ok(())
    }))
}

/// A branch that nobody can foresee.
pub fn branches() -> io::Result<Work> {
    let (mut state, mut taken) = (1u64, 0u64);
    Ok(Box::new(move |operations| {
        for _ in 0..operations {
            state = step(state);
            if state & 1 == 0 {
                taken = black_box(taken + 1);
            } else {
                taken = black_box(taken ^ state);
            }
        }
        black_box(taken);
        Ok(())
    }))
}

/// A load whose address is what the load before it brought (Sattolo 1986: one cycle through
/// all lines).
pub fn memory_latency() -> io::Result<Work> {
    const NODES: usize = MEMORY / LINE;
    const APART: usize = LINE / size_of::<u32>();
    let mut order: Vec<u32> = (0..NODES as u32).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    for last in (1..NODES).rev() {
        order.swap(last, rng.usize(..last));
    }
    let mut lines = vec![0u32; NODES * APART];
    for (node, next) in order.into_iter().enumerate() {
        lines[node * APART] = next;
    }
    let mut at = 0u32;
    Ok(Box::new(move |operations| {
        for _ in 0..operations {
            at = lines[at as usize * APART];
        }
        black_box(at);
        Ok(())
    }))
}

/// The sum of a page's words, page after page of much memory.
pub fn memory_bandwidth() -> io::Result<Work> {
    const WORDS: usize = PAGE / size_of::<u64>();
    let words: Vec<u64> = (0..(MEMORY / size_of::<u64>()) as u64).collect();
    let mut at = 0;
    Ok(Box::new(move |operations| {
        for _ in 0..operations {
            let page = &words[at..at + WORDS];
            black_box(
                page.iter()
                    .fold(0, |sum: u64, word| sum.wrapping_add(*word)),
            );
            at = (at + WORDS) % words.len();
        }
        Ok(())
    }))
}

/// A page of new memory, touched; in mappings of 64 pages.
pub fn page_faults() -> io::Result<Work> {
    const PAGES: usize = 64;
    Ok(Box::new(|operations| {
        let mut left = operations as usize;
        while left > 0 {
            let pages = left.min(PAGES);
            let mut map = MmapMut::map_anon(pages * PAGE)?;
            for page in map.chunks_mut(PAGE) {
                page[0] = 1;
            }
            black_box(&map);
            left -= pages;
        }
        Ok(())
    }))
}

/// The shortest system call.
pub fn getppid() -> io::Result<Work> {
    Ok(Box::new(|operations| {
        for _ in 0..operations {
            black_box(rustix::process::getppid());
        }
        Ok(())
    }))
}

/// A file opened and closed.
pub fn open_close() -> io::Result<Work> {
    let file = NamedTempFile::new()?;
    Ok(Box::new(move |operations| {
        for _ in 0..operations {
            black_box(File::open(file.path())?);
        }
        Ok(())
    }))
}

/// What a file is.
pub fn stat() -> io::Result<Work> {
    let file = NamedTempFile::new()?;
    Ok(Box::new(move |operations| {
        for _ in 0..operations {
            black_box(fs::metadata(file.path())?);
        }
        Ok(())
    }))
}

/// A byte through a pipe.
pub fn pipe() -> io::Result<Work> {
    let (mut reader, mut writer) = io::pipe()?;
    Ok(Box::new(move |operations| {
        let mut byte = [0];
        for _ in 0..operations {
            writer.write_all(&byte)?;
            reader.read_exact(&mut byte)?;
        }
        Ok(())
    }))
}

/// A UDP socket connected to another one of this machine.
pub fn udp_connect() -> io::Result<Work> {
    let [here, there] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
    let (here, there) = (here?, there?);
    let address = there.local_addr()?;
    Ok(Box::new(move |operations| {
        // Open as long as it is connected to.
        let _there = &there;
        for _ in 0..operations {
            here.connect(address)?;
        }
        Ok(())
    }))
}

fn step(state: u64) -> u64 {
    let state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    let state = state ^ (state >> 29);
    state ^ (state << 17)
}
