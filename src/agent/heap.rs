//! The heap of a process that started an agent, and is judged for growing.

/// Room for as many, written once, so that filling it later is no growth.
pub(crate) fn touched<T: Clone>(count: usize, value: &T) -> Vec<T> {
    let mut room = vec![value.clone(); count];
    // What is zero is not written by itself.
    for place in &mut room {
        *std::hint::black_box(place) = value.clone();
    }
    room.clear();
    room
}

/// Gives back what starting left behind: reading the kernel's types leaves megabytes of
/// small pieces with the allocator, in which growth would hide for minutes.
pub(crate) fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and the allocator locks what it touches.
    unsafe {
        libc::malloc_trim(0);
    }
}
