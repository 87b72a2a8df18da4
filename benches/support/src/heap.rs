//! An allocator that counts what each thread asks of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted. For targets of their own: counting costs a
/// nanosecond or two a call.
pub struct Counting;

/// What one operation asked for.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Allocations, a reallocation being one.
    pub allocations: f64,
    /// Bytes asked for.
    pub bytes: f64,
    /// The most bytes held at a time beyond those held before.
    pub peak: i64,
    /// Bytes still held afterwards, by all operations together.
    pub kept: i64,
}

#[derive(Clone, Copy)]
struct Heap {
    allocations: u64,
    bytes: u64,
    live: i64,
    peak: i64,
}

thread_local! {
    static HEAP: Cell<Heap> = const {
        Cell::new(Heap { allocations: 0, bytes: 0, live: 0, peak: 0 })
    };
}

fn note(asked: usize, returned: usize) {
    let mut heap = HEAP.get();
    heap.allocations += u64::from(asked > 0);
    heap.bytes += asked as u64;
    heap.live += asked as i64 - returned as i64;
    heap.peak = heap.peak.max(heap.live);
    HEAP.set(heap);
}

// SAFETY: every request goes to the system's allocator as it came. Counting
// allocates nothing: the counters are plain values, made with the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller's own promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: the caller's own promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Does `operation` so many times on this thread and gives what one asked for.
pub fn cost(times: u64, mut operation: impl FnMut()) -> Cost {
    let before = HEAP.get();
    HEAP.set(Heap {
        peak: before.live,
        ..before
    });
    for _ in 0..times {
        operation();
    }
    let after = HEAP.get();
    Cost {
        allocations: (after.allocations - before.allocations) as f64 / times as f64,
        bytes: (after.bytes - before.bytes) as f64 / times as f64,
        peak: after.peak - before.live,
        kept: after.live - before.live,
    }
}
