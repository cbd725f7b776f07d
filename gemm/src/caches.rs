//! How large caches are.

/// Bytes of the second-level cache of a core; a guess where the system does not say.
pub(crate) fn second_level() -> usize {
    said().unwrap_or(1 << 20)
}

/// What the C library of most Linux systems says. It may ask the processor each time, which takes microseconds in a guest.
#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
fn said() -> Option<usize> {
    use std::sync::OnceLock;
    static BYTES: OnceLock<Option<usize>> = OnceLock::new();
    *BYTES.get_or_init(|| {
        // SAFETY: asks for a number.
        let bytes = unsafe { libc::sysconf(libc::_SC_LEVEL2_CACHE_SIZE) };
        usize::try_from(bytes).ok().filter(|&bytes| bytes > 0)
    })
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
fn said() -> Option<usize> {
    None
}
