//! The heap of a process that started an agent.

/// Gives back what starting left behind: reading the kernel's types leaves megabytes of
/// small pieces with the allocator, in which growth would hide for minutes.
pub(crate) fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and the allocator locks what it touches.
    unsafe {
        libc::malloc_trim(0);
    }
}
